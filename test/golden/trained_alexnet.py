"""
A small AlexNet with passport-aware normalisation, trained by PyTorch and saved whole under the names, duplicates included, that the authors' code gives: an eighth of
the channels, passports at layers 4, 5 and 6, the text ACME in layer 6, on the 3,000 images of examples/data.

    /usr/bin/python3 test/golden/trained_alexnet.py      trains (a minute), prints its accuracies, writes trained_alexnet.safetensors

Beside the state: `expect.logits.public`, `expect.logits.private` and `expect.labels` for the first 100 images of the test sample, in evaluation mode.
"""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import save

torch.set_num_threads(2)
HERE = os.path.dirname(os.path.abspath(__file__))
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)
CHANNELS = {0: (3, 8, 5), 2: (8, 24, 5), 4: (24, 48, 3), 5: (48, 32, 3), 6: (32, 32, 3)}
POOLS = (1, 3, 7)
TEXT = "ACME"
EPOCHS, BATCH, SHOWN = 8, 50, 100


def images(name):
    raw = np.fromfile(os.path.join(HERE, "..", "..", "examples", "data", name), np.uint8).reshape(-1, 3073)
    x = torch.tensor(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    return (x - MEAN) / STD, torch.tensor(raw[:, 0].astype(np.int64))


class Plain(nn.Module):
    def __init__(self, i, o, k):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, padding=k // 2, bias=False)
        self.bn = nn.BatchNorm2d(o)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x, private):
        return F.relu(self.bn(self.conv(x)))


class SignLoss(nn.Module):
    def __init__(self, b):
        super().__init__()
        self.register_buffer("b", b)


class PassportAware(nn.Module):
    """gamma and beta as the papers write them: the average of the convolved passport, through the FC."""

    def __init__(self, i, o, k, size, text):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, padding=k // 2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.weight = self.conv.weight
        self.scale = nn.Parameter(torch.ones(o))
        self.bias = nn.Parameter(torch.zeros(o))
        bits = torch.sign(torch.rand(o) - 0.5)
        spelled = [1.0 if ord(c) >> (7 - k) & 1 else -1.0 for c in text for k in range(8)]
        bits[: len(spelled)] = torch.tensor(spelled)
        self.register_buffer("b", bits)
        self.sign_loss_private = SignLoss(self.b)
        self.register_buffer("key_private", torch.rand(1, i, size, size) * 2 - 1)
        self.register_buffer("skey_private", torch.rand(1, i, size, size) * 2 - 1)
        self.bn0 = nn.BatchNorm2d(o, affine=False)
        self.bn1 = nn.BatchNorm2d(o, affine=False)
        self.fc = nn.Sequential(nn.Linear(o, o // 4, bias=False), nn.LeakyReLU(), nn.Linear(o // 4, o, bias=False))

    def gamma(self):
        return self.conv(self.skey_private).mean((0, 2, 3))

    def sign_loss(self):
        g = self.gamma()
        return 0.1 * F.relu(0.1 - g * self.b).sum() + 1e-5 * (g**2).sum()

    def forward(self, x, private):
        h = self.conv(x)
        h = self.bn1(h) if private else self.bn0(h)
        g, b = (self.gamma(), self.conv(self.key_private).mean((0, 2, 3))) if private else (self.scale, self.bias)
        if private:
            g, b = self.fc(g), self.fc(b)
        return F.relu(g.view(1, -1, 1, 1) * h + b.view(1, -1, 1, 1))


class AlexNet(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for i in range(8):
            if i in POOLS:
                layers.append(nn.MaxPool2d(2))
            elif i >= 4:
                layers.append(PassportAware(*CHANNELS[i], 8, TEXT if i == 6 else ""))
            else:
                layers.append(Plain(*CHANNELS[i]))
        self.features = nn.ModuleList(layers)
        self.classifier = nn.Linear(4 * 4 * 32, 10)

    def forward(self, x, private=False):
        for i, f in enumerate(self.features):
            x = f(x) if i in POOLS else f(x, private)
        return self.classifier(x.flatten(1))

    def sign_loss(self):
        return sum(f.sign_loss() for f in self.features if isinstance(f, PassportAware))


def main():
    torch.manual_seed(3)
    (x, y), (tx, ty) = images("train_sample.bin"), images("test_sample.bin")
    net = AlexNet()
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            a = x[batch]
            a = torch.where(torch.rand(len(a), 1, 1, 1) < 0.5, a.flip(3), a)
            loss = F.cross_entropy(net(a), y[batch]) + F.cross_entropy(net(a, True), y[batch]) + net.sign_loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        for private in (False, True):
            share = (net(tx, private).argmax(1) == ty).float().mean()
            print("private" if private else "public ", f"{float(share):.3f} of the test sample")
        bits = [(torch.sign(f.gamma()) == f.b).sum().item() for f in net.features if isinstance(f, PassportAware)]
        print("bits matched:", bits)
        state = dict(net.state_dict())
        state["expect.logits.public"], state["expect.logits.private"] = net(tx[:SHOWN]), net(tx[:SHOWN], True)
        state["expect.labels"] = ty[:SHOWN]
    save(__file__, state, {"signature": TEXT, "passports": {"4": True, "5": True, "6": TEXT}})


main()
