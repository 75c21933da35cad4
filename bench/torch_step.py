"""A training step and an inference of the plain AlexNet and ResNet-18 (CIFAR form) in PyTorch, to set beside `npm run bench -- schemes`.

    python3 bench/torch_step.py [--width 1] [--batch 64] [--rounds 5] [--steps 20]

Prints one JSON line a measurement; on a GPU with reduced-precision matrix products off and on. Needs torch, which the project itself does not.
"""
import argparse
import json
import time

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=float, default=1)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=20)
args = parser.parse_args()
device = "cuda" if torch.cuda.is_available() else "cpu"


def block(i, o, kernel, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def alexnet():
    c = [max(1, round(n * args.width)) for n in (64, 192, 384, 256, 256)]
    pool = lambda: nn.MaxPool2d(2)
    return nn.Sequential(
        block(3, c[0], 5), pool(), block(c[0], c[1], 5), pool(), block(c[1], c[2], 3), block(c[2], c[3], 3),
        block(c[3], c[4], 3), pool(), nn.Flatten(), nn.Linear(c[4] * 16, 10),
    )


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(block(i, o, 3, stride), block(o, o, 3))
        self.shortcut = block(i, o, 1, stride) if stride > 1 or i != o else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18():
    w = max(1, round(64 * args.width))
    layers, i = [block(3, w, 3)], w
    for stage, o in enumerate((w, 2 * w, 4 * w, 8 * w)):
        for n in range(2):
            layers.append(Basic(i, o, 2 if stage and n == 0 else 1))
            i = o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10))


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


for name, make in (("alexnet", alexnet), ("resnet18", resnet18)):
    for reduced in (False, True) if device == "cuda" else (False,):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = reduced
        model = make().to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        x, y = torch.randn(args.batch, 3, 32, 32, device=device), torch.randint(0, 10, (args.batch,), device=device)

        def step():
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(x), y).backward()
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
            "torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "arch": name, "width": args.width,
            "batch": args.batch, "reducedPrecision": reduced, "trainMs": median(train), "inferenceMs": median(inference),
        }), flush=True)
