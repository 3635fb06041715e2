"""Draws what a model says of the first described point of every fourth photograph of a validation split.

    python tools/sheet.py target/debug/talking-points data/everyday_points docs/photographs.jpg

The circle is the point, the cross is where a person's words lead. Needs Pillow.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

N_PHOTOGRAPHS, COLUMNS, TILE, CAPTION = 20, 5, 300, 150
GREEN, RED, INK, PAPER = (20, 130, 60), (200, 30, 60), (40, 40, 46), (250, 249, 246)


def asked(program, command, image, flag, value):
    """What the program answers, as JSON."""
    arguments = [program, command, "--image", str(image), flag, value, "--json"]
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def tile(program, folder, label, font):
    """One photograph with its point, the place of the words, and both texts."""
    path = folder / "images" / label["file"]
    said = asked(program, "describe", path, "--point", f"{label['x']},{label['y']}")["points"][0]["description"]
    found = asked(program, "locate", path, "--text", label["human"])["results"][0]["located"]
    picture = Image.open(path).convert("RGB")
    scale = min(TILE / picture.width, TILE / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    draw = ImageDraw.Draw(picture)
    x, y = label["x"] * scale, label["y"] * scale
    for radius, colour in ((10, (0, 0, 0)), (9, (255, 255, 255)), (8, (0, 0, 0))):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour)
    if found:
        u, v = found["x"] * scale, found["y"] * scale
        for width, colour in ((5, (255, 255, 255)), (3, RED)):
            draw.line((u - 9, v - 9, u + 9, v + 9), fill=colour, width=width)
            draw.line((u - 9, v + 9, u + 9, v - 9), fill=colour, width=width)
    canvas = Image.new("RGB", (TILE, TILE + CAPTION), PAPER)
    canvas.paste(picture, ((TILE - picture.width) // 2, (TILE - picture.height) // 2))
    draw, top = ImageDraw.Draw(canvas), TILE + 6
    texts = (
        (f"asked: {label['human']}" + ("" if found else " (not found)"), RED),
        (f"written: {said}", GREEN),
        (f"label: {label['object']}, {label['part']}, {label['colour']}", INK),
    )
    for text, colour in texts:
        for line in textwrap.wrap(text, 47):
            draw.text((6, top), line, fill=colour, font=font)
            top += 15
    return canvas


def main():
    program, folder, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    first = {}
    for line in (folder / "labels.jsonl").open():
        label = json.loads(line)
        if label["split"] == "val":
            first.setdefault(label["file"], label)
    labels = list(first.values())[::4][:N_PHOTOGRAPHS]
    font = ImageFont.load_default(12)
    sheet = Image.new("RGB", (COLUMNS * TILE, -(-len(labels) // COLUMNS) * (TILE + CAPTION)), PAPER)
    for at, label in enumerate(labels):
        sheet.paste(tile(program, folder, label, font), (at % COLUMNS * TILE, at // COLUMNS * (TILE + CAPTION)))
    sheet.save(out, quality=80)


if __name__ == "__main__":
    main()
