"""
Gradient norms of the first step of DeepIPR's ResNet-18 and, for V2, its logits after two steps of SGD, in float64: for `deepipr_v1_resnet18_bn` and `deepipr_v2_resnet18_gn`, whose own numbers are float32:

- some ReLUs get inputs within float32 rounding of their kink, and each of them turned moves whole gradients by up to 5e-4: two float32 runs of PyTorch
  differ by 2.7e-4. So each norm is an interval, over runs in which every kink is moved at random by up to 2e-6, what rounding adds up to here;
- the logits after two steps inherit that: intervals too, an element each;
- the float32 norm of a tensor of 2.4 million elements is 1.2e-4 off there.

    python3 test/golden/resnet18_gradients.py      prints what the float32 file differs by, writes resnet18_gradients.safetensors
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

from common import save
from fill import filled, load, named

RUNS = 32
ROUNDING = 2e-6


def train(state, names, x, y, v1, group, rounding):
    """Gradient norms of the first step, and the public and private logits after two."""
    p = {k: torch.tensor(v, dtype=torch.float64) for k, v in state.items()}
    for k in names:
        p[k].requires_grad_(True)
    signs = []
    relu = lambda h: h * (h.detach() > rounding * (2 * torch.rand(h.shape, dtype=h.dtype) - 1))
    channel = lambda v: v.view(1, -1, 1, 1)

    def norm(h):
        return F.group_norm(h, h.shape[1] // 16) if group else F.batch_norm(h, None, None, training=True)

    def block(name, h, stride, padding, branch):
        plain = name + ".conv.weight" in p
        w = p[name + (".conv.weight" if plain else ".weight")]
        if plain:
            gamma, beta = p[name + ".bn.weight"], p[name + ".bn.bias"]
        elif branch == "public":
            gamma, beta = p[name + ".scale"], p[name + ".bias"]
        else:
            end = "" if v1 else "_private"
            average = lambda key: F.conv2d(p[name + key + end], w, None, stride, padding).mean((0, 2, 3))
            gamma, beta = average(".skey"), average(".key")
            signs.append(0.1 * F.relu(0.1 - gamma * p[name + ".b"]).sum() + 1e-5 * (gamma**2).sum())
        return relu(norm(F.conv2d(h, w, None, stride, padding)) * channel(gamma) + channel(beta))

    def network(h, branch):
        h = block("convbnrelu_1", h, 1, 1, branch)
        for layer in range(1, 5):
            for b in range(2):
                stride = 2 if layer > 1 and b == 0 else 1
                name = f"layer{layer}.{b}."
                out = block(name + "convbnrelu_1", h, stride, 1, branch)
                out = block(name + "convbn_2", out, 1, 1, branch)
                beside = block(name + "shortcut", h, stride, 0, branch) if stride == 2 else h
                h = relu(out + beside)
        return F.linear(F.avg_pool2d(h, 4).flatten(1), p["linear.weight"], p["linear.bias"])

    branches = ["passport"] if v1 else ["public", "private"]
    optimizer = torch.optim.SGD([p[k] for k in names], lr=0.01, momentum=0.9, weight_decay=5e-4)
    norms = None
    for _ in range(1 if v1 else 2):
        signs.clear()
        optimizer.zero_grad()
        loss = sum(F.cross_entropy(network(x, b), y) for b in branches) + sum(signs)
        loss.backward()
        norms = norms or {k: float(p[k].grad.norm()) for k in names}
        optimizer.step()
    with torch.no_grad():
        return norms, {b: network(x, b).numpy() for b in branches}


def main():
    tensors = {}
    for name in ("deepipr_v1_resnet18_bn", "deepipr_v2_resnet18_gn"):
        meta, golden = load(name)
        shapes = json.loads(meta["shapes"])
        double = lambda k: k.endswith(".conv.weight") and k[: -len(".conv.weight")] + ".weight" in shapes
        skip = ("running_mean", "running_var", "num_batches_tracked", "sign_loss.b", "sign_loss_private.b")
        state = {k: filled(k, s) for k, s in shapes.items() if not double(k) and not k.endswith(skip)}
        names = [k for k in state if "gradnorm." + k in golden]
        x_shape = json.loads(meta["x_shape"])
        x = torch.tensor((named("x", int(np.prod(x_shape))) * 2).astype(np.float32).reshape(x_shape), dtype=torch.float64)
        y = torch.tensor(golden["y"].astype(np.int64))
        v1 = "_v1_" in name
        results = [train(state, names, x, y, v1, "_gn" in name, r) for r in [0.0] + [ROUNDING] * RUNS]
        runs = [norms for norms, _ in results]
        for b in [] if v1 else ["public", "private"]:
            logits = np.stack([out[b] for _, out in results])
            tensors[f"{name}.eval.{b}"] = np.stack([logits.min(0), logits.max(0)])
            print(f"{name}: kinks move {b} logits after two steps by up to {float(np.ptp(logits, 0).max()):.1e}")
        for k in names:
            values = [r[k] for r in runs]
            tensors[f"{name}.{k}"] = np.array([min(values), max(values)], np.float32)
        exact = runs[0]
        off = max((abs(float(golden["gradnorm." + k]) / exact[k] - 1), k) for k in names)
        wide = max(((max(r[k] for r in runs) - min(r[k] for r in runs)) / exact[k], k) for k in names)
        print(f"{name}: float32 file off by up to {off[0]:.1e} ({off[1]}); kinks move norms by up to {wide[0]:.1e} ({wide[1]})")
    save(__file__, tensors)


main()
