"""Writes the squares that `preprocess.rs` is compared with. Written by Pillow 13.0.0: python3 pillow_bicubic.py"""

from pathlib import Path

from PIL import Image

FILL = (122, 116, 104)
SIDE = 32

for height, width in [(45, 70), (23, 11)]:
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), ((y * 7 + x * 13) % 256, (y * y + x * 3) % 256, ((y * 29) ^ (x * 5)) % 256))
    side = max(height, width)
    canvas = Image.new("RGB", (side, side), FILL)
    canvas.paste(image, ((side - width) // 2, (side - height) // 2))
    square = canvas.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    Path(__file__).with_name(f"pillow_{height}x{width}_to_{SIDE}.bin").write_bytes(square.tobytes())
