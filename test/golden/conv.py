"""Convolutions and matrix products with their gradients, by PyTorch."""
import torch
import torch.nn.functional as F

from common import hwio, nhwc, save

out, cases = {}, []
conv2d = [  # n, h, w, i, o, kernel, stride, padding, dilation, groups, bias
    (2, 7, 6, 3, 8, (3, 3), (1, 1), (1, 1), (1, 1), 1, True),
    (1, 9, 8, 4, 6, (5, 3), (2, 1), (2, 0), (1, 2), 2, False),
    (3, 5, 5, 6, 12, (1, 1), (1, 1), (0, 0), (1, 1), 3, True),
    (2, 8, 8, 8, 8, (3, 3), (2, 2), (1, 1), (1, 1), 8, True),
    (2, 6, 7, 5, 7, (3, 2), (3, 2), (2, 1), (2, 2), 1, True),
    (4, 10, 10, 16, 32, (3, 3), (1, 1), (1, 1), (1, 1), 1, False),
]
for c, (n, h, w, i, o, k, s, p, d, g, bias) in enumerate(conv2d):
    x = torch.randn(n, i, h, w, requires_grad=True)
    wt = torch.randn(o, i // g, *k, requires_grad=True)
    b = torch.randn(o, requires_grad=True) if bias else None
    y = F.conv2d(x, wt, b, s, p, d, g)
    gy = torch.randn_like(y)
    y.backward(gy)
    name = f"conv2d.{c}."
    out.update({name + "x": nhwc(x), name + "w": hwio(wt), name + "y": nhwc(y), name + "g": nhwc(gy)})
    out.update({name + "dx": nhwc(x.grad), name + "dw": hwio(wt.grad)})
    if bias:
        out.update({name + "b": b, name + "db": b.grad})
    cases.append({"stride": s, "padding": p, "dilation": d, "groups": g, "bias": bias})

conv1d = [(2, 9, 4, 6, 3, 2, 1, 1, 2), (3, 8, 3, 16, 1, 1, 0, 1, 1)]  # n, l, i, o, k, stride, padding, dilation, groups
cases1 = []
for c, (n, l, i, o, k, s, p, d, g) in enumerate(conv1d):
    x = torch.randn(n, i, l, requires_grad=True)
    wt = torch.randn(o, i // g, k, requires_grad=True)
    b = torch.randn(o, requires_grad=True)
    y = F.conv1d(x, wt, b, s, p, d, g)
    gy = torch.randn_like(y)
    y.backward(gy)
    name = f"conv1d.{c}."
    t = lambda v: v.permute(0, 2, 1)
    k1 = lambda v: v.permute(2, 1, 0)
    out.update({name + "x": t(x), name + "w": k1(wt), name + "b": b, name + "y": t(y), name + "g": t(gy)})
    out.update({name + "dx": t(x.grad), name + "dw": k1(wt.grad), name + "db": b.grad})
    cases1.append({"stride": s, "padding": p, "dilation": d, "groups": g})

a, b = torch.randn(3, 5, 7, requires_grad=True), torch.randn(3, 7, 4, requires_grad=True)
y = a @ b
gy = torch.randn_like(y)
y.backward(gy)
out.update({"matmul.a": a, "matmul.b": b, "matmul.y": y, "matmul.g": gy, "matmul.da": a.grad, "matmul.db": b.grad})
x, lw, lb = torch.randn(6, 5, requires_grad=True), torch.randn(3, 5, requires_grad=True), torch.randn(3, requires_grad=True)
y = F.linear(x, lw, lb)
gy = torch.randn_like(y)
y.backward(gy)
out.update({"linear.x": x, "linear.w": lw.t(), "linear.b": lb, "linear.y": y, "linear.g": gy})
out.update({"linear.dx": x.grad, "linear.dw": lw.grad.t(), "linear.db": lb.grad})
save(__file__, out, {"conv2d": cases, "conv1d": cases1})
