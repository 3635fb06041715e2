"""Writes crates/tp-kernels/tests/fixtures/blocks.bin: what the `gguf` package makes of blocks, and which blocks it makes.

    pip install gguf==0.19.0 && python tests/oracles/gguf_blocks.py

For each format, two rows of 256 numbers: their blocks, of random bits, and the numbers in single precision. Then one row of
256 numbers, and its blocks in Q8_0 and Q4_0. Everything is little-endian, one after the other.
"""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

ROWS, WIDTH = 2, 256
# Where a block has numbers of half precision.
HALVES = {
    T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}
ORDER = [T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q4_K, T.Q5_K, T.Q6_K]

draw = np.random.default_rng(23)


def halves(count):
    """Scales as models have them, of either sign; now and then zero, or below the normal numbers."""
    numbers = draw.normal(size=count) * 10.0 ** draw.integers(-3, 1, size=count)
    numbers[draw.random(count) < 0.1] = 0.0
    numbers[draw.random(count) < 0.1] *= 1e-5
    return numbers.astype("<f2")


def blocks_of(kind):
    if kind == T.F32:
        return draw.normal(size=(ROWS, WIDTH)).astype("<f4").view(np.uint8)
    if kind == T.F16:
        return halves(ROWS * WIDTH).reshape(ROWS, WIDTH).view(np.uint8)
    if kind == T.BF16:
        upper = draw.normal(size=(ROWS, WIDTH)).astype("<f4").view("<u4") >> 16
        return upper.astype("<u2").view(np.uint8)
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = draw.integers(0, 256, size=(ROWS * WIDTH // numbers, size)).astype(np.uint8)
    for at in HALVES[kind]:
        blocks[:, at : at + 2] = halves(len(blocks)).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


parts = []
for kind in ORDER:
    blocks = blocks_of(kind)
    numbers = gguf.quants.dequantize(blocks, kind).astype("<f4").reshape(ROWS, WIDTH)
    assert np.isfinite(numbers).all(), kind
    parts += [blocks.tobytes(), numbers.tobytes()]

row = (draw.normal(size=WIDTH) * np.repeat([1.0, 0.02, 300.0, 1e-6, 1.0, 0.0, 1.0, 5.0], 32)).astype("<f4")
parts += [row.tobytes()] + [gguf.quants.quantize(row, kind).tobytes() for kind in (T.Q8_0, T.Q4_0)]

path = Path(__file__).parents[2] / "crates/tp-kernels/tests/fixtures/blocks.bin"
path.write_bytes(b"".join(parts))
print(path, path.stat().st_size)
