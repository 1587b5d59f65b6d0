"""Small random changes to training images that leave their labels true."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Augmentation", "augment"]

_CHUNK_BYTES = 2**18
"""Pixels worked on at once, so that their floating-point copies stay in the processor's cache."""


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be changed; each change is drawn evenly from its range, for every image anew.

    Attributes:
        shift: Farthest move along each axis, as a fraction of that side, 0 to 0.5; what comes into view mirrors the image.
        flip: Whether every other image is mirrored left to right.
        brightness: Most that is added or taken away, as a fraction of full scale, 0 to 1.
        contrast: Most by which distances from the image's own mean grow or shrink, as a fraction, 0 to 1.
        erase: Sides of a patch anywhere in the image, as a fraction of the image's, 0 to 1, that its own mean colour hides;
            centred on a pixel, it may reach over the edge (cutout, DeVries and Taylor, arXiv 1708.04552).
    """

    shift: float = 0.1
    flip: bool = True
    brightness: float = 0.1
    contrast: float = 0.1
    erase: float = 0.0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("shift", self.shift, 0.5),
            ("brightness", self.brightness, 1),
            ("contrast", self.contrast, 1),
            ("erase", self.erase, 1),
        ):
            if not 0 <= value <= most:
                raise DataError(
                    f"{name} must be between 0 and {most}. Received: {name}={value}. Choose a value in that range."
                )


def augment(x: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change every image of a batch at random.

    Args:
        x: `uint8 [N, height, width, channels]`; not altered.
        augmentation: How far.
        rng: Where randomness comes from; one in the same state gives the same images.

    Returns:
        A new `uint8 [N, height, width, channels]`.

    Raises:
        DataError: `x` is no such array.
    """
    if x.dtype != np.uint8 or x.ndim != 4:
        raise DataError(
            "Images to augment must be uint8 [N, height, width, channels]. "
            f"Received: {x.dtype} {list(x.shape)}. Make them with prepare()."
        )
    moved = _move(x, augmentation, rng)
    if augmentation.brightness or augmentation.contrast:
        _relight(moved, augmentation, rng)
    if augmentation.erase:
        _erase(moved, augmentation.erase, rng)
    return moved


def _move(x: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shift and mirror, by looking up for every pixel which one comes in its place."""
    count, height, width, channels = x.shape
    rows = _reflected(height, augmentation.shift, count, rng)
    columns = _reflected(width, augmentation.shift, count, rng)
    if augmentation.flip:
        columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    origins = np.arange(count)[:, None] * height + rows
    pixels = origins[:, :, None] * width + columns[:, None, :]
    return x.reshape(-1, channels)[pixels.reshape(-1)].reshape(x.shape)


def _reflected(side: int, shift: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each image the coordinate that comes to each place, `int64 [count, side]`, mirrored at the edge pixels."""
    farthest = min(int(shift * side), side - 1)
    offsets = rng.integers(-farthest, farthest + 1, (count, 1))
    coordinates = np.abs(np.arange(side) + offsets)
    return side - 1 - np.abs(side - 1 - coordinates)


def _relight(x: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> None:
    """Change brightness and contrast in place: v → mean + gain · (v - mean) + offset, cut off at 0 and 255."""
    gains: NDArray[np.float32] = 1 + augmentation.contrast * rng.uniform(-1, 1, (len(x), 1)).astype(np.float32)
    offsets: NDArray[np.float32] = 255 * augmentation.brightness * rng.uniform(-1, 1, (len(x), 1)).astype(np.float32)
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    step = max(1, _CHUNK_BYTES // max(1, flat.shape[1]))
    for start in range(0, len(x), step):
        some = slice(start, start + step)
        values = flat[some].astype(np.float32)
        means: NDArray[np.float32] = values.mean(axis=1, keepdims=True)
        values *= gains[some]
        values += means * (1 - gains[some]) + offsets[some]
        flat[some] = np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)


def _erase(x: NDArray[np.uint8], share: float, rng: np.random.Generator) -> None:
    """Hide a patch of each image in place behind that image's mean colour."""
    count, height, width, _ = x.shape
    rows, columns = _patch(height, share, count, rng), _patch(width, share, count, rng)
    hidden = rows[:, :, None] & columns[:, None, :]
    colours = np.rint(x.mean(axis=(1, 2))).astype(np.uint8)
    x[hidden] = np.repeat(colours, hidden.sum(axis=(1, 2)), axis=0)


def _patch(side: int, share: float, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """For each image the coordinates that are hidden, `bool [count, side]`."""
    first = rng.integers(0, side, (count, 1)) - round(share * side) // 2
    coordinates = np.arange(side)
    return (coordinates >= first) & (coordinates < first + round(share * side))
