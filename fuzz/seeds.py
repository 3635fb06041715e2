"""Writes small valid inputs for every target into fuzz/corpus: the first ones that libFuzzer starts from.

    python3 -m venv .venv && .venv/bin/pip install pillow && .venv/bin/python fuzz/seeds.py
"""

import io
import json
import pickle
import random
import struct
import sys
import types
import zipfile
import zlib
from pathlib import Path

from PIL import Image

CORPUS = Path(__file__).parent / "corpus"


def put(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


# --- images


def picture(mode, size=(13, 9)):
    draw = random.Random(1)
    image = Image.new("RGB", size)
    image.putdata([(x * 17 % 256, y * 23 % 256, draw.randrange(256)) for y in range(size[1]) for x in range(size[0])])
    return image.convert(mode)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def images():
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]:
        image = Image.new("I;16", (7, 5), 300) if mode == "I;16" else picture(mode)
        put("image", f"{mode.replace(';', '_')}.png", saved(image, "PNG"))
    put("image", "palette_with_transparency.png", saved(picture("P"), "PNG", transparency=3))
    for sampling, name in [(0, "444"), (1, "422"), (2, "420")]:
        for progressive in [False, True]:
            name_of = f"{name}{'_progressive' if progressive else ''}.jpg"
            put("image", name_of, saved(picture("RGB"), "JPEG", subsampling=sampling, progressive=progressive, quality=60))
    put("image", "grey.jpg", saved(picture("L"), "JPEG"))
    put("image", "cmyk.jpg", saved(picture("CMYK"), "JPEG"))
    put("image", "restart.jpg", saved(picture("RGB", (40, 24)), "JPEG", restart_marker_blocks=2))
    for orientation in range(1, 9):
        put("image", f"orientation_{orientation}.jpg", saved(picture("RGB"), "JPEG", exif=exif(orientation)))
    put("image", "orientation_6.png", saved(picture("RGB"), "PNG", exif=exif(6)))
    put("image", "orientation_6.webp", saved(picture("RGB"), "WEBP", exif=exif(6)))
    put("image", "lossy.webp", saved(picture("RGB"), "WEBP", quality=50))
    put("image", "lossless.webp", saved(picture("RGB"), "WEBP", lossless=True))
    put("image", "alpha.webp", saved(picture("RGBA"), "WEBP", quality=50))
    put("image", "animated.webp", saved(picture("RGB"), "WEBP", save_all=True, append_images=[picture("L").convert("RGB")]))
    put("image", "not_accepted.gif", saved(picture("P"), "GIF"))


# --- annotations

HEIGHT, WIDTH = 6, 8


def annotation(number, category, box, **more):
    x, y, w, h = box
    outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return {"id": number, "image_id": 1, "category_id": category, "bbox": box, "segmentation": outline, "iscrowd": 0, **more}


def coco_file(**more):
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "dog", "supercategory": "Canidae", "keypoints": ["nose", "neck"]}],
        "annotations": [annotation(1, 1, [1, 1, 3, 4], keypoints=[1, 1, 2, 0, 0, 0])],
        **more,
    }


