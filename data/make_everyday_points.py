"""Makes `everyday_points/` out of the full-sized set that its README names: smaller photographs, labels in their pixels.

    pip install pillow==11.3.0
    python data/make_everyday_points.py FULL_SIZED_FOLDER data/everyday_points

The same input, Pillow and libjpeg give the same bytes. README.md and licences/ are written by hand and stay as they are.
"""

import argparse
import json
from pathlib import Path
from shutil import copyfile

from PIL import Image

LONGEST_SIDE = 384
QUALITY = 75

# The terms of every source and whom they ask to name. The full-sized set keeps them in one README per source.
LICENCE_URLS = {
    "CC BY 2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "MIT": "https://opensource.org/license/mit",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
}
ATTRIBUTIONS = {
    "doors_oi_ccby": "a Flickr user, listed by Open Images under {id}",
    "coral_oi_ccby": "a Flickr user, listed by Open Images under {id}",
    "rabbit_oi_ccby": "a Flickr user, listed by Open Images under {id}",
    "aquarium_ccby": "Aquarium data set, Roboflow (2020)",
    "livestock_more": "Yiwei Wang et al., LivestockKeypoints, v1.0",
    "livestock_ccby": "Yiwei Wang et al., LivestockKeypoints, v1.0",
    "facades_ccby": "Building facade segmentation data set, Roboflow export v1 (2023), as published in a-hwang/building-facade-segmentation",
    "clothing_cc0": "Alexey Grigorev et al., Clothing dataset",
    "grocery_mit": "Copyright (c) 2019 Marcus Klasson, Grocery Store Dataset",
    "trashnet_mit": "Copyright (c) 2017 Gary Thung, TrashNet",
    "fridge_mit": "Copyright (c) Microsoft Corporation, Fridge Objects",
    "fruit_mit": "Copyright (c) 2021 Microsoft, AI-102 course",
    "forks_trees_mit": "Copyright (c) Microsoft Corporation, Custom Vision samples",
    "playing_cards_apache": "EdjeElectronics, playing cards of the TensorFlow object detection tutorial",
    "chess_apache": "Roboflow, chess sample",
}
# The photographs of google-coral/test_data, whose file names there do not say which of Open Images they are.
CORAL_IDS = {
    "bird.bmp": "05cae1286a212d52",
    "cat_720p.jpg": "02b4196ce8a0e541",
    "sunflower.bmp": "57c28a05d44c2ff9",
    "dragonfly.bmp": "d9ed55a129da5505",
    "parrot.jpg": "0f3ebab958f44f5f",
    "owl.jpg": "165178f034f150ba",
    "pets.jpg": "82270c27bacdcaa4",
}


def openimages_id(source: dict) -> str | None:
    """The number under which Open Images names the author of a photograph that is from there."""
    if source["source"] == "coral_oi_ccby":
        return CORAL_IDS[source["source_file"]]
    if source["source"] == "rabbit_oi_ccby":
        return Path(source["source_file"]).name.split("_jpg.rf.")[0]
    return source.get("openimages_id")


def shrink(source: Path, target: Path) -> tuple[int, int]:
    """Writes the photograph with its longest side at most LONGEST_SIDE; one that is small enough is copied byte for byte."""
    with Image.open(source) as image:
        scale = LONGEST_SIDE / max(image.size)
        if scale >= 1:
            copyfile(source, target)
            return image.size
        size = tuple(max(1, round(side * scale)) for side in image.size)
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        # Neither Exif nor colour profiles: both could name a place or a person, or change how the pixels are read.
        small.save(target, "JPEG", quality=QUALITY, optimize=True)
        return size


def scaled(label: dict, size: tuple[int, int]) -> dict:
    """The label in the pixels of the smaller photograph. Boxes are edges; a point is the middle of a pixel."""
    scale = [new / old for new, old in zip(size, (label["width"], label["height"]))]

    def edges(box: list) -> list:
        # Rounding must not push an edge beyond the image.
        return [min(round(v * scale[i % 2], 1), size[i % 2]) for i, v in enumerate(box)]

    small = dict(label)
    small["width"], small["height"] = size
    for axis, name in enumerate(("x", "y")):
        if scale[axis] != 1:
            small[name] = min(max(round((label[name] + 0.5) * scale[axis] - 0.5, 1), 0), size[axis] - 1)
    for name in ("object_box", "part_box"):
        small[name] = edges(label[name]) if scale != [1, 1] else label[name]
    return small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()

    sources = [json.loads(line) for line in (args.full / "sources.jsonl").open(encoding="utf-8")]
    labels = [json.loads(line) for line in (args.full / "labels.jsonl").open(encoding="utf-8")]
    (args.out / "images").mkdir(parents=True, exist_ok=True)

    sizes = {}
    with (args.out / "sources.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for source in sources:
            name = source["file"]
            sizes[name] = shrink(args.full / "images" / name, args.out / "images" / name)
            row = {"file": name, "width": sizes[name][0], "height": sizes[name][1], "source": source["source"]}
            row |= {"licence": source["licence"], "licence_url": LICENCE_URLS[source["licence"]]}
            number = openimages_id(source)
            row["attribution"] = ATTRIBUTIONS[source["source"]].format(id=number)
            row |= {"openimages_id": number} if number else {"source_file": source["source_file"]}
            row["split"] = source["split"]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with (args.out / "labels.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for label in labels:
            file.write(json.dumps(scaled(label, sizes[label["file"]]), ensure_ascii=False) + "\n")

    n_bytes = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{len(sizes)} photographs, {len(labels)} points, {n_bytes / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
