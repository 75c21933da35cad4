"""Shared by the scripts that make reference numbers with PyTorch (Debian's python3-torch, CPU, float32).

Run one with:  /usr/bin/python3 test/golden/NAME.py      -> writes test/golden/NAME.safetensors
The tests read the committed files; they need no Python.
"""
import json
import os
import struct

import numpy as np
import torch

torch.manual_seed(0)
torch.set_num_threads(1)

TYPES = {"float32": "F32", "int32": "I32", "int64": "I64", "uint8": "U8"}


def save(script, tensors, metadata=None):
    """Writes `tensors` (name -> torch tensor or numpy array) beside `script`, in safetensors layout."""
    arrays = {}
    for name, t in tensors.items():
        a = t.detach().cpu().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)
        if a.dtype == np.float64:
            a = a.astype(np.float32)
        arrays[name] = np.ascontiguousarray(a).reshape(a.shape)
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    for name, a in arrays.items():
        header[name] = {"dtype": TYPES[str(a.dtype)], "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = os.path.splitext(os.path.abspath(script))[0] + ".safetensors"
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))
    print(path, len(arrays), "tensors", offset, "bytes")


def sampled(t):
    """Of a tensor's n elements those at floor((2j + 1)·n / 16) for j = 0 … 7, and behind them the largest magnitude: a norm does not see what changed places or sign."""
    v = t.detach().flatten().numpy()
    return np.concatenate([v[[(2 * j + 1) * v.size // 16 for j in range(8)]], [np.abs(v).max()]])


def nhwc(t):
    """[N, C, H, W] -> [N, H, W, C]: the package's layout of images."""
    return t.permute(0, 2, 3, 1).contiguous()


def hwio(t):
    """[O, I, kH, kW] -> [kH, kW, I, O]: the package's layout of convolution weights."""
    return t.permute(2, 3, 1, 0).contiguous()
