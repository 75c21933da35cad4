"""Exponential moving averages of weights by PyTorch's AveragedModel, with buffers and without."""
import torch
from torch.optim.swa_utils import AveragedModel

from common import save

DECAY, STEPS = 0.8, 5
tensors = {}
net = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2, bias=False))
average = lambda mine, new, _: DECAY * mine + (1 - DECAY) * new
models = {kind: AveragedModel(net, avg_fn=average, use_buffers=kind == "buffers") for kind in ["plain", "buffers"]}
floats = lambda module: {k: v for k, v in module.state_dict().items() if v.dtype == torch.float32}
for step in range(STEPS):
    with torch.no_grad():
        for t in floats(net).values():
            t.copy_(torch.rand_like(t))
    tensors.update({f"weights.{step}.{name}": t.clone() for name, t in floats(net).items()})
    for kind, model in models.items():
        model.update_parameters(net)
        kept = model.module.state_dict() if kind == "buffers" else dict(model.module.named_parameters())
        tensors.update({f"{kind}.{step}.{k}": t.clone() for k, t in kept.items() if t.dtype == torch.float32})
tensors.update({f"state.{name}": t for name, t in models["plain"].state_dict().items()})

save(__file__, tensors, {"decay": DECAY, "steps": STEPS})
