"""Image files and foreign arrays become frames here: `uint8 [height, width, 3]`, BGR."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import FrameError, ImageReadError
from .files import read_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IMAGE_SUFFIXES", "as_frame", "decode_image", "quiet_decoders", "read_image"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Markers of the frame header, which holds the size: baseline, extended and progressive."""
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def quiet_decoders() -> None:
    """For commands: keep OpenCV's warnings about damaged files off standard error, where our own line says the same."""
    errors = 2
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(errors)
    else:
        cv2.utils.logging.setLogLevel(errors)


def read_image(path: str | os.PathLike[str], covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image file as a frame.

    Grey files get three equal channels, transparency is dropped, 16-bit files are reduced to 8 bits, and the
    orientation that a camera wrote into EXIF is applied.

    Args:
        path: A file in any format OpenCV decodes.
        covering: Width and height of the model's input in pixels, where the frame is for nothing else: a JPEG file is then
            decoded at a half, a quarter or an eighth of its size, the smallest that is not below them, which saves most of
            the time. None for full size.

    Returns:
        `uint8 [height, width, 3]`, BGR.

    Raises:
        ImageReadError: The file is missing, empty, truncated, or holds no image.
    """
    try:
        content = read_file(path)
    except OSError as error:
        raise ImageReadError(
            f"An image file must be readable. Received: {path} ({error.strerror}). Check the path."
        ) from error
    return decode_image(content, str(path), covering)


def decode_image(content: bytes, name: str, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode the bytes of an image file as `read_image` does.

    Args:
        content: The whole file.
        name: What to call it in an error.
        covering: As for `read_image`.

    Returns:
        `uint8 [height, width, 3]`, BGR.

    Raises:
        ImageReadError: The bytes hold no whole image.
    """
    if not content:
        raise ImageReadError(
            f"An image file must hold an image. Received: {name}, 0 bytes. Remove or replace the file."
        )
    size, whole = _jpeg(content)
    if not whole:
        raise ImageReadError(
            f"A JPEG file must be whole. Received: {name}, cut off after {len(content)} bytes. Copy it again."
        )
    try:
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), _reduction(size, covering))
    except cv2.error:
        frame = None
    if frame is None:
        raise ImageReadError(
            f"An image file must be in a format OpenCV decodes. Received: {name}, {len(content)} bytes. Remove or re-save the file."
        )
    return frame.astype(np.uint8, copy=False)


def as_frame(image: NDArray[np.generic], order: str = "rgb") -> NDArray[np.uint8]:
    """Convert an array of another layout to a frame.

    Args:
        image: `[height, width]` grey, or `[height, width, channels]` with 1, 3 or 4 channels; uint8, or uint16 whose upper
            8 bits are kept.
        order: `"rgb"` or `"bgr"`, the order of the first three channels.

    Returns:
        `uint8 [height, width, 3]`, BGR, C-contiguous.

    Raises:
        FrameError: The array is none of these.
    """
    if not isinstance(image, np.ndarray):
        raise FrameError(
            f"An image must be a NumPy array. Received: {type(image).__name__}. Convert it with numpy.asarray()."
        )
    if image.dtype == np.uint16:
        image = (image.astype(np.uint16) >> 8).astype(np.uint8)
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise FrameError(
            "An image must be uint8 or uint16, [height, width] or [height, width, 1, 3 or 4]. "
            f"Received: {image.dtype} {list(image.shape)}. Convert it first."
        )
    if order not in ("rgb", "bgr"):
        raise FrameError(f"order must be 'rgb' or 'bgr'. Received: {order!r}. Name the order of the array's channels.")
    if channels == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2).astype(np.uint8, copy=False)
    colors = image[:, :, 2::-1] if order == "rgb" else image[:, :, :3]
    return np.ascontiguousarray(colors, dtype=np.uint8)


def _reduction(size: tuple[int, int] | None, covering: tuple[int, int] | None) -> int:
    """OpenCV's flag for the smallest scale that covers a size, whichever way up EXIF turns the picture."""
    if size is None or covering is None:
        return cv2.IMREAD_COLOR
    for scale, flag in _REDUCED:
        reduced = -(-min(size) // scale)
        if reduced >= max(covering):
            return flag
    return cv2.IMREAD_COLOR


def _jpeg(content: bytes) -> tuple[tuple[int, int] | None, bool]:
    """Width and height of a JPEG file, None for others, and whether the picture's own scan ends.

    Decoders fill what is missing with grey and say nothing. The segments before the scan are stepped over by their lengths,
    since an EXIF thumbnail is a whole JPEG of its own.
    """
    if not content.startswith(_JPEG_START):
        return None, True
    size, position = None, len(_JPEG_START)
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte; any number of them may stand before a marker
            position += 1
        elif marker == _JPEG_SCAN:
            return size, content.find(_JPEG_END, position) >= 0
        else:
            if marker in _JPEG_FRAMES and position + 9 <= len(content):
                height, width = (int.from_bytes(content[position + at : position + at + 2], "big") for at in (5, 7))
                size = (width, height)
            position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return size, False
