"""Writes sizes and hashes that `bicubic.rs` is compared with, or compares a program with Pillow on random sizes.

    python3 pillow_bicubic.py                     # pillow_bicubic.txt beside it, by Pillow 13.0.0
    python3 pillow_bicubic.py PROGRAM [N [SEED]]  # N random sizes against `cargo run --example resize_raw`

A line of the file is: height, width, height and width of the result, FNV-1a hash of its bytes. The image is noise of a
linear congruential generator that starts from its size.

Squares that become squares, as models see images, are resized in one call. Other images are resized along their rows in one
call and along their columns in another: Pillow did so within one call until version 12, and 13 begins with the columns of some.
"""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def picture(height, width):
    state, values = (height * 65537 + width) % 2**32, bytearray()
    for _ in range(height * width * 3):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(state >> 24)
    return bytes(values)


def resized(pixels, height, width, to_height, to_width):
    image = Image.frombytes("RGB", (width, height), pixels)
    if height != width or to_height != to_width:
        image = image.resize((to_width, height), Image.Resampling.BICUBIC)
    return image.resize((to_width, to_height), Image.Resampling.BICUBIC).tobytes()


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def write():
    # Down, up, both at once, one axis alone, factors whole and not, one pixel, thin ones, more rows than a block.
    sizes = [(64, 48, 32, 24), (45, 70, 32, 32), (23, 11, 32, 32), (17, 40, 51, 9), (30, 30, 30, 12), (30, 30, 77, 30)]
    sizes += [(1, 1, 5, 4), (1, 90, 16, 16), (90, 1, 16, 16), (100, 75, 64, 64), (161, 256, 32, 96), (37, 53, 111, 159)]
    sizes += [(80, 61, 1, 1), (9, 200, 8, 33)]
    lines = [f"{h} {w} {th} {tw} {fnv(resized(picture(h, w), h, w, th, tw))}\n" for h, w, th, tw in sizes]
    Path(__file__).with_name("pillow_bicubic.txt").write_text("".join(lines))


def compare(program, n=200, seed=0):
    draw = random.Random(seed)
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    differing = total = 0
    for _ in range(n):
        height, width, to_height, to_width = (round(2 ** draw.uniform(0, 10.5)) for _ in range(4))
        if draw.random() < 0.5:
            width, to_width = height, to_height
        kind = draw.randrange(3)
        rng = np.random.default_rng(draw.randrange(2**32))
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if kind == 1:  # hard edges: overshoot is clamped
            pixels = np.where(pixels < 128, 0, 255).astype(np.uint8)
        if kind == 2:  # gradients
            rows, columns = np.mgrid[:height, :width]
            pixels = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], 2).astype(np.uint8)
        pixels = pixels.tobytes()
        process.stdin.write(np.array([height, width, to_height, to_width], "<u4").tobytes() + pixels)
        process.stdin.flush()
        ours = process.stdout.read(to_height * to_width * 3)
        theirs = resized(pixels, height, width, to_height, to_width)
        wrong = int((np.frombuffer(ours, np.uint8) != np.frombuffer(theirs, np.uint8)).sum())
        if wrong:
            print(f"{height}x{width} -> {to_height}x{to_width}: {wrong} of {len(theirs)} bytes differ")
        differing, total = differing + wrong, total + len(theirs)
    process.stdin.close()
    print(f"{differing} of {total} bytes differ, {n} sizes")
    sys.exit(differing > 0)


if len(sys.argv) > 1:
    compare(sys.argv[1], *map(int, sys.argv[2:4]))
else:
    write()
