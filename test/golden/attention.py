"""Reference numbers for scaled dot-product attention and MultiheadAttention, with gradients.

PyTorch 1.13 has no public function for the first: it is put together of its products and softmax."""
import torch

from common import save

tensors, meta = {}, {"attention": [], "multihead": []}
leaf = lambda *shape: torch.randn(*shape, requires_grad=True)


def add(kind, inputs, y, options, layout):
    """`inputs`: name -> leaf; `layout`: of what is no state."""
    name = f"{kind}.{len(meta[kind])}."
    g = torch.rand_like(y) * 2 - 1
    y.backward(g)
    tensors.update({name + "y": layout(y), name + "g": layout(g)})
    for key, t in inputs.items():
        tensors.update({name + key: layout(t), f"{name}d{key}": layout(t.grad)})
    meta[kind].append(options)
    return name


heads_last = lambda t: t.transpose(1, 2).contiguous()
same = lambda t: t


def lengths(n, s):
    """Padding behind samples of different lengths, none of them empty: true where there is no key."""
    return torch.arange(s)[None, :] >= torch.tensor([max(1, s - 2 * i) for i in range(n)])[:, None]


ATTENTION = [  # n, heads, t, s, d, options
    (2, 3, 7, 9, 8, {}),
    (1, 2, 19, 19, 8, {"causal": True}),
    (3, 2, 5, 6, 8, {"padded": True}),
    (2, 1, 6, 6, 8, {"causal": True, "padded": True}),
    (2, 2, 4, 5, 5, {"scale": 0.7}),
    (1, 2, 9, 6, 8, {"causal": True}),
]
for n, heads, t, s, d, options in ATTENTION:
    q, k, v = leaf(n, heads, t, d), leaf(n, heads, s, d), leaf(n, heads, s, d)
    scores = q @ k.transpose(-2, -1) * options.get("scale", d**-0.5)
    if options.get("causal"):
        scores = scores.masked_fill(~torch.ones(t, s, dtype=torch.bool).tril(), -torch.inf)
    mask = lengths(n, s)
    if options.get("padded"):
        scores = scores.masked_fill(mask[:, None, None, :], -torch.inf)
    name = add("attention", {"q": q, "k": k, "v": v}, scores.softmax(-1) @ v, options, heads_last)
    if options.get("padded"):
        tensors[name + "padding"] = mask.int()

MULTIHEAD = [  # n, t, s (None: self-attention), width, heads, module's options, call's options
    (2, 7, None, 16, 2, {}, {}),
    (2, 6, None, 16, 2, {"bias": False}, {"causal": True}),
    (2, 5, 7, 16, 2, {}, {"padded": True}),
    (2, 5, 6, 16, 2, {"kdim": 12, "vdim": 20}, {}),
    (2, 4, 4, 16, 2, {"kdim": 12, "vdim": 20, "bias": False}, {"causal": True, "padded": True}),
]
for n, t, s, width, heads, options, call in MULTIHEAD:
    module = torch.nn.MultiheadAttention(width, heads, batch_first=True, **options)
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(-0.5, 0.5)
    keys = s or t
    inputs = {"q": leaf(n, t, width)}
    if s:
        inputs.update({"k": leaf(n, s, options.get("kdim", width)), "v": leaf(n, s, options.get("vdim", width))})
    q, k, v = inputs["q"], inputs.get("k", inputs["q"]), inputs.get("v", inputs["q"])
    mask = lengths(n, keys) if call.get("padded") else None
    attn = ~torch.ones(t, keys, dtype=torch.bool).tril() if call.get("causal") else None
    y, _ = module(q, k, v, key_padding_mask=mask, attn_mask=attn, need_weights=False)
    own = {"width": width, "heads": heads, **options, **call}
    name = add("multihead", inputs, y, own, same)
    for key, p in module.named_parameters():
        tensors.update({f"{name}state.{key}": p, f"{name}grad.{key}": p.grad})
    if mask is not None:
        tensors[name + "padding"] = mask.int()

save(__file__, tensors, meta)
