"""How frames hold their pixels, and OpenCV's codes from there to the model's colours."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import FrameError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Pixels", "black_frame", "check_pixels", "frame_size"]


class Pixels(str, Enum):
    """The layout of a frame, `uint8`."""

    BGR = "bgr"
    """`[height, width, 3]`, as OpenCV decodes."""
    RGB = "rgb"
    """`[height, width, 3]`."""
    GRAY = "gray"
    """`[height, width]` or `[height, width, 1]`."""
    BGRA = "bgra"
    """`[height, width, 4]`; the fourth channel is ignored."""
    NV12 = "nv12"
    """`[height · 3/2, width]`: a plane of luma, then one of interleaved chroma at half size; both sides even."""
    YUYV = "yuyv"
    """`[height, width, 2]`: luma and, in turn, one of two chromas; the width is even."""

    @classmethod
    def named(cls, name: Pixels | str) -> Pixels:
        """The member of a name.

        Raises:
            UsageError: There is none.
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(member.value for member in cls)
            raise UsageError(f"pixels must be one of {known}. Received: {name!r}. Choose one of them.") from None

    @property
    def decode_code(self) -> int | None:
        """OpenCV's code to whole frames in BGR for layouts that cannot be resized as they are, else None."""
        return {Pixels.NV12: cv2.COLOR_YUV2BGR_NV12, Pixels.YUYV: cv2.COLOR_YUV2BGR_YUYV}.get(self)

    @property
    def channels(self) -> int:
        """Channels of what is resized."""
        return {Pixels.GRAY: 1, Pixels.BGRA: 4}.get(self, 3)

    def color_code(self, *, gray: bool) -> int | None:
        """OpenCV's code from what is resized to RGB or grey; None where it is that already."""
        if self is Pixels.RGB:
            return cv2.COLOR_RGB2GRAY if gray else None
        if self is Pixels.GRAY:
            return None if gray else cv2.COLOR_GRAY2RGB
        if self is Pixels.BGRA:
            return cv2.COLOR_BGRA2GRAY if gray else cv2.COLOR_BGRA2RGB
        return cv2.COLOR_BGR2GRAY if gray else cv2.COLOR_BGR2RGB


def frame_size(shape: tuple[int, ...], pixels: Pixels) -> tuple[int, int]:
    """Width and height of the picture that an array of a shape holds."""
    return shape[1], shape[0] * 2 // 3 if pixels is Pixels.NV12 else shape[0]


def black_frame(pixels: Pixels, width: int, height: int) -> NDArray[np.uint8]:
    """A dark frame of a layout that is at least so large; sides that have to be even are."""
    width, height = width + width % 2, height + height % 2
    shapes = {Pixels.GRAY: (height, width), Pixels.NV12: (height * 3 // 2, width), Pixels.YUYV: (height, width, 2)}
    return np.zeros(shapes.get(pixels, (height, width, pixels.channels)), np.uint8)


def check_pixels(frame: NDArray[np.uint8], pixels: Pixels) -> None:
    """Refuse what is not an array of a layout with at least one pixel.

    Raises:
        FrameError: Says what was received and what to call.
    """
    if not isinstance(frame, np.ndarray):
        raise FrameError(
            f"A frame must be a NumPy array. Received: {type(frame).__name__}. Read files with read_image()."
        )
    if frame.dtype != np.uint8 or frame.size == 0 or not _fits(frame.shape, pixels):
        raise FrameError(
            f"A frame must be {_RULES[pixels]} with at least one pixel. "
            f"Received: {frame.dtype} {list(frame.shape)}. Convert it with as_frame()."
        )


_RULES = {
    Pixels.BGR: "uint8 [height, width, 3] in BGR order",
    Pixels.RGB: "uint8 [height, width, 3] in RGB order",
    Pixels.GRAY: "uint8 [height, width] or [height, width, 1]",
    Pixels.BGRA: "uint8 [height, width, 4] in BGRA order",
    Pixels.NV12: "uint8 [height · 3/2, width] of even height and width",
    Pixels.YUYV: "uint8 [height, width, 2] of even width",
}


def _fits(shape: tuple[int, ...], pixels: Pixels) -> bool:
    if pixels is Pixels.GRAY:
        return len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)
    if pixels is Pixels.NV12:
        return len(shape) == 2 and shape[0] % 3 == 0 and shape[1] % 2 == 0
    if pixels is Pixels.YUYV:
        return len(shape) == 3 and shape[2] == 2 and shape[1] % 2 == 0
    return len(shape) == 3 and shape[2] == pixels.channels
