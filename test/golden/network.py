"""Three training steps of a small network, and what PyTorch's initialisers are computed from.

Everything named like a state dict (start.*, grad.*, end.*) is in PyTorch's own order; the images are channels-last.
"""
import torch
import torch.nn.functional as F
from common import nhwc, save
from torch import nn

out = {}
net = nn.Sequential(
    nn.Conv2d(3, 6, 3, padding=1),
    nn.BatchNorm2d(6),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 8, 3, stride=2, groups=2, bias=False),
    nn.GroupNorm(4, 8),
    nn.Flatten(),
    nn.Linear(8 * 3 * 2, 5),
)
with torch.no_grad():
    for p in net.parameters():
        if p.dim() == 1:
            p.add_(0.3 * torch.randn_like(p))
out.update({f"start.{k}": v.clone() for k, v in net.state_dict().items()})

sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
losses = []
for step in range(3):
    x, labels = torch.randn(7, 3, 15, 11), torch.randint(5, (7,))
    out.update({f"x.{step}": nhwc(x), f"labels.{step}": labels.int()})
    logits = net(x)
    loss = F.cross_entropy(logits, labels)
    sgd.zero_grad()
    loss.backward()
    if step == 0:
        out["logits"] = logits
        out.update({f"grad.{k}": p.grad.clone() for k, p in net.named_parameters()})
    sgd.step()
    losses.append(loss.item())
out["losses"] = torch.tensor(losses)
out.update({f"end.{k}": v.clone() for k, v in net.state_dict().items()})
net.eval()
out["eval"] = net(x)

# Numbers behind the initialisers: our weights end in [..., in, out], PyTorch's begin with [out, in].
inits = []
for ours, theirs in (
    ([12, 30], [30, 12]),
    ([3, 3, 16, 24], [24, 16, 3, 3]),
    ([5, 1, 4, 18], [18, 4, 5, 1]),
    ([7, 6, 10], [10, 6, 7]),
):
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(*theirs))
    inits.append(dict(ours=ours, fanIn=fan_in, fanOut=fan_out))
gains = {name: nn.init.calculate_gain(name) for name in ("linear", "relu", "tanh", "sigmoid")}
gains["leakyRelu"] = nn.init.calculate_gain("leaky_relu", 0.2)

save(__file__, out, {"inits": inits, "gains": gains})
