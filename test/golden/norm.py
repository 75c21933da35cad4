"""Normalisations and their gradients, in the package's channels-last layout."""
import torch
import torch.nn.functional as F
from common import nhwc, save

out, cases = {}, []


def leaf(*shape):
    return torch.randn(*shape).requires_grad_()


def case(name, kind, x, gamma, beta, run, last, **options):
    """Runs the forward and a backward with a random seed gradient; `last` brings images to channels-last."""
    y = run(x, gamma, beta)
    if options.get("relu"):
        y = F.relu(y)
    g = torch.randn_like(y)
    y.backward(g)
    tensors = dict(x=last(x), y=last(y), g=last(g), dx=last(x.grad), gamma=gamma, beta=beta)
    if gamma is not None:
        tensors.update(dgamma=gamma.grad, dbeta=beta.grad)
    out.update({f"{name}.{k}": v for k, v in tensors.items() if v is not None})
    cases.append(dict(name=name, kind=kind, **options))


same = lambda t: t
bn = lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True)
case("bn4", "batch", leaf(3, 8, 5, 7), leaf(8), leaf(8), bn, nhwc)
case("bnRelu", "batch", leaf(4, 5, 6, 3), leaf(5), leaf(5), bn, nhwc, relu=True)
case("bnPlain", "batch", leaf(9, 6), None, None, bn, same)

mean, var = torch.randn(6), torch.rand(6) + 0.2
out.update({"bnEval.mean": mean, "bnEval.var": var})
case("bnEval", "batch", leaf(2, 6, 3, 4), leaf(6), leaf(6), lambda x, g, b: F.batch_norm(x, mean, var, g, b, eps=1e-3), nhwc, relu=True, eps=1e-3, fixed=True)

for groups, channels in ((1, 6), (2, 8), (3, 9), (4, 4)):
    gn = lambda x, g, b: F.group_norm(x, groups, g, b)
    case(f"gn{groups}", "group", leaf(2, channels, 5, 4), leaf(channels), leaf(channels), gn, nhwc, groups=groups, relu=groups == 2)
case("in", "instance", leaf(3, 7, 4, 5), leaf(7), leaf(7), lambda x, g, b: F.instance_norm(x, weight=g, bias=b), nhwc)
case("ln1", "layer", leaf(6, 5, 12), leaf(12), leaf(12), lambda x, g, b: F.layer_norm(x, [12], g, b), same, dims=1)
case("ln3", "layer", leaf(3, 4, 5, 3), leaf(4, 5, 3), leaf(4, 5, 3), lambda x, g, b: F.layer_norm(x, [4, 5, 3], g, b), same, dims=3, relu=True)

# Running statistics over three steps, then an evaluation with them.
module = torch.nn.BatchNorm2d(5, momentum=0.3)
for step in range(3):
    x = torch.randn(2, 5, 4, 3) * (step + 1) + step
    module(x)
    out.update({f"steps.x{step}": nhwc(x), f"steps.mean{step}": module.running_mean.clone(), f"steps.var{step}": module.running_var.clone()})
module.eval()
out["steps.y"] = nhwc(module(x))

# A mean of 10,000 deviations, worked in float64 from the float32 input.
x = (1000 + 0.1 * torch.randn(4, 6, 9, 9)).requires_grad_()
g = torch.randn(4, 6, 9, 9)
far = x.detach().double().requires_grad_()
y = F.batch_norm(far, None, None, training=True)
y.backward(g.double())
out.update({"far.x": nhwc(x), "far.y": nhwc(y), "far.g": nhwc(g), "far.dx": nhwc(far.grad)})


def rms_case(name, x, gamma, dims, eps):
    y = x * torch.rsqrt(x.square().mean(dims, keepdim=True) + eps) * gamma
    g = torch.randn_like(y)
    y.backward(g)
    out.update({f"{name}.{k}": v for k, v in dict(x=x, y=y, g=g, dx=x.grad, gamma=gamma, dgamma=gamma.grad).items()})
    cases.append(dict(name=name, kind="rms", dims=len(dims), eps=eps))


rms_case("rms1", leaf(6, 5, 12), leaf(12), [-1], 1e-5)
rms_case("rms2", (3 + torch.randn(4, 5, 3)).requires_grad_(), leaf(5, 3), [-2, -1], 1e-6)
rms_case("rmsEps", leaf(5, 7), leaf(7), [-1], 0.5)

save(__file__, out, {"cases": cases})
