"""Reference numbers of softmax and the losses: values and gradients."""
import torch
import torch.nn.functional as F

from common import save

tensors, softmaxes, losses, pairs = {}, [], [], []


def differentiated(name, y, inputs):
    g = torch.randn(y.shape)
    for t in inputs.values():
        t.grad = None
    y.backward(g)
    tensors.update({f"{name}.y": y, f"{name}.g": g})
    tensors.update({f"{name}.{k}": t for k, t in inputs.items()})
    tensors.update({f"{name}.d{k}": t.grad for k, t in inputs.items()})


for op, f in {"softmax": F.softmax, "logSoftmax": F.log_softmax}.items():
    for shape, axis in [([7, 10], -1), ([4, 5, 6], 1), ([3, 4, 2], 0), ([9], 0)]:
        x = (5 * torch.randn(shape)).requires_grad_()
        name = f"{op}.{len(softmaxes)}"
        differentiated(name, f(x, axis), {"x": x})
        softmaxes.append({"name": name, "op": op, "axis": axis})

for reduction in ("mean", "sum", "none"):
    for smoothing in (0.0, 0.1):
        x = (5 * torch.randn(13, 7)).requires_grad_()
        labels = torch.randint(0, 7, (13,))
        name = f"crossEntropy.{len(losses)}"
        differentiated(name, F.cross_entropy(x, labels, reduction=reduction, label_smoothing=smoothing), {"x": x})
        tensors[f"{name}.labels"] = labels
        losses.append({"name": name, "op": "crossEntropy", "reduction": reduction, "labelSmoothing": smoothing})
    x = torch.randn(11, 5).requires_grad_()
    labels = torch.randint(0, 5, (11,))
    name = f"nllLoss.{len(losses)}"
    differentiated(name, F.nll_loss(x, labels, reduction=reduction), {"x": x})
    tensors[f"{name}.labels"] = labels
    losses.append({"name": name, "op": "nllLoss", "reduction": reduction})
    for op, f in {"mseLoss": F.mse_loss, "binaryCrossEntropyWithLogits": F.binary_cross_entropy_with_logits}.items():
        x, t = (4 * torch.randn(3, 11)).requires_grad_(), torch.rand(3, 11).requires_grad_()
        name = f"{op}.{len(pairs)}"
        differentiated(name, f(x, t, reduction=reduction), {"x": x, "t": t})
        pairs.append({"name": name, "op": op, "reduction": reduction})

save(__file__, tensors, {"softmaxes": softmaxes, "losses": losses, "pairs": pairs})
