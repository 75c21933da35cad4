"""Reference numbers of the reductions: values and gradients."""
import torch

from common import save

CASES = [
    ("columns", [37, 8], [0]),
    ("rows", [5, 33], [1]),
    ("batch_statistics", [3, 4, 5, 6], [0, 1, 2]),
    ("middle", [3, 7, 4], [1]),
    ("alternating", [2, 3, 2, 4, 3], [0, 2, 4]),
    ("all", [3, 5, 7], [0, 1, 2]),
]
OPS = {
    "sum": lambda x, a, k: x.sum(a, keepdim=k),
    "mean": lambda x, a, k: x.mean(a, keepdim=k),
    "amax": lambda x, a, k: x.amax(a, keepdim=k),
    "amin": lambda x, a, k: x.amin(a, keepdim=k),
    "variance": lambda x, a, k: x.var(a, unbiased=True, keepdim=k),
    "sumSquares": lambda x, a, k: (x * x).sum(a, keepdim=k),
}

tensors, cases = {}, []
for i, (case, shape, axes) in enumerate(CASES):
    for op, f in OPS.items():
        # A coarse grid for the extrema: several elements tie, and share the gradient.
        x = torch.randn(shape)
        x = (torch.round(2 * x) / 2 if op in ("amax", "amin") else x).requires_grad_()
        keepdim = i % 2 == 0
        y = f(x, axes, keepdim)
        g = torch.randn(y.shape)
        y.backward(g)
        name = f"{op}.{case}"
        tensors.update({f"{name}.x": x, f"{name}.y": y, f"{name}.g": g, f"{name}.dx": x.grad})
        cases.append({"name": name, "op": op, "axes": axes, "keepdim": keepdim})

x = torch.randn(3, 5, 7).requires_grad_()
y = x.norm()
y.backward()
tensors.update({"norm.x": x, "norm.y": y, "norm.dx": x.grad})
for axis in range(3):
    tensors[f"argmax{axis}.y"] = x.argmax(axis).float()

save(__file__, tensors, {"cases": cases})
