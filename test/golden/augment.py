"""Reference numbers of resampled pictures (PyTorch) and turned hues (Python's colorsys)."""
import colorsys

import numpy as np
import torch
import torch.nn.functional as F

from common import save

tensors, resampled = {}, []

# Source [C, H, W] in bytes; window top, left, height, width; size that comes out.
for (c, h, w), (top, left, wh, ww), size in [
    ((3, 9, 11), (0, 0, 9, 11), (4, 5)),
    ((3, 16, 13), (2, 3, 12, 7), (5, 6)),
    ((1, 8, 8), (1, 2, 3, 4), (8, 9)),
    ((3, 40, 30), (0, 0, 40, 30), (3, 2)),
    ((2, 5, 6), (1, 1, 4, 4), (4, 4)),
    ((1, 7, 7), (3, 3, 1, 1), (3, 3)),
]:
    x = torch.randint(0, 256, (c, h, w), dtype=torch.uint8)
    part = x[None, :, top : top + wh, left : left + ww].float() / 255
    name = f"resampled.{len(resampled)}"
    y = F.interpolate(part, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    tensors.update({f"{name}.x": x, f"{name}.y": y.permute(1, 2, 0)})
    resampled.append({"name": name, "window": [top, left, wh, ww], "size": size})

pixels = torch.rand(60, 3)
pixels[0], pixels[1], pixels[2] = torch.tensor([0.5, 0.5, 0.5]), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.3, 0.7, 0.7])
turns = [-0.5, -0.21, 0.0, 0.05, 0.37, 0.5]
tensors["hue.x"] = pixels
for i, turn in enumerate(turns):
    turned = []
    for r, g, b in pixels.double().tolist():
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        turned.append(colorsys.hsv_to_rgb((h + turn) % 1.0, s, v))
    tensors[f"hue.{i}"] = np.array(turned)

save(__file__, tensors, {"resampled": resampled, "turns": turns})