def coco():
    plain = coco_file()
    put("coco", "plain.json", json.dumps(plain))
    parts = coco_file(
        part_categories=[{"id": 1, "name": "head", "keypoint_indices": [0]}],
        part_annotations=[annotation(1, 1, [1, 1, 3, 2], parent_id=1)],
        info={"name": "small", "licence": "CC0", "licence_url": "u", "attribution": "a"},
        licenses=[{"id": 1, "name": "CC0", "url": "u"}],
    )
    put("coco", "parts.json", json.dumps(parts))
    among = coco_file(categories=[{"id": 1, "name": "dog"}, {"id": 2, "name": "dog:head"}, {"id": 3, "name": "dog's left ear"}])
    among["annotations"] = [annotation(1, 1, [1, 1, 3, 4]), annotation(2, 2, [1, 1, 3, 2]), annotation(3, 3, [1, 1, 1, 1], object_id=1)]
    put("coco", "parts_among_objects.json", json.dumps(among))
    for name, outline in {
        "runs": {"size": [6, 8], "counts": [7, 4, 2, 4, 2, 4, 25]},
        "packed": {"size": [6, 8], "counts": "7422000I"},
        "flat": [1, 1, 4, 1, 4, 5],
        "two": [[1, 1, 4, 1, 4, 5], [5, 0, 8, 0, 8, 6]],
        "none": [],
    }.items():
        put("coco", f"outline_{name}.json", json.dumps(coco_file(annotations=[annotation(1, 1, [1, 1, 3, 4]) | {"segmentation": outline}])))
    odd = {
        "iscrowd": [False, None, 1, "0", 0.0],
        "keypoints": [None, [[1, 1, 2], [0, 0, 0]], [1.5, 1.25, 1, 0, 0, 0], [8, 6, 2, 0, 0, 0], [1, 1]],
        "bbox": [None, [0, 0, 8, 6], [-1, -1, 4, 4], ["1", 1, 2, 2]],
        "id": ["1", 1.0, -1, 18446744073709551615],
        "segmentation": [None, "x", [[1, 1, 4, 1, 4, None]], {"size": [6, 8], "counts": [7.0, 41.0]}],
        "category_id": ["1", 7, None],
        "parent_id": [None, 1, 9],
        "area": [float("nan"), 3],
    }
    for field, values in odd.items():
        for at, value in enumerate(values):
            put("coco", f"odd_{field}_{at}.json", json.dumps(coco_file(annotations=[annotation(1, 1, [1, 1, 3, 4]) | {field: value}])))
    for field, values in {"width": [8.0, "8", None, -1, 0], "file_name": ["./a.png", "..\\a.png", "C:/a.png", "a%20b.png", "a.png?x=1", "é.png", "e\u0301.png"], "split": ["train", "x"], "license": [1, None]}.items():
        for at, value in enumerate(values):
            image = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} | {field: value}
            put("coco", f"image_{field}_{at}.json", json.dumps(coco_file(images=[image])))
    for at, info in enumerate([[], "x", None, {"description": 1}]):
        put("coco", f"info_{at}.json", json.dumps(coco_file(info=info)))
    put("coco", "byte_order_mark.json", b"\xef\xbb\xbf" + json.dumps(plain).encode())
    put("coco", "utf_16.json", json.dumps(plain).encode("utf-16"))
    put("coco", "empty.json", json.dumps({"images": [], "categories": [], "annotations": []}))


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(number_class, height, width, name, rest):
    data = element(6, bytes([number_class]) + bytes(7)) + element(5, struct.pack("<ii", height, width)) + element(1, name) + rest
    return element(14, data)


def text(words):
    return matrix(4, 1, len(words), b"", element(4, words.encode("utf-16-le")))


def mask(box, number_class=9, kind=2, form="B"):
    x, y, w, h = box
    values = [int(x <= column < x + w and y <= row < y + h) for column in range(WIDTH) for row in range(HEIGHT)]
    return matrix(number_class, HEIGHT, WIDTH, b"", element(kind, struct.pack(f"<{len(values)}{form}", *values)))


def structures(name, fields, elements):
    names = b"".join(field.encode().ljust(16, b"\0") for field in fields)
    rest = struct.pack("<HHI", 5, 4, 16) + element(1, names) + b"".join(value for one in elements for value in one)
    return matrix(2, 1 if elements else 0, len(elements), name, rest)


def mat_file(variable, compressed=False):
    if compressed:
        data = zlib.compress(variable)
        variable = struct.pack("<II", 15, len(data)) + data
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + variable


def mat():
    def anno(mask_of):
        parts = structures(b"", ["part_name", "mask"], [[text("head"), mask_of([1, 1, 3, 2])], [text("lfuleg"), mask_of([3, 4, 1, 1])]])
        objects = structures(b"", ["class", "mask", "parts"], [[text("dog"), mask_of([1, 1, 3, 4]), parts]])
        return structures(b"anno", ["imname", "objects"], [[text("2008_000003"), objects]])

    put("mat", "plain.mat", mat_file(anno(mask)))
    put("mat", "compressed.mat", mat_file(anno(mask), compressed=True))
    put("mat", "doubles.mat", mat_file(anno(lambda box: mask(box, 6, 9, "d"))))
    put("mat", "small_numbers.mat", mat_file(anno(lambda box: mask(box, 6, 3, "h"))))
    empty = structures(b"anno", ["imname", "objects"], [[text("2008_000003"), element(14, b"")]])
    put("mat", "no_object.mat", mat_file(empty))
    cells = matrix(1, 1, 2, b"other", text("a") + mask([0, 0, 1, 1]))
    put("mat", "other_variable_first.mat", mat_file(cells + anno(mask)))


