"""
Single elements (`sampled` of common.py) of the gradients of the first step of every whole network whose own file (`pan_*`, `deepipr_*`) has the norms of gradients alone. In float64; the networks are computed
anew, and the norms say that they are the authors' ones.

    /usr/bin/python3 test/golden/authors_elements.py      prints what the files' norms differ by, writes authors_elements.safetensors
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

from common import sampled, save
from fill import filled, load, named
from pointnet import start as pointnet

NETWORKS = [f"{scheme}_{arch}" for arch in ("alexnet", "resnet18") for scheme in ("pan", "deepipr_v1", "deepipr_v2")]
NORM = {"pan": "bn", "deepipr_v1": "bn", "deepipr_v2": "gn"}
SKIP = ("running_mean", "running_var", "num_batches_tracked", "sign_loss.b", "sign_loss_private.b")


def gradients(name, meta, names, labels):
    """∂(Σ cross-entropies + sign losses) of the first step, by name."""
    arch, scheme = name.split("_")[-2], name.rsplit("_", 2)[0]
    shapes = json.loads(meta["shapes"])
    double = lambda k: k.endswith(".conv.weight") and k[: -len(".conv.weight")] + ".weight" in shapes
    p = {k: torch.tensor(filled(k, s), dtype=torch.float64) for k, s in shapes.items() if not double(k) and not k.endswith(SKIP)}
    for k in names:
        p[k].requires_grad_(True)
    x_shape = json.loads(meta["x_shape"])
    x = torch.tensor((named("x", int(np.prod(x_shape))) * 2).astype(np.float32).reshape(x_shape), dtype=torch.float64)
    y = torch.tensor(labels.astype(np.int64))
    signs = []
    channel = lambda v: v.view(1, -1, 1, 1)

    def norm(h):
        return F.group_norm(h, h.shape[1] // 16) if NORM[scheme] == "gn" else F.batch_norm(h, None, None, training=True)

    def block(h, name, stride, padding, branch):
        w = p.get(name + ".weight", p.get(name + ".conv.weight"))
        if name + ".b" not in p:
            gamma, beta = p[name + ".bn.weight"], p[name + ".bn.bias"]
        elif branch == "public":
            gamma, beta = p[name + ".scale"], p[name + ".bias"]
        else:
            end = "" if branch == "passport" else "_private"
            raw = [F.conv2d(p[f"{name}.{k}{end}"], w, None, stride, padding).mean((0, 2, 3)) for k in ("skey", "key")]
            signs.append(0.1 * F.relu(0.1 - raw[0] * p[name + ".b"]).sum() + 1e-5 * (raw[0] ** 2).sum())
            if scheme == "pan":
                raw = [F.linear(F.leaky_relu(F.linear(r, p[name + ".fc.0.weight"]), 0.01), p[name + ".fc.2.weight"]) for r in raw]
            gamma, beta = raw
        return F.relu(norm(F.conv2d(h, w, None, stride, padding)) * channel(gamma) + channel(beta))

    def alexnet(h, branch):
        for i in (0, 2, 4, 5, 6):
            h = block(h, f"features.{i}", 1, 2 if i < 4 else 1, branch)
            h = h if i in (4, 5) else F.max_pool2d(h, 2)
        return F.linear(h.flatten(1), p["classifier.weight"], p["classifier.bias"])

    def resnet18(h, branch):
        h = block(h, "convbnrelu_1", 1, 1, branch)
        for layer in range(1, 5):
            for b in range(2):
                stride = 2 if layer > 1 and b == 0 else 1
                at = f"layer{layer}.{b}."
                out = block(block(h, at + "convbnrelu_1", stride, 1, branch), at + "convbn_2", 1, 1, branch)
                h = F.relu(out + (block(h, at + "shortcut", stride, 0, branch) if stride == 2 else h))
        return F.linear(F.avg_pool2d(h, 4).flatten(1), p["linear.weight"], p["linear.bias"])

    run = {"alexnet": alexnet, "resnet18": resnet18}[arch]
    loss = sum(F.cross_entropy(run(x, b), y) for b in (["passport"] if scheme == "deepipr_v1" else ["public", "private"]))
    (loss + sum(signs)).backward()
    return {k: p[k].grad for k in names}


def main():
    tensors = {}
    for name in [*(f"{n}_{NORM[n.rsplit('_', 1)[0]]}" for n in NETWORKS), "pan_pointnet_bn"]:
        meta, golden = load(name)
        names = [k[len("gradnorm.") :] for k in golden if k.startswith("gradnorm.")]
        grads = pointnet() if "pointnet" in name else gradients(name, meta, names, golden["y"])
        norms = {k: float(grads[k].norm()) for k in names}
        off = max((abs(float(golden["gradnorm." + k]) - norms[k]) / norms[k], k) for k in names if norms[k] > 1e-6)
        print(f"{name}: norms of the float32 file off by up to {off[0]:.1e} ({off[1]})")
        for k in names:
            tensors[f"{name}.{k}"] = sampled(grads[k])
    save(__file__, tensors)


main()
