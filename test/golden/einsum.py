"""Reference numbers of einsum: values, and gradients by every operand."""
import torch

from common import save

# equation, shapes of the operands
CASES = [
    ("ij,jk->ik", [3, 4], [4, 5]),
    ("ij,jk", [3, 4], [4, 5]),
    ("ab,cb->ca", [3, 4], [5, 4]),
    ("ki,kj->ij", [4, 3], [4, 5]),
    ("bik,bkj->bij", [2, 3, 4], [2, 4, 5]),
    ("ibk,kjb->jbi", [3, 2, 4], [4, 5, 2]),
    ("bhqd,bhkd->bhqk", [2, 3, 4, 5], [2, 3, 6, 5]),
    ("bthd,bshd->bhts", [2, 3, 2, 4], [2, 5, 2, 4]),
    ("ijk,jik->k", [3, 4, 2], [4, 3, 2]),
    ("abcd,cbef->aefd", [2, 3, 4, 2], [4, 3, 2, 3]),
    ("i,j->ij", [3], [4]),
    ("i,i", [7], [7]),
    ("bi,bi->b", [3, 5], [3, 5]),
    ("ij,ij->ij", [3, 4], [3, 4]),
    ("ij,i->j", [3, 4], [3]),
    ("ij,kl->il", [3, 4], [2, 5]),
    ("...ij,...jk->...ik", [2, 1, 3, 4], [5, 4, 2]),
    ("...i,...i->...", [5, 1, 3], [4, 3]),
    ("i...j,j->...i", [3, 2, 4], [4]),
    ("...j->j", [2, 3, 4], None),
    ("i...j", [2, 3, 4], None),
    ("Ba", [3, 4], None),
    ("ba", [3, 4], None),
    ("ijk->kij", [2, 3, 4], None),
    ("ijk->j", [2, 3, 4], None),
    ("ij->", [3, 4], None),
    ("ii", [4, 4], None),
    ("ii->i", [4, 4], None),
    ("iji->ji", [3, 2, 3], None),
    ("ii,ij->j", [3, 3], [3, 4]),
    ("ij,jk", [1, 3], [1, 4]),
    ("ij,ij->i", [2, 3], [2, 1]),
    ("ij,jk,kl->il", [2, 3], [3, 4], [4, 5]),
    ("bi,oij,bj->bo", [3, 4], [2, 4, 5], [3, 5]),
    ("i,i,i,ij->j", [3], [3], [3], [3, 2]),
    (",i", [], [3]),
]

tensors, cases = {}, []
for i, (equation, *shapes) in enumerate(CASES):
    xs = [torch.randn(s).requires_grad_() for s in shapes if s is not None]
    y = torch.einsum(equation, *xs)
    g = torch.randn(y.shape)
    y.backward(g)
    tensors.update({f"{i}.y": y, f"{i}.g": g})
    for j, x in enumerate(xs):
        tensors.update({f"{i}.x{j}": x, f"{i}.dx{j}": x.grad})
    cases.append({"equation": equation, "operands": len(xs)})

save(__file__, tensors, {"cases": cases})
