"""Writes what OpenCV's SIFT detector finds in grey images: the reference of crates/tp-data/tests/sift_parity.rs.

    pip install opencv-python-headless==5.0.0.93
    python tests/oracles/sift_keypoints.py crates/tp-data/tests/fixtures/sift

Reads every PNG of the folder and writes keypoints.json beside them. Per image: every keypoint as [x, y, size, response]
(strongest first, without the angle: one place with several angles is listed once), and twelve rectangles
[x, y, width, height] with the strongest keypoint inside, or null. Rectangles come from a fixed linear congruence;
those whose two strongest keypoints differ by less than 1e-6 in response are left out.
"""

import json
import os
import sys

import cv2


def main():
    folder = sys.argv[1]
    cv2.setNumThreads(1)
    images = []
    for file in sorted(name for name in os.listdir(folder) if name.endswith(".png")):
        pixels = cv2.imread(os.path.join(folder, file), cv2.IMREAD_GRAYSCALE)
        places = {(k.pt[0], k.pt[1], k.size, k.response) for k in cv2.SIFT_create().detect(pixels, None)}
        places = sorted(places, key=lambda p: (-p[3], p[1], p[0]))
        images.append({"file": file, "keypoints": [rounded(p) for p in places], "masks": masks(pixels, places)})
    info = {"library": "opencv-python-headless " + cv2.__version__, "detector": "cv2.SIFT_create()"}
    with open(os.path.join(folder, "keypoints.json"), "w") as out:
        json.dump({"info": info, "images": images}, out, separators=(",", ":"))
        out.write("\n")


def rounded(place):
    return [round(place[0], 4), round(place[1], 4), round(place[2], 4), round(place[3], 6)]


def masks(pixels, places):
    height, width = pixels.shape
    state, found = 12345, []

    def draw(low, high):
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return low + state // 65536 % (high - low)

    while len(found) < 12:
        w, h = draw(12, width // 2), draw(12, height // 2)
        x, y = draw(0, width - w), draw(0, height - h)
        inside = [p for p in places if x <= int(p[0] + 0.5) < x + w and y <= int(p[1] + 0.5) < y + h]
        if len(inside) > 1 and inside[0][3] - inside[1][3] < 1e-6:
            continue
        found.append({"box": [x, y, w, h], "strongest": rounded(inside[0]) if inside else None})
    return found


if __name__ == "__main__":
    main()
