"""Writes a model whose weights are the mean of two: the first, and a training of it.

    python tools/mean_of_models.py models/tiny runs/own-words/model runs/mean

Everything but the weights is that of the first model, and so are weights whose shapes differ (the training may have added nouns).
Needs NumPy.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

TYPES = {"F16": np.float16, "F32": np.float32}


def read(model):
    """The header of a model's weights, and their bytes."""
    content = (Path(model) / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:start]), bytearray(content), start


def main(first, second, out):
    first_header, weights, first_start = read(first)
    second_header, others, second_start = read(second)
    for name, tensor in first_header.items():
        other = second_header.get(name)
        if name == "__metadata__" or other is None or other["shape"] != tensor["shape"]:
            continue
        if tensor["dtype"] not in TYPES or other["dtype"] != tensor["dtype"]:
            sys.exit(f"{name} is {tensor['dtype']} and {other['dtype']}; both must be F16, or F32")
        begin, end = (first_start + offset for offset in tensor["data_offsets"])
        other_begin, other_end = (second_start + offset for offset in other["data_offsets"])
        kind = TYPES[tensor["dtype"]]
        pair = [np.frombuffer(part, kind).astype(np.float32) for part in (weights[begin:end], others[other_begin:other_end])]
        weights[begin:end] = ((pair[0] + pair[1]) / 2).astype(kind).tobytes()
    shutil.copytree(first, out)
    (Path(out) / "model.safetensors").write_bytes(weights)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
