"""
AlexNet and ResNet as the authors' code builds them with `--norm-type in` and `none`: a block without a passport then has an instance norm without an affine map, or no norm and a bias of its convolution; a passport
block has the norm without an affine map, or none, and no bias. Logits of each branch, sign loss, norms and elements of the gradients of one step, in float64; every tensor is filled by its name (fill.py).

    /usr/bin/python3 test/golden/authors_norms.py      writes authors_norms.safetensors
"""
import numpy as np
import torch
import torch.nn.functional as F

from common import sampled, save
from fill import filled, named

CLASSES, BATCH = 10, 2
ALEXNET = dict(input=(3, 32, 32), layers=[(16, 5, 2), "pool", (48, 5, 2), "pool", (96, 3, 1), (64, 3, 1), (64, 3, 1), "pool"], passports=("features.4", "features.6"))
RESNET = dict(input=(3, 16, 16), width=16, passports=("layer2.0.convbnrelu_1", "layer2.0.convbn_2", "layer2.0.shortcut"))


class Net:
    """A state dict under the authors' names, made when it is first asked for, and what their blocks compute with it."""

    def __init__(self, scheme, norm, passports):
        self.scheme, self.norm, self.passports = scheme, norm, passports
        self.shapes, self.p, self.trained = {}, {}, []
        self.signs = []

    def get(self, name, shape, trained=True, double=None):
        for n in (name, double):
            if n:
                self.shapes[n] = list(shape)
        if name not in self.p:
            self.p[name] = torch.tensor(filled(name, shape), dtype=torch.float64).reshape(shape).requires_grad_(trained)
            if trained:
                self.trained.append(name)
        return self.p[name]

    def normalised(self, h):
        return F.instance_norm(h, eps=1e-5) if self.norm == "in" else h

    def block(self, x, name, out, kernel, stride, padding, branch):
        shape = (out, x.shape[1], kernel, kernel)
        if name not in self.passports:
            w = self.get(f"{name}.conv.weight", shape)
            b = self.get(f"{name}.conv.bias", (out,)) if self.norm == "none" else None
            return F.relu(self.normalised(F.conv2d(x, w, b, stride, padding)))
        w = self.get(f"{name}.weight", shape, double=f"{name}.conv.weight")
        two = self.scheme != "v1"
        if two:
            scale, bias = self.get(f"{name}.scale", (out,)), self.get(f"{name}.bias", (out,))
        end = "_private" if two else ""
        b = self.get(f"{name}.b", (out,), False, double=f"{name}.sign_loss{end}.b")
        passport = (1, *x.shape[1:])
        raw = [F.conv2d(self.get(f"{name}.{k}{end}", passport, False), w, None, stride, padding).mean((0, 2, 3)) for k in ("skey", "key")]
        refined = raw
        if self.scheme == "pan":
            down, up = self.get(f"{name}.fc.0.weight", (out // 4, out)), self.get(f"{name}.fc.2.weight", (out, out // 4))
            refined = [F.linear(F.leaky_relu(F.linear(r, down), 0.01), up) for r in raw]
        gamma, beta = (scale, bias) if branch == "public" else refined
        if branch != "public":
            self.signs.append(0.1 * F.relu(0.1 - raw[0] * b).sum() + 1e-5 * (raw[0] ** 2).sum())
        h = self.normalised(F.conv2d(x, w, None, stride, padding))
        return F.relu(gamma.view(1, -1, 1, 1) * h + beta.view(1, -1, 1, 1))

    def head(self, x, name):
        return F.linear(x, self.get(f"{name}.weight", (CLASSES, x.shape[1])), self.get(f"{name}.bias", (CLASSES,)))


def alexnet(net, x, branch):
    for i, layer in enumerate(ALEXNET["layers"]):
        x = F.max_pool2d(x, 2) if layer == "pool" else net.block(x, f"features.{i}", layer[0], layer[1], 1, layer[2], branch)
    return net.head(x.flatten(1), "classifier")


def resnet(net, x, branch):
    x = net.block(x, "convbnrelu_1", RESNET["width"], 3, 1, 1, branch)
    for stage in (1, 2):
        at, out, stride = f"layer{stage}.0", RESNET["width"] * stage, stage
        h = net.block(x, f"{at}.convbnrelu_1", out, 3, stride, 1, branch)
        h = net.block(h, f"{at}.convbn_2", out, 3, 1, 1, branch)
        x = F.relu(h + (net.block(x, f"{at}.shortcut", out, 1, stride, 0, branch) if stride > 1 else x))
    return net.head(x.mean((2, 3)), "linear")


def main():
    tensors, shapes = {}, {}
    for arch, run, settings in (("alexnet", alexnet, ALEXNET), ("resnet", resnet, RESNET)):
        n = BATCH * int(np.prod(settings["input"]))
        x = torch.tensor(2 * named("x", n).reshape(BATCH, *settings["input"]), dtype=torch.float64)
        y = torch.tensor(np.floor((named("y", BATCH) + 1) / 2 * CLASSES).astype(np.int64))
        for norm in ("in", "none"):
            for scheme in ("plain", "v1", "v2", "pan"):
                case = f"{arch}.{scheme}.{norm}"
                net = Net(scheme, norm, settings["passports"] if scheme != "plain" else ())
                loss = 0
                for branch in {"plain": ("public",), "v1": ("passport",)}.get(scheme, ("public", "private")):
                    logits = run(net, x, branch)
                    tensors[f"{case}.{branch}"] = logits
                    loss = loss + F.cross_entropy(logits, y)
                sign = sum(net.signs) if net.signs else torch.zeros((), dtype=torch.float64)
                tensors[f"{case}.sign"] = sign.reshape(1)
                (loss + sign).backward()
                for name in net.trained:
                    tensors[f"{case}.grad.{name}"] = net.p[name].grad.norm().reshape(1)
                    tensors[f"{case}.elements.{name}"] = sampled(net.p[name].grad)
                shapes[case] = net.shapes
    save(__file__, tensors, {"shapes": shapes})


main()
