"""Reference numbers for depthwise and transposed convolutions, adaptive pooling and upsampling, with gradients."""
import torch
import torch.nn.functional as F

from common import hwio, nhwc, save

tensors, meta = {}, {"depthwise": [], "adaptive": [], "upsample": [], "transposed": []}


def add(kind, inputs, y, options):
    """`inputs`: name -> leaf and its layout."""
    name = f"{kind}.{len(meta[kind])}."
    g = torch.rand_like(y) * 2 - 1
    y.backward(g)
    tensors.update({name + "y": nhwc(y), name + "g": nhwc(g)})
    for key, (t, layout) in inputs.items():
        tensors.update({name + key: layout(t), f"{name}d{key}": layout(t.grad)})
    meta[kind].append(options)


same = lambda t: t
leaf = lambda *shape: torch.randn(*shape, requires_grad=True)

DEPTHWISE = [  # n, h, w, channels, kernel, stride, padding, dilation, bias
    (2, 9, 8, 8, (3, 3), (1, 1), (1, 1), (1, 1), True),
    (1, 10, 11, 6, (3, 5), (2, 3), (1, 2), (1, 1), True),
    (2, 9, 9, 4, (3, 3), (1, 2), (2, 0), (2, 3), False),
    (1, 12, 7, 5, (7, 7), (1, 1), (3, 3), (1, 1), True),
]
for n, h, w, c, k, s, p, d, bias in DEPTHWISE:
    x, wt, b = leaf(n, c, h, w), leaf(c, 1, *k), leaf(c) if bias else None
    inputs = {"x": (x, nhwc), "w": (wt, hwio), **({"b": (b, same)} if bias else {})}
    options = {"stride": s, "padding": p, "dilation": d, "groups": c, "bias": bias}
    add("depthwise", inputs, F.conv2d(x, wt, b, s, p, d, c), options)

ADAPTIVE = [  # input [N, C, H, W], size
    ([2, 4, 8, 8], [2, 4]),
    ([1, 3, 7, 10], [3, 4]),
    ([2, 5, 3, 2], [5, 5]),
    ([1, 8, 6, 5], [1, 1]),
    ([1, 2, 13, 11], [6, 7]),
]
for shape, size in ADAPTIVE:
    x = leaf(*shape)
    add("adaptive", {"x": (x, nhwc)}, F.adaptive_avg_pool2d(x, size), {"size": size})

UPSAMPLE = [  # input, options as PyTorch's, options as the package's
    ([1, 4, 3, 5], {"scale_factor": 2, "mode": "nearest"}, {"scale": 2, "mode": "nearest"}),
    ([2, 3, 4, 6], {"size": [7, 9], "mode": "nearest"}, {"size": [7, 9], "mode": "nearest"}),
    ([1, 5, 7, 8], {"size": [3, 5], "mode": "nearest"}, {"size": [3, 5], "mode": "nearest"}),
    ([1, 3, 4, 5], {"scale_factor": (2.3, 1.7), "mode": "nearest"}, {"scale": [2.3, 1.7], "mode": "nearest"}),
    ([1, 4, 3, 5], {"scale_factor": 2, "mode": "bilinear"}, {"scale": 2, "mode": "bilinear"}),
    ([2, 3, 4, 6], {"size": [7, 9], "mode": "bilinear"}, {"size": [7, 9], "mode": "bilinear"}),
    ([1, 5, 9, 8], {"size": [3, 5], "mode": "bilinear"}, {"size": [3, 5], "mode": "bilinear"}),
    ([1, 3, 4, 5], {"scale_factor": (2.3, 1.7), "mode": "bilinear"}, {"scale": [2.3, 1.7], "mode": "bilinear"}),
    ([1, 4, 5, 3], {"size": [9, 8], "mode": "bilinear", "align_corners": True}, {"size": [9, 8], "mode": "bilinear", "alignCorners": True}),
    ([1, 3, 5, 6], {"size": [1, 3], "mode": "bilinear", "align_corners": True}, {"size": [1, 3], "mode": "bilinear", "alignCorners": True}),
]
for shape, torchs, ours in UPSAMPLE:
    x = leaf(*shape)
    add("upsample", {"x": (x, nhwc)}, F.interpolate(x, **torchs), ours)

TRANSPOSED = [  # n, h, w, i, o, kernel, stride, padding, output padding, dilation, groups, bias
    (2, 4, 5, 3, 8, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, True),
    (1, 5, 4, 4, 6, (2, 3), (1, 3), (0, 1), (0, 2), (1, 1), 2, False),
    (1, 4, 4, 6, 6, (3, 3), (2, 2), (1, 1), (0, 1), (1, 1), 6, True),
    (1, 5, 6, 4, 3, (3, 2), (2, 1), (2, 0), (1, 0), (2, 3), 1, True),
]
for n, h, w, i, o, k, s, p, op, d, groups, bias in TRANSPOSED:
    x, wt, b = leaf(n, i, h, w), leaf(i, o // groups, *k), leaf(o) if bias else None
    inputs = {"x": (x, nhwc), "w": (wt, hwio), **({"b": (b, same)} if bias else {})}
    options = {"stride": s, "padding": p, "outputPadding": op, "dilation": d, "groups": groups, "bias": bias}
    add("transposed", inputs, F.conv_transpose2d(x, wt, b, s, p, op, groups, d), options)

save(__file__, tensors, meta)
