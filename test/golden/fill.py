"""Reads files of reference numbers, and fills the weights that those of whole networks leave out: as test/support/fill.ts does."""
import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"F32": np.float32, "I64": np.int64, "I32": np.int32}


def load(name):
    """Metadata and tensors of NAME.safetensors in this folder."""
    with open(os.path.join(HERE, name + ".safetensors"), "rb") as f:
        raw = f.read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8 : 8 + n])
    meta = head.pop("__metadata__")
    part = lambda e: raw[8 + n + e["data_offsets"][0] : 8 + n + e["data_offsets"][1]]
    return meta, {k: np.frombuffer(part(e), TYPES[e["dtype"]]).reshape(e["shape"]) for k, e in head.items()}


def named(name, n):
    """The numbers that belong to a name."""
    s = 0x811C9DC5
    for c in name.encode():
        s = ((s ^ c) * 0x01000193) & 0xFFFFFFFF
    out = np.empty(n)
    for i in range(n):
        s = (1664525 * s + 1013904223) & 0xFFFFFFFF
        out[i] = s / 2**32 * 2 - 1
    return out


def filled(name, shape):
    """The value of a tensor of that name."""
    v = named(name, int(np.prod(shape)))
    last = name.split(".")[-1]
    if last == "b":
        v = np.where(v >= 0, 1.0, -1.0)
    elif "key" not in last:
        if len(shape) >= 2:
            v = v * np.sqrt(6 / np.prod(shape[1:]))
        elif last in ("weight", "scale"):
            v = 1 + 0.1 * v
        else:
            v = 0.1 * v
    return v.reshape(shape).astype(np.float32)
