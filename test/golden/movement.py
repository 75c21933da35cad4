"""Reference numbers for data movement and gathering: forward and gradients."""
import torch
import torch.nn.functional as F

from common import save

tensors, cases = {}, []


def add(op, inputs, y, args):
    i = len(cases)
    g = torch.rand_like(y) * 2 - 1
    y.backward(g)
    for k, x in enumerate(inputs):
        tensors[f"{i}.x{k}"] = x
        tensors[f"{i}.dx{k}"] = x.grad
    tensors[f"{i}.y"] = y
    tensors[f"{i}.g"] = g
    cases.append({"op": op, "inputs": len(inputs), "args": args})


def leaf(*shape):
    return torch.randn(shape, requires_grad=True)


for shape, dims in [([3, 5], [1, 0]), ([2, 3, 4, 5], [0, 3, 1, 2]), ([2, 3, 1, 4, 2], [4, 2, 0, 3, 1]), ([1, 7, 1], [2, 0, 1])]:
    x = leaf(*shape)
    add("permute", [x], x.permute(dims), [dims])
for shape, axis, start, length in [([4, 6], 1, 2, 3), ([5, 3, 2], 0, 4, 1), ([2, 3, 4], -1, 0, 4)]:
    x = leaf(*shape)
    add("narrow", [x], x.narrow(axis, start, length), [axis, start, length])
for shapes, axis in [([[2, 3], [2, 1], [2, 4]], 1), ([[1, 3, 2], [2, 3, 2]], 0), ([[2, 2, 3], [2, 2, 1]], -1)]:
    xs = [leaf(*s) for s in shapes]
    add("concat", xs, torch.cat(xs, axis), [axis])
xs = [leaf(2, 3) for _ in range(3)]
add("stack", xs, torch.stack(xs, -1), [-1])
for shape, pads, value in [([2, 3], [[1, 0], [2, 1]], 0.0), ([2, 3, 2], [[0, 0], [1, 2], [0, 3]], -1.5)]:
    x = leaf(*shape)
    flat = [n for p in reversed(pads) for n in p]
    add("pad", [x], F.pad(x, flat, value=value), [pads, value])
for shape, axes in [([5], [0]), ([2, 3, 4], [0, 2]), ([3, 2, 4, 2], [1, -1])]:
    x = leaf(*shape)
    add("flip", [x], x.flip(axes), [axes])
for shape, target in [([1, 3], [4, 3]), ([3, 1], [2, 3, 5]), ([2, 1, 4], [2, 3, 4])]:
    x = leaf(*shape)
    add("expand", [x], x.expand(target), [target])
for shape, axis, index in [([5, 3], 0, [4, 0, 0, 2, 4, 4]), ([2, 4, 3], 1, [3, 1]), ([3, 6], -1, [0, 5, 5])]:
    x = leaf(*shape)
    add("indexSelect", [x], x.index_select(axis, torch.tensor(index)), [axis, index])

save(__file__, tensors, {"cases": cases})
