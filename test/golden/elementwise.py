"""Reference numbers of the elementwise operations: values and gradients."""
import torch

from common import save

tensors, cases = {}, []


def case(op, f, *inputs):
    inputs = [t.clone().requires_grad_() for t in inputs]
    y = f(*inputs)
    g = torch.randn(y.shape)
    y.backward(g)
    name = f"{op}.{len(cases)}"
    tensors.update({f"{name}.y": y, f"{name}.g": g})
    for i, t in enumerate(inputs):
        tensors.update({f"{name}.x{i}": t, f"{name}.dx{i}": t.grad})
    cases.append({"name": name, "op": op, "inputs": len(inputs)})


normal = lambda *shape: 2 * torch.randn(shape)
positive = lambda *shape: torch.rand(shape) * 4 + 0.05
# On a coarse grid numbers tie, and fall on the kinks.
coarse = lambda *shape: torch.round(2 * torch.randn(shape)) / 2

for op, f, make in [
    ("neg", torch.neg, normal),
    ("abs", torch.abs, coarse),
    ("exp", torch.exp, normal),
    ("log", torch.log, positive),
    ("sqrt", torch.sqrt, positive),
    ("square", torch.square, normal),
    ("reciprocal", torch.reciprocal, positive),
    ("sigmoid", torch.sigmoid, normal),
    ("tanh", torch.tanh, normal),
    ("relu", torch.relu, coarse),
    ("leakyRelu", lambda x: torch.nn.functional.leaky_relu(x, 0.1), coarse),
    ("clamp", lambda x: torch.clamp(x, -0.5, 1), coarse),
    ("pow", lambda x: x**2.5, positive),
    ("affine", lambda x: 3 * x - 1, normal),
    ("reshape", lambda x: x.reshape(7, -1), normal),
    ("flatten", lambda x: x.flatten(1), normal),
]:
    case(op, f, make(3, 7, 5))

for a, b in [([5, 7], [5, 7]), ([4, 5, 6], [6]), ([2, 3, 4], [3, 1]), ([3, 1], [1, 5]), ([], [3]), ([2, 1, 4, 1, 3], [5, 1, 2, 1])]:
    case("add", torch.add, normal(*a), normal(*b))
    case("sub", torch.sub, normal(*a), normal(*b))
    case("mul", torch.mul, normal(*a), normal(*b))
    case("div", torch.div, normal(*a), positive(*b))
    case("maximum", torch.maximum, coarse(*a), coarse(*b))
    case("minimum", torch.minimum, coarse(*a), coarse(*b))

F = torch.nn.functional
for op, f in [
    ("gelu", F.gelu),
    ("geluTanh", lambda x: F.gelu(x, approximate="tanh")),
    ("silu", F.silu),
    ("hardswish", F.hardswish),
]:
    case(op, f, normal(3, 7, 5))

save(__file__, tensors, {"cases": cases})
