"""
What float32 may make of the first two steps of PointNet with passport-aware normalisation, of which `pan_pointnet_bn` has the numbers that the authors' code gave in float32.

The network amplifies rounding more than those for images: its norms divide by the deviation of four clouds, maxima over points change hands, T-Nets multiply what comes before them, and Adam makes a step of ±lr even of a gradient
that is rounding alone. So everything is computed in float64, many times, with noise of float32's size on the output of every operation and on every gradient that comes back through it: intervals, from the lowest to the
highest of all runs, one of them without noise. A sum of n terms that are added one after the other in float32 is off by about 0.4 * sqrt(n) * 2^-24 of its size: the noise of an operation that sums n terms is normal
with a deviation of sqrt(n) * 2^-25 of the root mean square of its result.

`start.*` is beside the authors' numbers: the evaluation after the first training pass, before the first step of Adam. It shows the running statistics as sharply as float32 can.

    python3 test/golden/pointnet.py      prints where the float32 file lies, writes pointnet.safetensors
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

from common import save
from fill import filled, load, named

RUNS = 48
ROUNDING = 2.0**-25
SKIP = ("running_mean", "running_var", "num_batches_tracked", "sign_loss_private.b", ".conv.weight", ".linear.weight")
CHAIN = ("convp1", "convp2", "convp3", "p1", "p2", "p3")


class Noise(torch.autograd.Function):
    """x and the gradient that comes back, each with noise."""

    @staticmethod
    def forward(ctx, x, size):
        ctx.size = size
        return x + size * x.pow(2).mean().sqrt() * torch.randn_like(x)

    @staticmethod
    def backward(ctx, g):
        return g + ctx.size * g.pow(2).mean().sqrt() * torch.randn_like(g), None


def run(state, names, x, y, rounding, first=None):
    """What the golden file holds, by its names, computed once with noise of a size. `first` is given the gradients of the first step."""
    p = {k: torch.tensor(v, dtype=torch.float64) for k, v in state.items()}
    for k in names:
        p[k].requires_grad_(True)
    running = {}
    out = {}

    def noisy(h, terms=1):
        return Noise.apply(h, rounding * terms**0.5) if rounding else h

    def norm(h, at, training):
        mean, var = running.setdefault(at, (torch.zeros(h.shape[1], dtype=h.dtype), torch.ones(h.shape[1], dtype=h.dtype)))
        return F.batch_norm(h, mean, var, training=training)

    def channel(v, h):
        return v.view(1, -1, *[1] * (h.dim() - 2))

    def linear(h, name):
        w, b = p[name + ".weight"], p.get(name + ".linear.bias", p.get(name + ".conv.bias"))
        return noisy(F.linear(h, w, b) if h.dim() == 2 else F.conv1d(h, w, b), w.shape[1])

    def tnet(h, name, k, secret, training):
        for part in ("conv1", "conv2", "conv3", "fc1", "fc2"):
            at = f"{name}.{part}"
            bn = f"{at}.bn{secret}"
            h = linear(h, at)
            h = norm(h, bn, training) * channel(p[bn + ".weight"], h) + channel(p[bn + ".bias"], h)
            h = F.relu(noisy(h))
            if part == "conv3":
                h = h.max(2)[0]
        h = noisy(F.linear(h, p[name + ".fc3.weight"], p[name + ".fc3.bias"]), h.shape[1])
        return h.view(-1, k, k) + torch.eye(k, dtype=h.dtype)

    def transformed(h, t):
        return noisy(torch.bmm(h.transpose(1, 2), t).transpose(1, 2), t.shape[1])

    def passport(h, name, secret, training, signs):
        w, bias = p[name + ".weight"], p.get(name + ".linear.bias")
        gamma, beta = p[name + ".scale"], p[name + ".bias"]
        if secret:
            mean = lambda key: p[f"{name}.{key}_private"].flatten(2).mean(2) if w.dim() == 3 else p[f"{name}.{key}_private"]
            raw = [noisy(F.linear(mean(key), w.flatten(1), bias), w.shape[1]) for key in ("skey", "key")]
            fc = lambda v: noisy(F.linear(noisy(F.leaky_relu(F.linear(v, p[name + ".fc.0.weight"]), 0.01), v.shape[1]), p[name + ".fc.2.weight"]), v.shape[1] // 4)
            signs.append(0.1 * F.relu(0.1 - raw[0][0] * p[name + ".b"]).sum() + 1e-5 * (raw[0] ** 2).sum())
            gamma, beta = fc(raw[0])[0], fc(raw[1])[0]
        h = linear(h, name)
        if name != "p3":
            h = norm(h, name + ".bn0", training)
        h = noisy(h * channel(gamma, h) + channel(beta, h))
        return h if name in ("convp3", "p3") else F.relu(h)

    def network(secret, training, signs):
        h = transformed(x, tnet(x, "stn", 3, secret, training))
        h = passport(h, "convp1", secret, training, signs)
        a = tnet(h, "fstn", 64, secret, training)
        h = transformed(h, a)
        for name in CHAIN[1:]:
            h = passport(h, name, secret, training, signs)
            if name == "convp3":
                h = h.max(2)[0]
        penalty = torch.norm(torch.bmm(a, a.transpose(1, 2) - torch.eye(64, dtype=a.dtype)), dim=(1, 2)).mean()
        return F.log_softmax(h, 1), 0.001 * penalty

    def evaluate(what):
        with torch.no_grad():
            for secret, branch in enumerate(("public", "private")):
                out[f"{what}.{branch}"] = network(secret, False, [])[0].numpy()

    optimizer = torch.optim.Adam([p[k] for k in names], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4)
    losses = []
    for step in range(2):
        optimizer.zero_grad()
        signs, parts = [], []
        for secret, branch in enumerate(("public", "private")):
            logprob, penalty = network(secret, True, signs)
            out[f"logprob.{branch}.{step}"] = logprob.detach().numpy()
            parts.append(F.nll_loss(logprob, y) + penalty)
        parts.append(sum(signs))
        losses.append([float(v) for v in parts])
        sum(parts).backward()
        if step == 0:
            if first is not None:
                first.update({k: p[k].grad.clone() for k in names})
            for k in names:
                out["gradnorm." + k] = np.array([float(p[k].grad.norm())])
            evaluate("start")
        optimizer.step()
    out["losses"] = np.array(losses)
    evaluate("eval")
    return out


def inputs():
    """The golden file, the state, names of what is trained, clouds and labels."""
    meta, golden = load("pan_pointnet_bn")
    shapes = json.loads(meta["shapes"])
    state = {k: filled(k, s) for k, s in shapes.items() if not k.endswith(SKIP)}
    names = [k for k in state if "gradnorm." + k in golden]
    shape = json.loads(meta["x_shape"])
    x = torch.tensor(named("x", int(np.prod(shape))).astype(np.float32).reshape(shape), dtype=torch.float64)
    return golden, state, names, x, torch.tensor(golden["y"].astype(np.int64))


def start():
    """Gradients of the first step, without noise."""
    first = {}
    run(*inputs()[1:], 0.0, first)
    return first


def main():
    golden, state, names, x, y = inputs()
    results = [run(state, names, x, y, r) for r in [0.0] + [ROUNDING] * RUNS]
    tensors = {}
    for key in results[0]:
        values = np.stack([r[key] for r in results])
        low, high = values.min(0), values.max(0)
        tensors[key] = np.stack([low, high])
        found = golden[key].reshape(low.shape) if key in golden else values[0]
        outside = np.maximum(np.maximum(low - found, found - high), 0)
        print(f"{key}: largest {abs(values[0]).max():.3g}, width {(high - low).max():.1e}, exact to the file {abs(found - values[0]).max():.1e}, file outside by {outside.max():.1e}")
    save(__file__, tensors)


if __name__ == "__main__":
    main()
