"""Ten steps of PyTorch's optimisers on fixed gradients, and gradient clipping."""
import torch
from common import save

SHAPES = [(7,), (3, 5), (1,), (130,), (2, 3, 4)]
STEPS = 10
CUT = 5  # from this step on the learning rate is a tenth

CONFIGS = [
    {"name": "sgd", "type": "SGD", "lr": 0.1},
    {"name": "sgd_wd", "type": "SGD", "lr": 0.1, "weight_decay": 5e-2},
    {"name": "momentum", "type": "SGD", "lr": 0.05, "momentum": 0.9},
    {"name": "momentum_wd", "type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
    {"name": "nesterov", "type": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    {"name": "dampening", "type": "SGD", "lr": 0.05, "momentum": 0.8, "dampening": 0.3},
    {"name": "dampening_skip", "type": "SGD", "lr": 0.05, "momentum": 0.8, "dampening": 0.3, "skip": True},
    {"name": "momentum_cut", "type": "SGD", "lr": 0.05, "momentum": 0.9, "cut": True},
    {"name": "adam", "type": "Adam"},
    {"name": "adam_wd", "type": "Adam", "lr": 1e-2, "betas": [0.8, 0.99], "weight_decay": 1e-1},
    {"name": "adam_eps", "type": "Adam", "lr": 1e-2, "betas": [0.0, 0.9], "eps": 1e-2},
    {"name": "adam_skip", "type": "Adam", "lr": 1e-2, "skip": True},
    {"name": "adamw", "type": "AdamW", "lr": 1e-2},
    {"name": "adamw_cut", "type": "AdamW", "lr": 1e-2, "weight_decay": 0.3, "cut": True},
]

starts = [torch.randn(s) for s in SHAPES]
grads = [[torch.randn(s) for s in SHAPES] for _ in range(STEPS)]


def skipped(config, step, i):
    """With "skip", parameter i has a gradient only from step i on, and not at step 6 when i is odd."""
    return bool(config.get("skip")) and (step < i or (step == 6 and i % 2 == 1))


out = {f"start.{i}": w for i, w in enumerate(starts)}
for t, gs in enumerate(grads):
    out.update({f"grad.{t}.{i}": g for i, g in enumerate(gs)})
for config in CONFIGS:
    params = [w.clone().requires_grad_() for w in starts]
    options = {k: v for k, v in config.items() if k not in ("name", "type", "skip", "cut")}
    optimizer = getattr(torch.optim, config["type"])(params, **options)
    for t in range(STEPS):
        if config.get("cut") and t == CUT:
            optimizer.param_groups[0]["lr"] *= 0.1
        for i, p in enumerate(params):
            p.grad = None if skipped(config, t, i) else grads[t][i].clone()
        optimizer.step()
        if t == 0:
            out.update({f"{config['name']}.first.{i}": p.clone() for i, p in enumerate(params)})
    out.update({f"{config['name']}.{i}": p for i, p in enumerate(params)})

LIMITS = [0.5, 2.0, 1e4]
for limit in LIMITS:
    params = [w.clone().requires_grad_() for w in starts]
    for p, g in zip(params, grads[0]):
        p.grad = g.clone()
    out[f"norm.{limit}"] = torch.nn.utils.clip_grad_norm_(params, limit)
    out.update({f"clipped.{limit}.{i}": p.grad for i, p in enumerate(params)})

params = [w.clone().requires_grad_() for w in starts]
for p, g in zip(params, grads[0]):
    p.grad = g.clone()
torch.nn.utils.clip_grad_value_(params, 0.4)
out.update({f"clamped.{i}": p.grad for i, p in enumerate(params)})

save(__file__, out, {"configs": CONFIGS, "limits": [str(x) for x in LIMITS], "cut": CUT, "steps": STEPS})
