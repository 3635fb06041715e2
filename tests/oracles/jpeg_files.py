"""Writes JPEGs of every structure with what Pillow sees in them: the reference of crates/tp-data/tests/jpeg_files.rs.

    apt-get install libjpeg-turbo-progs          # cjpeg and jpegtran 2.1.5
    pip install pillow==13.0.0 numpy==2.4.6
    python tests/oracles/jpeg_files.py crates/tp-data/tests/fixtures/jpeg --few     # the committed ones
    python tests/oracles/jpeg_files.py FOLDER                                       # 3,401 files

Beside NAME.jpg stands NAME.ppm with Pillow's RGB, unless Pillow refuses the file. Crossed are samplings, orders of scans,
progressive scripts, restart intervals, one, three and four components, claims about colours (JFIF, Adobe, names of
components), sizes that are no multiple of a unit, and contents: smooth ones, where a misplaced block is far off and
another way of upsampling is not, and grey noise and chequers, whose streams are long and whose chroma is constant.
Names that begin with `refused` are of kinds that may be refused; all others must be decoded.
"""

import io
import itertools
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

SIZES = [(33, 19), (64, 48), (17, 50), (8, 8), (1, 1), (100, 75), (88, 88)]
SEQUENTIAL = {
    "inter": None,
    "apart": "0;\n1;\n2;\n",
    "y_cbcr": "0;\n1 2;\n",
    "ycb_cr": "0 1;\n2;\n",
    "reverse": "2;\n1;\n0;\n",
    "cbcr_y": "1 2;\n0;\n",
}
PROGRESSIVE = {
    "prog": "default",
    "prog_apart": "0: 0-0,0,0;\n1: 0-0,0,0;\n2: 0-0,0,0;\n0: 1-63,0,0;\n1: 1-63,0,0;\n2: 1-63,0,0;\n",
    "prog_mixed": "0: 0-0,0,1;\n1 2: 0-0,0,1;\n0: 1-5,0,2;\n2: 1-63,0,1;\n1: 1-63,0,1;\n0: 6-63,0,2;\n0: 1-63,2,1;\n"
    "0 1 2: 0-0,1,0;\n2: 1-63,1,0;\n1: 1-63,1,0;\n0: 1-63,1,0;\n",
    "prog_pair": "0 1: 0-0,0,0;\n2: 0-0,0,0;\n0: 1-63,0,0;\n1: 1-63,0,0;\n2: 1-63,0,0;\n",
}
FOUR = {
    "apart": "0;\n1;\n2;\n3;\n",
    "pairs": "0 1;\n2 3;\n",
    "black_last": "0 1 2;\n3;\n",
    "reverse": "3;\n2;\n1;\n0;\n",
    "prog": "0 1 2 3: 0-0,0,1;\n0: 1-63,0,0;\n1: 1-63,0,0;\n2: 1-63,0,0;\n3: 1-63,0,0;\n0 1 2 3: 0-0,1,0;\n",
}
SAMPLINGS = [
    "1x1,1x1,1x1", "2x1,1x1,1x1", "1x2,1x1,1x1", "2x2,1x1,1x1", "4x1,1x1,1x1", "1x4,1x1,1x1", "4x2,1x1,1x1", "2x4,1x1,1x1",
    "3x1,1x1,1x1", "2x2,2x1,1x1", "2x2,2x2,1x1", "2x2,1x2,1x2", "2x2,2x1,2x1", "2x1,2x1,2x1", "1x2,1x2,1x2", "1x1,2x2,1x1",
    "1x1,2x1,2x1", "1x1,1x2,1x2", "1x1,2x2,2x2", "1x2,2x1,1x1", "2x1,1x2,1x1", "1x1,1x1,2x2",
]
RESTARTS = {"r0": [], "r1": ["-restart", "1"], "r3B": ["-restart", "3B"]}
FEW = {
    "three_smooth_2x2_1x1_1x1-inter-r0-33x19", "three_smooth_2x2_1x1_1x1-apart-r0-33x19", "three_smooth_2x2_1x1_1x1-apart-r3B-33x19",
    "three_noise_1x1_1x1_1x1-apart-r0-33x19", "three_smooth_2x1_1x1_1x1-ycb_cr-r0-33x19", "three_smooth_1x2_1x1_1x1-y_cbcr-r1-33x19",
    "three_smooth_2x2_1x1_1x1-reverse-r0-33x19", "three_smooth_4x1_1x1_1x1-inter-r0-33x19", "three_smooth_3x1_1x1_1x1-inter-r0-33x19",
    "three_smooth_1x1_2x2_1x1-inter-r0-33x19", "three_smooth_1x1_2x1_2x1-prog-r0-33x19", "three_smooth_2x2_2x1_1x1-prog_mixed-r3B-33x19",
    "three_smooth_2x2_1x1_1x1-prog_mixed-r0-33x19", "one_smooth_2x2-inter-r3B-33x19", "one_noise_1x1-prog-r0-33x19",
    "four_420_adobe0-inter-33x19", "four_420_adobe2-apart-33x19", "four_422_none-pairs-33x19", "colours_rgb_adobe-inter-33x19",
    "colours_rgb_names-inter-33x19", "colours_ycc_jfif_names_rgb-inter-33x19", "between_comment-apart-33x19",
    "refused_arithmetic-inter-33x19", "refused_missing-apart-33x19",
}


