"""Reference numbers for embeddings, with gradients: repeated indices, a padding row."""
import torch

from common import save

tensors, meta = {}, {"cases": []}
CASES = [  # rows, width, shape of the indices, padding row
    (5, 3, (7,), None),
    (6, 4, (2, 5), 2),
    (4, 1, (3, 2, 2), 0),
    (9, 5, (), None),
]
for i, (num, dim, shape, padding) in enumerate(CASES):
    module = torch.nn.Embedding(num, dim, padding_idx=padding)
    indices = torch.randint(0, num, shape)
    y = module(indices)
    g = torch.rand_like(y) * 2 - 1
    y.backward(g)
    found = {"weight": module.weight, "indices": indices.int(), "y": y, "g": g, "dweight": module.weight.grad}
    tensors.update({f"{i}.{name}": t for name, t in found.items()})
    meta["cases"].append({"num": num, "dim": dim, "padding": padding})

save(__file__, tensors, meta)