def label_map(form, depth, pixels, document=None):
    data = b"" if document is None else json.dumps(document).encode()
    data += b" " * (-len(data) % 16)
    return bytes([form, depth, WIDTH, len(data) // 16]) + data + pixels


def label_maps():
    def area(box, inside, outside, step=1):
        x, y, w, h = box
        cells = [(row, column) for row in range(HEIGHT) for column in range(WIDTH)]
        return b"".join(inside if x <= column < x + w and y <= row < y + h else outside for row, column in cells)

    put("label_map", "pascal_part_116", label_map(0, 0, area([1, 1, 3, 2], b"\x3d", b"\xff") + area([1, 1, 3, 4], b"\x0b", b"\xff")))
    listed = {"id": 1, "file_name": "ADE_val_00000001.jpg", "width": WIDTH, "height": HEIGHT}
    objects = {"images": [listed], "categories": [], "annotations": [annotation(1, 6, [1, 1, 3, 4])]}
    for part in [18, 5, 300]:  # of the cabinet, of a person, of nothing
        file = label_map(1, 1, area([1, 1, 3, 2], struct.pack(">H", part), b"\xff\xff"), objects)
        put("label_map", f"ade20k_part_234_{part}", file)
    size = {"imgHeight": HEIGHT, "imgWidth": WIDTH}
    put("label_map", "part_imagenet", label_map(2, 0, area([5, 0, 3, 2], b"\x00", b"\x28") + area([5, 0, 3, 6], b"\x21", b"\x9e"), size))

    def item(number, name, parent, level, box):
        x, y, w, h = box
        return {
            "id": number,
            "name": name,
            "name_ndx": 300 + number,
            "parts": {"ispartof": parent, "part_level": level},
            "instance_mask": "x/i.png",
            "polygon": {"x": [x, x + w - 1], "y": [y, y + h - 1]},
        }

    items = [item(0, "dog, hound", [], 0, [1, 1, 3, 4]), item(1, "head", 0, 1, [1, 1, 3, 2])]
    full = {"annotation": {"imsize": [HEIGHT, WIDTH, 3], "object": items}}
    colour = lambda number: bytes([10, 44 + number, 50])
    pixels = area([1, 1, 3, 4], colour(0), bytes(3)) + area([1, 1, 3, 2], colour(1), bytes(3))
    put("label_map", "ade20k_full", label_map(3, 2, pixels, full))
    raw = saved(Image.new("L", (WIDTH, HEIGHT), 7), "PNG")
    put("label_map", "png_file", bytes([0, 9, WIDTH, 0]) + raw)


# --- lines

CELL = {"row": "low", "column": "middle"}
RECORD = {
    "category": "horse",
    "family": None,
    "object_cell": CELL,
    "object_size": "large",
    "part": "ear",
    "part_cell": CELL,
    "point_cell": CELL,
    "colour": "brown",
    "texture": "smooth",
    "shape": "a corner",
    "extent": "mask",
    "keypoint": None,
}


def triplets():
    line = {
        "image": "a.jpg",
        "size": {"height": 20, "width": 30},
        "point": {"x": 0.25, "y": 0.75},
        "description": 'the tip of the "left" ear,\nas seen\u2028from here',
        "style": "terse",
        "record": RECORD,
        "source": "test",
        "group": "a",
    }
    other = line | {"image": "dir/b c.png", "style": "coarse_to_fine", "point": {"x": 0.1, "y": 1e-7}, "record": RECORD | {"part": None, "part_cell": None, "extent": "box", "family": "Equidae"}}
    put("triplets", "one.jsonl", json.dumps(line) + "\n")
    put("triplets", "two.jsonl", json.dumps(line) + "\n\n" + json.dumps(other))
    put("triplets", "windows.jsonl", json.dumps(line, ensure_ascii=False) + "\r\n" + json.dumps(other) + "\r\n")
    for name, change in {"outside": {"image": "../x.jpg"}, "absolute": {"image": "/x.jpg"}, "beyond": {"point": {"x": 1.5, "y": 0}}, "no_size": {"size": {"height": 0, "width": 1}}}.items():
        put("triplets", f"{name}.jsonl", json.dumps(line | change))


def journal():
    usage = {"calls": 1, "prompt_tokens": 10, "completion_tokens": 5, "cost": 0.25}
    answers = [
        {"role": "context", "object": "horse", "part": "ear", "context": "a field"},
        {"role": "local", "colour": "brown", "texture": "", "shape": "", "detail": ""},
        {"role": "organiser", "description": "The ear.", "layers": {"object": "a", "part": "b", "point": "c", "appearance": "d"}},
    ]
    lines = [json.dumps({"key": f"{at:064x}", "done": {"answer": answer, "usage": usage}}) for at, answer in enumerate(answers)]
    failed = json.dumps({"key": f"{9:064x}", "failed": {"kind": "refused", "why": "no"}})
    box = {"x": 0, "y": 0, "width": 30, "height": 20}
    point = {"point": {"x": 0.25, "y": 0.75}, "kind": "sift", "style": "terse", "record": RECORD, "object_box": box, "part_box": None, "sentence": "The ear."}
    image = {
        "name": "a.jpg", "size": {"height": 20, "width": 30}, "sha256": "0" * 64, "annotation_sha256": "1" * 64, "look": "00ff00ff00ff00ff",
        "split": "train", "group": "a", "source": "test", "licence": {"name": "CC0", "url": "u", "attribution": None}, "points": [point],
        "without": {}, "rejected": {},
    }  # fmt: skip
    surveyed = json.dumps({"key": f"{5:064x}", "done": image})
    put("journal", "answers", "\n".join([*lines, failed, ""]))
    put("journal", "survey", surveyed + "\n" + surveyed + "\n")
    put("journal", "cut_off", lines[0] + "\n" + lines[1][:40])
    put("journal", "damaged", lines[0] + "\n#0badc0de {}\n" + lines[2] + "\n#\n")
    put("journal", "answer_after_failure", json.dumps({"key": f"{0:064x}", "failed": {"kind": "empty", "why": ""}}) + "\n" + lines[0] + "\n")


def teacher_replies():
    def reply(content, **more):
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": content, **more}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})

    answers = {
        "context": {"object": "a horse", "part": "ear", "context": "a <p>field</p>"},
        "local": {"colour": "brown", "texture": "smooth", "shape": "[SEG]", "detail": ""},
        "organiser": {"object": "A horse", "part": "Its ear", "point": "The tip.", "appearance": "Dark<|im_end|>"},
    }
    for role, answer in answers.items():
        put("teacher_reply", role, "30\n" + reply(json.dumps(answer)))
        put("teacher_reply", f"{role}_fenced", "\n" + reply(f"Sure! ```json\n{json.dumps(answer, indent=1)}\n```"))
    put("teacher_reply", "refusal", "soon\n" + reply(None, refusal="No."))
    put("teacher_reply", "apology", "\n" + reply("I’m sorry, but no."))
    put("teacher_reply", "cut_off", "\n" + reply("half").replace("stop", "length"))
    put("teacher_reply", "error", "Sun, 06 Nov 1994 08:49:37 GMT\n" + json.dumps({"error": {"message": "busy\nnow"}}))
    put("teacher_reply", "error_text", '-1\n{"error": "busy"}')
    put("teacher_reply", "page", "1e3\n<html>502</html>")


# --- weights


def header(tensors, data):
    text = json.dumps(tensors, separators=(",", ":")).encode()
    return text + data


def safetensors():
    one = {"a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}
    two = {"__metadata__": {"format": "pt"}, "b": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}, "c": {"dtype": "I64", "shape": [], "data_offsets": [6, 14]}}
    empty = {"e": {"dtype": "U8", "shape": [0, 4], "data_offsets": [0, 0]}}
    put("safetensors", "one", header(one, bytes(8)))
    put("safetensors", "two", header(two, bytes(range(14))))
    put("safetensors", "empty", header(empty, b""))
    put("safetensors", "file", struct.pack("<Q", len(json.dumps(one))) + json.dumps(one).encode() + bytes(8))
    put("safetensors", "long_header", struct.pack("<Q", 1 << 40) + b"{}")
    put("safetensors", "huge_shape", header({"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}}, bytes(8)))
    put("safetensors", "index", '{"weight_map":{"one":"a.safetensors","two":"b.safetensors"}}')
    put("safetensors", "index_up", '{"weight_map":{"one":"../a.safetensors"}}')
    put("safetensors", "pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


def text(words):
    return struct.pack("<Q", len(words.encode())) + words.encode()


def setting(key, value):
    """A word, a truth value, a whole number, a real one, or a list of words, numbers or whole numbers."""
    kinds = {str: 8, bool: 7, int: 4, float: 6}

    def raw(value):
        return {str: text, bool: lambda it: struct.pack("<?", it), int: lambda it: struct.pack("<I", it), float: lambda it: struct.pack("<f", it)}[type(value)](value)

    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", 9, kinds[type(value[0])], len(value)) + b"".join(map(raw, value))
    return text(key) + struct.pack("<I", kinds[type(value)]) + raw(value)


# ggml's number of a type, numbers of a block, and its bytes.
F32, F16, Q4_0, Q8_0 = (0, 1, 4), (1, 1, 2), (2, 32, 18), (8, 32, 34)


def gguf_file(settings, tensors, version=3):
    """Tensors have a name, a shape as matrices have it, and a type; their bytes are small numbers."""
    infos, data = b"", b""
    for name, shape, (number, count, size) in tensors:
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), number, len(data))
        n_bytes = size
        for extent in shape:
            n_bytes *= extent
        data += bytes(at % 7 for at in range(n_bytes // count))
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(settings))
    head += b"".join(setting(*pair) for pair in settings.items()) + infos
    return head + bytes(-len(head) % 32) + data


def gguf():
    letters = [chr(at) for at in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    byte_level = {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": ["<s>", "</s>"] + letters + ["ho"],
        "tokenizer.ggml.token_type": [3, 3] + [1] * 257, "tokenizer.ggml.merges": ["h o"],
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.add_bos_token": True,
    }  # fmt: skip
    pieces = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", "<s>", "<0x41>", "\u2581", "h", "o", "ho"],
        "tokenizer.ggml.token_type": [2, 3, 6, 1, 1, 1, 1], "tokenizer.ggml.scores": [0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -0.5],
    }  # fmt: skip
    window = {**pieces, "llama.attention.sliding_window": 2, "llama.attention.sliding_window_pattern": [True]}
    for name, tokenizer, kind in [("byte_level", byte_level, Q8_0), ("pieces", pieces, Q4_0), ("sliding_window", window, Q4_0)]:
        settings = {
            "general.architecture": "llama", "llama.context_length": 64, "llama.embedding_length": 32, "llama.block_count": 1,
            "llama.feed_forward_length": 32, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1,
            "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 1e4, **tokenizer,
        }  # fmt: skip
        tensors = [
            ("token_embd.weight", [len(tokenizer["tokenizer.ggml.tokens"]), 32], kind), ("output_norm.weight", [32], F32),
            ("blk.0.attn_norm.weight", [32], F32), ("blk.0.attn_q.weight", [32, 32], kind), ("blk.0.attn_k.weight", [16, 32], F16),
            ("blk.0.attn_v.weight", [16, 32], F32), ("blk.0.attn_output.weight", [32, 32], kind), ("blk.0.ffn_norm.weight", [32], F32),
            ("blk.0.ffn_gate.weight", [32, 32], kind), ("blk.0.ffn_up.weight", [32, 32], kind), ("blk.0.ffn_down.weight", [32, 32], kind),
        ]  # fmt: skip
        put("gguf", name, gguf_file(settings, tensors))
    put("gguf", "version_2", gguf_file({"a": [1, 2], "b": 0.5}, [("t", [2, 3], F32)], version=2))
    put("gguf", "empty", gguf_file({}, []))
    put("gguf", "long_list", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 0, 1 << 40))
    put("gguf", "many_tensors", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0) + bytes(64))


class Storage:
    """Stands for a storage in a pickle; the reader finds its bytes by its key."""

    def __init__(self, kind, key, n_elements):
        self.id = ("storage", kind, key, "cpu", n_elements)


class Called:
    """Something that is written as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def torch():
    """The few names that a pickle of tensors uses."""
    top, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for module, names in [(top, ["FloatStorage", "HalfStorage", "LongStorage"]), (inner, ["_rebuild_tensor_v2", "_rebuild_parameter"])]:
        for name in names:
            made = type(name, (), {}) if name.endswith("Storage") else types.FunctionType((lambda *_: None).__code__, {}, name)
            made.__module__, made.__qualname__ = module.__name__, name
            setattr(module, name, made)
    top._utils = inner
    sys.modules |= {"torch": top, "torch._utils": inner}
    return top


def pickled(value, protocol=2):
    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return thing.id if isinstance(thing, Storage) else None

    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def pytorch():
    top = torch()
    from collections import OrderedDict

    def tensor(storage, shape, stride, offset=0):
        return Called(top._utils._rebuild_tensor_v2, storage, offset, shape, stride, False, OrderedDict())

    def state():
        floats, longs = Storage(top.FloatStorage, "0", 16), Storage(top.LongStorage, "1", 2)
        return OrderedDict(weight=tensor(floats, (2, 3), (3, 1)), bias=tensor(floats, (3,), (1,), 6), steps=tensor(longs, (), ()))

    parameter = Called(top._utils._rebuild_parameter, tensor(Storage(top.HalfStorage, "0", 32), (4, 8), (8, 1)), True, OrderedDict())
    put("pytorch", "state", pickled(state()))
    put("pytorch", "state_protocol_4", pickled(state(), 4))
    put("pytorch", "under_a_key", pickled({"state_dict": state(), "epoch": 3, "name": "x", "rates": [0.1, None, True, (1, 2)]}))
    put("pytorch", "parameter", pickled({"layers": [{"w": parameter}]}))
    put("pytorch", "turned", pickled({"w": tensor(Storage(top.FloatStorage, "0", 16), (3, 2), (1, 3))}))
    put("pytorch", "repeated", pickled({"w": tensor(Storage(top.FloatStorage, "0", 16), (1000, 1000), (0, 0))}))
    put("pytorch", "beyond", pickled({"w": tensor(Storage(top.FloatStorage, "0", 16), (5, 5), (5, 1))}))
    put("pytorch", "code", pickled({"w": Called(print, "run")}))
    put("pytorch", "values", pickled({"a": [1, -1, 1 << 40, 1 << 70, 1.5, "é", b"b", None, {1, 2}]}))
    # Before PyTorch 1.6: pickles one after the other, the keys of storages, and their numbers.
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    storage = Storage(top.FloatStorage, "0", 4)
    storage.id = (*storage.id, None)
    legacy = [0x1950A86A20F9469CFC6C, 1001, system, OrderedDict(w=tensor(storage, (2, 2), (2, 1))), ["0"]]
    put("pytorch", "legacy", b"".join(pickled(part) for part in legacy) + struct.pack("<q4f", 4, 1, 2, 3, 4))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("m/data.pkl", pickled(state()))
        file.writestr("m/data/0", bytes(64))
        file.writestr("m/data/1", bytes(16))
        file.writestr("m/version", "3\n")
    put("pytorch", "archive", archive.getvalue())


# --- language


def tokenizers():
    def file(model, **more):
        names = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "[SEG]", "<p>", "</p>", "<region>", "<mark>"]
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        added = [{"id": at, "content": name} | flags for at, name in enumerate(names)]
        whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
        return json.dumps(whole | {"model": model} | more, separators=(",", ":"))

    letters = {letter: 10 + at for at, letter in enumerate("abehlortf Ġ▁<>[]/|_")}
    bpe = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": letters | {"th": 40, "the": 41}, "merges": ["t h", "th e"]}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|\\s+(?!\\S)|[^\\s]+"}, "behavior": "Isolated", "invert": False}
    put("tokenizer", "bpe", file(bpe, pre_tokenizer=byte_level, decoder=byte_level))
    put("tokenizer", "bpe_pairs", file(bpe | {"merges": [["t", "h"], ["th", "e"]]}, pre_tokenizer={"type": "Sequence", "pretokenizers": [split, byte_level]}))
    fallback = {f"<0x{byte:02X}>": 100 + byte for byte in range(0, 256, 5)}
    replace = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    put("tokenizer", "bytes", file(bpe | {"byte_fallback": True, "unk_token": "</s>", "vocab": letters | fallback, "merges": []}, normalizer=replace, decoder=decoder, post_processor=template))
    put("tokenizer", "unigram", file({"type": "Unigram", "unk_id": 0, "vocab": [[name, -float(at)] for at, name in enumerate([*"abehl", "▁the", "ear"])], "byte_fallback": False}, pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}))
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    put("tokenizer", "word_piece", file({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"[UNK]": 10, "the": 11, "##r": 12, "ea": 13}}, normalizer=bert, pre_tokenizer={"type": "BertPreTokenizer"}))
    put("tokenizer", "word_level", file({"type": "WordLevel", "vocab": {"the": 10, "ear": 11, "<unk>": 12}, "unk_token": "<unk>"}, pre_tokenizer={"type": "Whitespace"}, normalizer={"type": "NFKC"}))
    cut = {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}, "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 4, "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}}
    put("tokenizer", "padded", file(bpe, pre_tokenizer=byte_level, **cut))


def chat_templates():
    loop = "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message['role'] + '\n' + message['content'] | trim }}<|im_end|>\n{% endfor %}"
    put("chat_template", "chatml.jinja", loop + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
    put("chat_template", "strict.jinja", "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}")
    put("chat_template", "namespace.jinja", "{%- set ns = namespace(found=false, text='') -%}{%- for m in messages -%}{%- if loop.first and m.role == 'system' -%}{%- set ns.text = ns.text ~ m.content -%}{%- else -%}[INST]{{ ns.text }}{{ m.content.strip() }}[/INST]{%- endif -%}{%- endfor -%}")
    put("chat_template", "macro.jinja", "{% macro turn(who, what) -%}<|im_start|>{{ who }}\n{{ what }}<|im_end|>{%- endmacro %}{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}{{ messages | length }}{{ messages | tojson }}{{ messages[1:] | map(attribute='role') | join(',') }}")
    put("chat_template", "repeated.jinja", "{% for i in range(3) %}{{ messages[1].content * 2 }}{{ i }}{% endfor %}{{ 'x' | indent(2) | replace('x', 'y') | upper }}")
    put("chat_template", "config.json", json.dumps({"chat_template": loop, "bos_token": {"content": "<s>"}, "eos_token": None}))
    put("chat_template", "named.json", json.dumps({"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": loop}]}))
    put("chat_template", "none.json", '{"bos_token": 3}')


def points_and_texts():
    for at, words in enumerate(["120,85", "-1,5", "1e3 , -0.5", "nan,3", "inf,0", "29.5,19.5", "The tip of the horse's left-ear.", "[SEG]<p>é👂🏽</s>", "at the top of the image, a small brown head"]):
        put("point_and_text", f"{at}", words)


MAKERS = {
    "image": images,
    "coco": coco,
    "mat": mat,
    "label_map": label_maps,
    "triplets": triplets,
    "journal": journal,
    "teacher_reply": teacher_replies,
    "safetensors": safetensors,
    "pytorch": pytorch,
    "gguf": gguf,
    "tokenizer": tokenizers,
    "chat_template": chat_templates,
    "point_and_text": points_and_texts,
}

if __name__ == "__main__":
    for target in sys.argv[1:] or MAKERS:
        MAKERS[target]()
