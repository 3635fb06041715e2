"""Compares the time of our SIFT detector with OpenCV's: alternating, in one run, on 752x480 images.

    pip install opencv-python-headless==5.0.0.93
    cargo build -p tp-data --example sift_speed
    python tests/oracles/sift_speed.py target/debug/examples/sift_speed IMAGE.png [IMAGE.png ...]

Every image is resized to 752x480 (bicubic). Prints, per image and number of threads, the median of 15 rounds of each
and the median of the ratios of neighbouring rounds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import cv2

ROUNDS = 15


def main():
    program, images = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        for image in images:
            pixels = cv2.resize(cv2.imread(image, cv2.IMREAD_GRAYSCALE), (752, 480), interpolation=cv2.INTER_CUBIC)
            resized = os.path.join(folder, "image.png")
            cv2.imwrite(resized, pixels)
            for threads in (1, 2):
                compare(program, resized, pixels, threads, os.path.basename(image))


def compare(program, path, pixels, threads, name):
    cv2.setNumThreads(threads)
    detector = cv2.SIFT_create()
    ours = subprocess.Popen([program, path, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    times = []
    for round_ in range(ROUNDS + 2):
        start = time.perf_counter()
        theirs_found = len(detector.detect(pixels, None))
        theirs = time.perf_counter() - start
        ours.stdin.write("\n")
        ours.stdin.flush()
        seconds, found = ours.stdout.readline().split()
        if round_ >= 2:  # the first two warm both up
            times.append((float(seconds), theirs))
    ours.stdin.close()
    ours.wait()
    median = lambda values: statistics.median(list(values))
    print(
        f"{name} threads {threads}: ours {1e3 * median(t[0] for t in times):.1f} ms ({found} keypoints), "
        f"OpenCV {1e3 * median(t[1] for t in times):.1f} ms ({theirs_found}), "
        f"ratio {median(a / b for a, b in times):.2f}"
    )


if __name__ == "__main__":
    print("OpenCV", cv2.__version__)
    main()