def main():
    folder, few = sys.argv[1], "--few" in sys.argv
    os.makedirs(folder, exist_ok=True)
    n = 0
    for name, data in files():
        if few and name not in FEW:
            continue
        with open(os.path.join(folder, name + ".jpg"), "wb") as out:
            out.write(data)
        try:
            Image.open(io.BytesIO(data)).convert("RGB").save(os.path.join(folder, name + ".ppm"))
        except OSError as error:
            print(name, "is refused by Pillow:", error)
        n += 1
    print(n, "files")


def files():
    yield from three_components()
    yield from one_component()
    yield from four_components()
    yield from colours()
    yield from odd_files()


def three_components():
    sizes = itertools.cycle(SIZES)
    for sampling, (kind, scans), restart in itertools.product(SAMPLINGS, (SEQUENTIAL | PROGRESSIVE).items(), RESTARTS):
        for content, (width, height) in [("smooth", (33, 19)), ("noise", (33, 19)), ("smooth", next(sizes)), (next(CONTENTS), next(sizes))]:
            data = cjpeg(picture(content, width, height), ["-sample", sampling, *RESTARTS[restart]], scans)
            yield f"three_{content}_{sampling.replace(',', '_')}-{kind}-{restart}-{width}x{height}", data


def one_component():
    for content, sampling, kind, restart, (width, height) in itertools.product(
        ("smooth", "noise"), ("1x1", "2x1", "2x2"), ("inter", "prog"), RESTARTS, SIZES
    ):
        arguments = ["-grayscale", "-sample", sampling, *RESTARTS[restart]]
        data = cjpeg(picture(content, width, height), arguments, "default" if kind == "prog" else None)
        yield f"one_{content}_{sampling}-{kind}-{restart}-{width}x{height}", data


def four_components():
    """Cyan, magenta, yellow and black, as Adobe's programs write them, with and without their marker."""
    for (width, height), subsampling in itertools.product(SIZES, ("4:4:4", "4:2:0", "4:2:2")):
        plain = pillow(picture("smooth", width, height).convert("CMYK"), subsampling=subsampling)
        for claim, data in (("adobe0", plain), ("adobe2", with_transform(plain, 2)), ("none", without(plain, 0xEE))):
            name = f"four_{subsampling.replace(':', '')}_{claim}"
            yield f"{name}-inter-{width}x{height}", data
            yield f"{name}-restart-{width}x{height}", jpegtran(data, "-restart", "1")
            for kind, scans in FOUR.items():
                yield f"{name}-{kind}-{width}x{height}", jpegtran(data, scans=scans)


