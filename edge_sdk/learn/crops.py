"""Square pieces of images: random ones to learn from, the middle one to measure on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["centre_crops", "check_side", "random_crops"]


def random_crops(x: NDArray[np.uint8], side: int, rng: np.random.Generator, *, flip: bool = True) -> NDArray[np.uint8]:
    """A piece of every image from anywhere in it, every other one mirrored.

    Args:
        x: `uint8 [N, height, width, channels]`; not altered.
        side: Of the pieces in pixels.
        rng: Where randomness comes from.
        flip: Whether every other piece is mirrored left to right.

    Returns:
        `uint8 [N, side, side, channels]`.

    Raises:
        DataError: The images are smaller.
    """
    check_side(x.shape[1:], side)
    count, height, width, channels = x.shape
    rows = rng.integers(0, height - side + 1, (count, 1)) + np.arange(side)
    columns = rng.integers(0, width - side + 1, (count, 1)) + np.arange(side)
    if flip:
        columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    origins = np.arange(count)[:, None] * height + rows
    pixels = origins[:, :, None] * width + columns[:, None, :]
    return x.reshape(-1, channels)[pixels.reshape(-1)].reshape(count, side, side, channels)


def centre_crops(x: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle of every image; of an odd rest the larger part stays at the right and below.

    Args:
        x: `uint8 [N, height, width, channels]`.
        side: Of the pieces in pixels.

    Returns:
        `uint8 [N, side, side, channels]`, a view.

    Raises:
        DataError: The images are smaller.
    """
    check_side(x.shape[1:], side)
    top, left = (x.shape[1] - side) // 2, (x.shape[2] - side) // 2
    return x[:, top : top + side, left : left + side]


def check_side(shape: tuple[int, ...], side: int) -> None:
    """Refuse images, `[height, width, channels]`, that are smaller than a piece.

    Raises:
        DataError: They are.
    """
    if side < 1 or min(shape[:2]) < side:
        raise DataError(
            f"Images must be at least as large as the pieces cut from them, {side}×{side}. "
            f"Received: {shape[1]}×{shape[0]}. Prepare them larger."
        )
