"""A training step of AlexNet and ResNet-18 (CIFAR form), plain and with passports, and an inference, in PyTorch, to set beside `npm run bench -- schemes`.

    python3 bench/torch_step.py [--width 1] [--batch 64] [--rounds 5] [--steps 20] [--schemes plain,v1,v2,v3,pan]

Passports as the papers' code has them: convolved in every pass, and a forward pass a branch. They sit in the last three convolutions, or the last stage. V3 is V2 with two triggers in the batch.
Prints one JSON line a measurement; on a GPU with reduced-precision matrix products off and on. Needs torch, which the project itself does not.
"""
import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=float, default=1)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--schemes", default="plain,v1,v2,v3,pan")
args = parser.parse_args()
device = "cuda" if torch.cuda.is_available() else "cpu"
IMAGES, SIGN_MARGIN, SIGN_WEIGHT = 50_000, 0.1, 0.1


class Block(nn.Module):
    """Convolution, norm, ReLU; with a scheme, a passport layer."""

    def __init__(self, i, o, kernel, stride=1, size=None, scheme="plain"):
        super().__init__()
        self.scheme = scheme
        self.conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)
        if scheme == "plain":
            self.norm = nn.BatchNorm2d(o)
            return
        for name in ("key", "skey"):
            self.register_buffer(name, torch.rand(1, i, size, size) * 2 - 1)
        self.register_buffer("b", torch.randint(0, 2, (o,)) * 2.0 - 1)
        if scheme == "v1":
            self.norm = nn.BatchNorm2d(o, affine=False)
            return
        groups = max(1, o // 16)
        make = (lambda: nn.BatchNorm2d(o, affine=False)) if scheme == "pan" else (lambda: nn.GroupNorm(groups, o, affine=False))
        self.norms = nn.ModuleList([make(), make()])
        self.scale, self.bias = nn.Parameter(torch.ones(o)), nn.Parameter(torch.zeros(o))
        self.fc = nn.Sequential(nn.Linear(o, max(1, o // 4), bias=False), nn.LeakyReLU(), nn.Linear(max(1, o // 4), o, bias=False)) if scheme == "pan" else nn.Identity()

    def forward(self, x, private=False):
        h = self.conv(x)
        if self.scheme == "plain":
            return torch.relu(self.norm(h))
        if self.scheme != "v1" and not private:
            return torch.relu(self.norms[0](h) * self.scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1))
        self.gamma = self.conv(self.skey).mean((0, 2, 3))
        raw, beta = self.gamma, self.conv(self.key).mean((0, 2, 3))
        if self.scheme == "v1":
            norm, gamma = self.norm, raw
        else:
            norm, gamma, beta = self.norms[1], self.fc(raw), self.fc(beta)
        return torch.relu(norm(h) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1))

    def sign_loss(self):
        return SIGN_WEIGHT * F.relu(SIGN_MARGIN - self.gamma * self.b).sum()


def through(layers, x, private):
    for layer in layers:
        x = layer(x, private) if isinstance(layer, (Block, Basic)) else layer(x)
    return x


class Basic(nn.Module):
    def __init__(self, i, o, stride, size, scheme):
        super().__init__()
        out = size // stride
        self.body = nn.ModuleList([Block(i, o, 3, stride, size, scheme), Block(o, o, 3, 1, out, scheme)])
        self.shortcut = Block(i, o, 1, stride, size, scheme) if stride > 1 or i != o else None

    def forward(self, x, private):
        shortcut = self.shortcut(x, private) if self.shortcut else x
        return torch.relu(through(self.body, x, private) + shortcut)


class Net(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x, private=False):
        return through(self.layers, x, private)


def alexnet(scheme):
    c = [max(1, round(n * args.width)) for n in (64, 192, 384, 256, 256)]
    pool = lambda: nn.MaxPool2d(2)
    return Net(
        Block(3, c[0], 5), pool(), Block(c[0], c[1], 5), pool(), Block(c[1], c[2], 3, 1, 8, scheme), Block(c[2], c[3], 3, 1, 8, scheme),
        Block(c[3], c[4], 3, 1, 8, scheme), pool(), nn.Flatten(), nn.Linear(c[4] * 16, 10),
    )


def resnet18(scheme):
    w = max(1, round(64 * args.width))
    layers, i, size = [Block(3, w, 3)], w, 32
    for stage, o in enumerate((w, 2 * w, 4 * w, 8 * w)):
        for n in range(2):
            stride = 2 if stage and n == 0 else 1
            layers.append(Basic(i, o, stride, size, scheme if stage == 3 else "plain"))
            i, size = o, size // stride
    return Net(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10))


def sync():
    if device == "cuda":
        torch.cuda.synchronize()


def timed(call):
    sync()
    started = time.perf_counter()
    for _ in range(args.steps):
        call()
    sync()
    return (time.perf_counter() - started) / args.steps * 1000


def measure(name, make, scheme, reduced):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = reduced
    model = make("v2" if scheme == "v3" else scheme).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    rows = args.batch + (2 if scheme == "v3" else 0)
    x, y = torch.randn(rows, 3, 32, 32, device=device), torch.randint(0, 10, (rows,), device=device)
    passes = {"plain": [False], "v1": [True]}.get(scheme, [False, True])
    secret = [m for m in model.modules() if isinstance(m, Block) and m.scheme != "plain"]

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = sum(F.cross_entropy(model(x, private), y) for private in passes)
        for block in secret:
            loss = loss + block.sign_loss()
        loss.backward()
        optimizer.step()

    def infer():
        with torch.no_grad():
            model(x)

    train, inference = [], []
    for turn in range(-1, args.rounds):
        model.train()
        a = timed(step)
        model.eval()
        b = timed(infer)
        if turn >= 0:
            train.append(a)
            inference.append(b)
    median = lambda v: sorted(v)[len(v) // 2]
    print(json.dumps({
        "torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "arch": name, "scheme": scheme, "width": args.width,
        "batch": args.batch, "reducedPrecision": reduced, "trainMs": median(train), "inferenceMs": median(inference), "epochSeconds": median(train) * IMAGES / args.batch / 1000,
    }), flush=True)


for name, make in (("alexnet", alexnet), ("resnet18", resnet18)):
    for scheme in args.schemes.split(","):
        for reduced in (False, True) if device == "cuda" else (False,):
            measure(name, make, scheme, reduced)
