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

# Weights of the classes, and rows that are left out.
weighted = []
for reduction in ("mean", "sum", "none"):
    for smoothing in (0.0, 0.2):
        for ignored in (None, 2, -100):
            for weigh in (True, False):
                if ignored is None and not weigh:
                    continue
                x, w = (4 * torch.randn(9, 5)).requires_grad_(), torch.rand(5) + 0.1 if weigh else None
                labels = torch.randint(0, 5, (9,))
                labels[[1, 4]] = 2 if ignored is None else ignored
                name = f"weighted.{len(weighted)}"
                options = {} if ignored is None else {"ignore_index": ignored}
                y = F.cross_entropy(x, labels, w, reduction=reduction, label_smoothing=smoothing, **options)
                differentiated(name, y, {"x": x})
                tensors[f"{name}.labels"] = labels
                if weigh:
                    tensors[f"{name}.w"] = w
                weighted.append({"name": name, "reduction": reduction, "labelSmoothing": smoothing, **({} if ignored is None else {"ignoreIndex": ignored})})
# All rows left out: a mean of nothing.
for reduction in ("mean", "sum", "none"):
    x, labels = torch.randn(3, 4).requires_grad_(), torch.full((3,), -100)
    name = f"weighted.{len(weighted)}"
    differentiated(name, F.cross_entropy(x, labels, torch.rand(4) + 0.1, reduction=reduction), {"x": x})
    tensors[f"{name}.labels"] = labels
    weighted.append({"name": name, "reduction": reduction, "labelSmoothing": 0.0, "ignoreIndex": -100})

# Probabilities of all classes in the place of labels.
soft = []
for reduction in ("mean", "sum", "none"):
    for smoothing in (0.0, 0.2):
        for weigh in (False, True):
            x, t = (4 * torch.randn(9, 5)).requires_grad_(), torch.softmax(2 * torch.randn(9, 5), 1).requires_grad_()
            w = torch.rand(5) + 0.1 if weigh else None
            name = f"soft.{len(soft)}"
            differentiated(name, F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing), {"x": x, "t": t})
            if weigh:
                tensors[f"{name}.w"] = w
            soft.append({"name": name, "reduction": reduction, "labelSmoothing": smoothing})

save(__file__, tensors, {"softmaxes": softmaxes, "losses": losses, "pairs": pairs, "weighted": weighted, "soft": soft})
