"""Reference numbers of operations at the ends of f32: zeros of either sign, infinities, NaN, the greatest and the least numbers."""
import torch

from common import save

nan, inf = float("nan"), float("inf")
MOST, LEAST, TINY = 3.4028234663852886e38, 1.1754943508222875e-38, 1.401298464324817e-45
VALUES = [0.0, -0.0, inf, -inf, nan, 1, -1, 2, -2, 3, 0.5, -0.5, -7.5, 1.0000001, 0.99999994, 0.1, MOST, -MOST, LEAST, -LEAST,
          TINY, -TINY, 1e-40, 88.8, -88.8, 104, -104, 1e20, -1e20, 1e-20, -1e-20, 16777216]
FEW = [0.0, -0.0, inf, -inf, nan, 1, -2, 3, MOST, -MOST, LEAST, TINY, -TINY, 1e20, -1e-20]
EXPONENTS = [0, 1, 2, 3, -1, -2, -3, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1 / 3, 4, 7, 64, 65, 100.5, 1000, 1001, -1001, 16777216, 1e10, 1e38, inf, -inf]

tensors, cases = {}, []


def case(op, f, inputs, seed=None, **more):
    inputs = [torch.tensor(x) if not isinstance(x, torch.Tensor) else x for x in inputs]
    inputs = [x.clone().float().requires_grad_() for x in inputs]
    y = f(*inputs)
    name = f"{op}.{len(cases)}"
    for i, x in enumerate(inputs):
        tensors[f"{name}.x{i}"] = x
    tensors[f"{name}.y"] = y.float() if y.dtype == torch.bool else (y if y.dtype != torch.int64 else y.float())
    has_grad = y.requires_grad
    if has_grad:
        y.backward(torch.ones_like(y) if seed is None else seed)
        for i, x in enumerate(inputs):
            tensors[f"{name}.dx{i}"] = x.grad
    cases.append({"name": name, "op": op, "inputs": len(inputs), "grad": has_grad, **more})


leaky = torch.nn.functional.leaky_relu
for op, f in [("neg", torch.neg), ("abs", torch.abs), ("exp", torch.exp), ("log", torch.log), ("sqrt", torch.sqrt), ("square", torch.square),
              ("reciprocal", torch.reciprocal), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("relu", torch.relu)]:
    case(op, f, [VALUES])
for a in [0.1, 0]:
    case("leakyRelu", lambda x: leaky(x, a), [VALUES], a=str(a))
for a, b in [(-0.5, 2), (2, 1), (-inf, 0), (0, inf)]:
    case("clamp", lambda x: torch.clamp(x, a, b), [VALUES], a=str(a), b=str(b))
for a, b in [(3, -1), (0, 1), (1, 0)]:
    case("affine", lambda x: a * x + b, [VALUES], a=str(a), b=str(b))
for a in [0, 3, -2, 0.1, 1e-20, inf, nan, MOST]:
    for op, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)]:
        case(f"{op}Number", lambda x: f(x, a), [VALUES], a=str(a))
for a in EXPONENTS:
    case("pow", lambda x: torch.pow(x, a), [VALUES], a=str(a))

a, b = [t.flatten() for t in torch.meshgrid(torch.tensor(FEW), torch.tensor(FEW), indexing="ij")]
for op, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div), ("maximum", torch.maximum), ("minimum", torch.minimum),
              ("equal", torch.eq), ("greater", torch.gt), ("greaterEqual", torch.ge), ("less", torch.lt), ("lessEqual", torch.le)]:
    case(op, f, [a, b])
case("mseLoss", lambda x, t: torch.nn.functional.mse_loss(x, t, reduction="none"), [a, b])
bce = torch.nn.functional.binary_cross_entropy_with_logits
x, t = [v.flatten() for v in torch.meshgrid(torch.tensor(VALUES), torch.tensor([0.0, 1.0, 0.25]), indexing="ij")]
case("binaryCrossEntropyWithLogits", lambda x: bce(x, t, reduction="none"), [x])

ROWS = [[1, nan, 2, 0], [inf, -inf, 0, 1], [MOST, MOST, 0, 1], [-0.0, 0.0, -1, -1], [nan, nan, inf, 1], [inf, 1, inf, 2], [-inf, 0, 1, -1], [-inf] * 4, [3, 3, 3, 3]]
seed = torch.tensor([[0.5, -1, 2, 1]]).expand(len(ROWS), 4)
case("sum", lambda x: x.sum(1), [ROWS])
case("mean", lambda x: x.mean(1), [ROWS])
case("amax", lambda x: x.amax(1), [ROWS])
case("amin", lambda x: x.amin(1), [ROWS])
case("argmax", lambda x: x.argmax(1), [ROWS])
case("variance", lambda x: x.var(1), [ROWS])
case("variance", lambda x: x.var(1), [[[1.0], [nan], [inf]]])
case("softmax", lambda x: x.softmax(1), [ROWS], seed)
case("logSoftmax", lambda x: x.log_softmax(1), [ROWS], seed)
labels = torch.tensor([0, 1, 2, 3, 0, 1, 0, 3, 2])
case("crossEntropy", lambda x: torch.nn.functional.cross_entropy(x, labels, reduction="none"), [ROWS])

# In float64, as in float32 the approximations of GELU overflow at 1e20, and Hardswish at the greatest number.
F = torch.nn.functional
case("gelu", lambda x: F.gelu(x.double()).float(), [VALUES])
case("geluTanh", lambda x: F.gelu(x.double(), approximate="tanh").float(), [VALUES])
case("silu", F.silu, [VALUES])
case("hardswish", lambda x: F.hardswish(x.double()).float(), [VALUES])

save(__file__, tensors, {"cases": cases})
