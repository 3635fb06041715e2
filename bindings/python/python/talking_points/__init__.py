"""Describes single pixels of images in words, and finds the pixels that words mean.

    import talking_points

    model = talking_points.load("models/tiny")
    words = model.describe("photo.jpg", [(300, 130)])[0].text
    found = model.locate("photo.jpg", [words])[0]        # None if nothing in the image is meant

Coordinates are pixels, `(column, row)`; the center of the first pixel is `(0, 0)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from . import _native
from ._native import Error

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["Description", "EncodedImage", "Error", "Located", "Model", "Name", "load"]

Image = Union[str, "os.PathLike[str]", np.ndarray, "PillowImage", "EncodedImage"]


@dataclass(frozen=True)
class Name:
    """What a model takes a point for. A noun is None if the model is not certain enough."""

    object: str | None
    object_probability: float
    part: str | None
    part_probability: float
    colour: str | None


@dataclass(frozen=True)
class Description:
    """A description of a point, the sum of its tokens' log-probabilities in nats, and the names in it."""

    text: str
    log_prob: float
    name: Name | None


@dataclass(frozen=True)
class Located:
    """The point that a text means, in pixels, and the probability that it is within a tenth of the image of the true one."""

    x: float
    y: float
    confidence: float | None


class EncodedImage:
    """An image as a model sees it: any number of calls of that model can use it."""

    def __init__(self, native: _native.Encoded) -> None:
        self._native = native

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._native.size

    def __repr__(self) -> str:
        width, height = self.size
        return f"EncodedImage({width}×{height})"


class Model:
    """A model folder, loaded. Calls from several threads are safe; they release the interpreter's lock."""

    def __init__(self, native: _native.Model, folder: Path) -> None:
        self._native, self._folder = native, folder

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, its first 16 digits."""
        return self._native.fingerprint

    def __repr__(self) -> str:
        return f"Model({str(self._folder)!r})"

    def encode(self, image: Image) -> EncodedImage:
        """Looks at an image: a file, an array `[height, width, 3]` of bytes in RGB or `[height, width]` in gray, or a Pillow image.

        A file is turned upright by its EXIF orientation; an array and a Pillow image are taken as they are.
        """
        if isinstance(image, EncodedImage):
            return image
        if isinstance(image, (str, os.PathLike)):
            return EncodedImage(self._native.encode_file(Path(image)))
        pixels = _rgb(_array(image))
        height, width, _ = pixels.shape
        return EncodedImage(self._native.encode_pixels(pixels.tobytes(), width, height))

    def describe(self, image: Image, points: Iterable[tuple[float, float]], *, seed: int = 0) -> list[Description]:
        """Describes points `(column, row)`, in their order; also of an array `[n, 2]`."""
        pairs = [_pair(point) for point in points]
        described = self._native.describe(self.encode(image)._native, pairs, seed)
        return [Description(text, log_prob, None if name is None else Name(*name)) for text, log_prob, name in described]

    def locate(self, image: Image, texts: Iterable[str]) -> list[Located | None]:
        """Finds the points that texts mean, in their order; None for a text about nothing in the image."""
        if isinstance(texts, str):
            raise TypeError("texts is a single text: give a list of texts")
        located = self._native.locate(self.encode(image)._native, list(texts))
        return [None if found is None else Located(*found) for found in located]


def load(folder: str | os.PathLike[str], *, device: str = "flex") -> Model:
    """Loads a model folder, as `talking-points train` and `convert` write it; `flex` is the CPU."""
    return Model(_native.Model(Path(folder), device), Path(folder))


# Pillow's modes of eight bits or fewer a channel: it clips wider ones to 255 without a word.
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"}


def _array(image: np.ndarray | PillowImage) -> np.ndarray:
    if isinstance(image, np.ndarray) or not hasattr(image, "convert"):
        return image
    if image.mode not in _MODES:
        raise TypeError(f"a Pillow image of mode {image.mode} has more than eight bits: scale it to 0 to 255 as an array of uint8")
    return np.asarray(image.convert("RGB"))


def _rgb(array: np.ndarray) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"an image is a path, an array or a Pillow image, not {type(array).__name__}")
    if array.dtype != np.uint8:
        raise TypeError(f"an image has bytes from 0 to 255, this array has {array.dtype}: convert it to uint8")
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"an image has the shape [height, width, 3] or [height, width], not {list(array.shape)}")
    return array


def _pair(point: tuple[float, float]) -> tuple[float, float]:
    try:
        x, y = point
        return float(x), float(y)
    except (TypeError, ValueError):
        raise TypeError(f"a point is a pair of numbers, (column, row), not {point!r}") from None
