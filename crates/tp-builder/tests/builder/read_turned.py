"""Reads a data set of turned photographs with datasets, and asks of every row what colour the pixel under its point has.

python read_turned.py FOLDER

Every point is on a red part, in pictures that have red nowhere else.
"""

import io
import sys

import datasets
import PIL.Image

rows = datasets.load_dataset(sys.argv[1], split="test")
raw = rows.cast_column("image", datasets.Image(decode=False))
seen = set()
for row, file in zip(rows, raw):
    width, height = row["width"], row["height"]
    place = (min(int(row["x"] * width), width - 1), min(int(row["y"] * height), height - 1))
    # As datasets decodes, which turns pictures by their tag, and as programs do that know of no tag.
    pictures = [row["image"], PIL.Image.open(io.BytesIO(file["image"]["bytes"]))]
    colours = [picture.convert("RGB").getpixel(place) for picture in pictures]
    if row["image_path"] not in seen:
        seen.add(row["image_path"])
        print(f"{row['image_path']}: row {width}x{height}, point ({row['x']:.3f}, {row['y']:.3f}), "
              f"datasets {pictures[0].size}, plain {pictures[1].size}, pixel {colours[0]}")
    for picture, (red, green, blue) in zip(pictures, colours):
        assert picture.size == (width, height), row["image_path"]
        assert red > 140 and green < 110 and blue < 110, (row["image_path"], colours)
print(len(rows), "rows on", len(seen), "pictures, datasets", datasets.__version__)
