"""Reference numbers for pooling: maximum, mean, global; forward and gradients."""
import torch
import torch.nn.functional as F

from common import nhwc, save

# input [N, C, H, W], kernel, stride, padding, dilation, ceil_mode
MAX = [
    ([2, 4, 8, 8], [2, 2], [2, 2], [0, 0], [1, 1]),
    ([2, 3, 7, 9], [3, 3], [2, 2], [1, 1], [1, 1]),
    ([1, 8, 9, 6], [3, 2], [1, 3], [1, 0], [1, 1]),
    ([2, 5, 10, 11], [3, 2], [2, 1], [1, 1], [2, 3]),
    ([1, 1, 1, 1], [1, 1], [1, 1], [0, 0], [1, 1]),
    ([3, 4, 5, 5], [5, 5], [5, 5], [2, 2], [1, 1]),
]
# input, kernel, stride, padding, count_include_pad, ceil_mode
AVG = [
    ([2, 4, 8, 8], [2, 2], [2, 2], [0, 0], True),
    ([2, 3, 7, 9], [3, 3], [2, 2], [1, 1], True),
    ([2, 3, 7, 9], [3, 3], [2, 2], [1, 1], False),
    ([1, 8, 9, 6], [3, 2], [1, 3], [1, 1], False),
    ([1, 1, 1, 1], [1, 1], [1, 1], [0, 0], True),
]
# The last windows reach past the padding; in some, one more would start behind the image.
CEIL_MAX = [
    ([2, 4, 7, 8], [3, 3], [2, 2], [0, 0], [1, 1], True),
    ([1, 3, 8, 6], [2, 3], [3, 4], [1, 1], [2, 1], True),
    ([1, 2, 2, 3], [3, 2], [2, 4], [0, 1], [1, 1], True),
]
CEIL_AVG = [
    ([2, 4, 7, 8], [3, 3], [2, 2], [0, 0], True, True),
    ([2, 3, 6, 9], [3, 2], [2, 3], [1, 1], True, True),
    ([2, 3, 6, 9], [3, 2], [2, 3], [1, 1], False, True),
    ([1, 2, 2, 3], [3, 2], [2, 4], [0, 1], True, True),
]
# [N, L, C]
GLOBAL = [[2, 5, 3], [1, 400, 4], [3, 65, 7], [2, 1, 8]]

tensors, cases = {}, []


def add(kind, x, y, in_layout, out_layout, options):
    i = len(cases)
    g = torch.rand_like(y) * 2 - 1
    y.backward(g)
    for name, t in [("x", in_layout(x)), ("dx", in_layout(x.grad)), ("y", out_layout(y)), ("g", out_layout(g))]:
        tensors[f"{i}.{name}"] = t
    cases.append({"kind": kind, **options})


for shape, kernel, stride, padding, dilation, *ceil in MAX + CEIL_MAX:
    # Few distinct values: many ties, so that the choice of the first maximum is part of the reference.
    x = torch.randint(-3, 4, shape).float().requires_grad_()
    y = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode=bool(ceil))
    options = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceilMode": bool(ceil)}
    add("max", x, y, nhwc, nhwc, options)
for shape, kernel, stride, padding, include, *ceil in AVG + CEIL_AVG:
    x = torch.randn(shape, requires_grad=True)
    y = F.avg_pool2d(x, kernel, stride, padding, count_include_pad=include, ceil_mode=bool(ceil))
    options = {"kernel": kernel, "stride": stride, "padding": padding, "countIncludePad": include, "ceilMode": bool(ceil)}
    add("avg", x, y, nhwc, nhwc, options)
for shape in GLOBAL:
    x = torch.randn(shape, requires_grad=True)
    add("globalMax", x, x.max(dim=1)[0], lambda t: t, lambda t: t, {})
    x = torch.randn(shape, requires_grad=True)
    add("globalAvg", x, x.mean(dim=1), lambda t: t, lambda t: t, {})

save(__file__, tensors, {"cases": cases})
