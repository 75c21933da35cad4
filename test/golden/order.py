"""Reference numbers of sorting, the k greatest, and running sums: values, indices, gradients."""
import torch

from common import save

# shape, axis
CASES = [([7], 0), ([3, 150], 1), ([70, 5], 0), ([2, 66, 3], 1), ([2, 3, 1], 2)]
# One of each and some twice: zeros of both signs, infinities, NaN.
SPECIAL = [float(v) for v in "1 nan -0 inf 0 -1 nan -inf 0 1 -0 inf".split()]
# shape, axis
SUMS = [([5], 0), ([2, 700], 1), ([600, 3], 0), ([2, 300, 2], 1), ([3, 1, 2], 1)]

tensors, sorts, tops, sums = {}, [], [], []


def differentiated(name, x, y):
    g = torch.randn(y.shape)
    y.backward(g)
    tensors.update({f"{name}.x": x, f"{name}.y": y, f"{name}.g": g, f"{name}.dx": x.grad})


def coarse(shape):
    """Many elements are equal, so that their order is part of the reference."""
    return (torch.round(3 * torch.randn(shape)) / 3).requires_grad_()


for i, (x, axis) in enumerate([(coarse(s), a) for s, a in CASES] + [(torch.tensor(SPECIAL, requires_grad=True), 0)]):
    for descending in (False, True):
        name = f"sort.{i}.{'descending' if descending else 'ascending'}"
        x.grad = None
        y, at = torch.sort(x, dim=axis, descending=descending, stable=True)
        differentiated(name, x, y)
        tensors[f"{name}.at"] = at.float()
        sorts.append({"name": name, "axis": axis, "descending": descending})
# Which of equal elements PyTorch chooses is open: these have none.
for i, (shape, axis, k) in enumerate([([9], 0, 4), ([4, 200], 1, 5), ([80, 3], 0, 80), ([2, 5, 3], 1, 1)]):
    for largest in (True, False):
        x = torch.randn(shape).requires_grad_()
        name = f"topK.{i}.{'largest' if largest else 'smallest'}"
        y, at = torch.topk(x, k, dim=axis, largest=largest)
        differentiated(name, x, y)
        tensors[f"{name}.at"] = at.float()
        tops.append({"name": name, "axis": axis, "k": k, "largest": largest})
for i, (shape, axis) in enumerate(SUMS):
    x = torch.randn(shape).requires_grad_()
    differentiated(f"cumsum.{i}", x, torch.cumsum(x, axis))
    sums.append({"name": f"cumsum.{i}", "axis": axis})

save(__file__, tensors, {"sorts": sorts, "tops": tops, "sums": sums})