def colours():
    """What the file says of its colours, in agreement and not."""
    for width, height in SIZES:
        ycc = pillow(picture("smooth", width, height), subsampling=0)
        rgb = pillow(picture("smooth", width, height), keep_rgb=True)
        for name, data in {
            "ycc_jfif": ycc,
            "ycc_none": without(ycc, 0xE0),
            "ycc_none_names_012": with_names(without(ycc, 0xE0), [0, 1, 2]),
            "ycc_jfif_names_rgb": with_names(ycc, b"RGB"),
            "rgb_adobe": rgb,
            "rgb_adobe_names_123": with_names(rgb, [1, 2, 3]),
            "rgb_names": without(rgb, 0xEE, 0xE0),
        }.items():
            yield f"colours_{name}-inter-{width}x{height}", data
            yield f"colours_{name}-apart-{width}x{height}", jpegtran(data, scans=SEQUENTIAL["apart"])
            yield f"colours_{name}-prog-{width}x{height}", jpegtran(data, "-progressive")


def odd_files():
    comment = b"\xff\xfe\x00\x06\xff\xdahi"
    for width, height in SIZES:
        size = f"{width}x{height}"
        image = picture("smooth", width, height)
        plain = pillow(image)
        apart = jpegtran(plain, scans=SEQUENTIAL["apart"])
        progressive = jpegtran(plain, "-progressive")
        last = apart.rindex(b"\xff\xda")
        yield f"between_comment-apart-{size}", apart[:last] + comment + apart[last:]
        at = progressive.rindex(b"\xff\xda")
        yield f"between_comment-prog-{size}", progressive[:at] + comment + progressive[at:]
        yield f"extended_sof1-inter-{size}", cjpeg(image, ["-quality", "1"], None)
        yield f"after_junk-inter-{size}", plain + b"\0" * 37 + b"junk\xff\xd8"
        yield f"after_second_picture-inter-{size}", plain + apart
        yield f"fill_bytes-inter-{size}", plain[:2] + b"\xff\xff" + plain[2:]
        yield f"refused_missing-apart-{size}", apart[:last] + b"\xff\xd9"
        yield f"refused_arithmetic-inter-{size}", jpegtran(plain, "-arithmetic")
        yield f"refused_arithmetic-prog-{size}", jpegtran(plain, "-arithmetic", "-progressive")


CONTENTS = itertools.cycle(["chequers", "noise"])
NOISE = np.random.default_rng(20)


def picture(content, width, height):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    if content == "noise":
        grey = NOISE.integers(0, 256, (height, width, 1))
        return Image.fromarray(np.repeat(grey, 3, 2).astype(np.uint8))
    if content == "chequers":
        return Image.fromarray(np.repeat((((x + y) % 2) * 255)[..., None], 3, 2).astype(np.uint8))
    red, green = 128 + 100 * np.sin(5 * x / width), 128 + 100 * np.cos(4 * y / height)
    blue = 128 + 100 * np.sin(3 * (x / width + y / height))
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def pillow(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


def cjpeg(image, arguments, scans):
    ppm = io.BytesIO()
    image.save(ppm, "PPM")
    return run(["cjpeg", "-quality", "92", *arguments], ppm.getvalue(), scans)


def jpegtran(data, *arguments, scans=None):
    return run(["jpegtran", *arguments], data, scans)


def run(command, data, scans):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans == "default":
            command = [*command, "-progressive"]
        elif scans:
            script.write(scans)
            script.flush()
            command = [*command, "-scans", script.name]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def header(data):
    """Marker, start and end of every segment before the first scan, and where that begins."""
    at, found = 2, []
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], at, end))
        at = end
    return found, at


def without(data, *markers):
    found, at = header(data)
    return data[:2] + b"".join(data[start:end] for marker, start, end in found if marker not in markers) + data[at:]


def with_transform(data, transform):
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([transform]) + data[at + 1 :]


def with_names(data, names):
    """The components of a file of one scan under other names."""
    found, scan = header(data)
    frame = next(start for marker, start, _ in found if marker in (0xC0, 0xC1, 0xC2))
    data = bytearray(data)
    for place, name in enumerate(names):
        data[frame + 10 + 3 * place] = name
        data[scan + 5 + 2 * place] = name
    return bytes(data)


if __name__ == "__main__":
    main()
