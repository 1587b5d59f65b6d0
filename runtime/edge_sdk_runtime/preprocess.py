"""The only code that turns a frame into model input, in training, calibration, evaluation and on the device.

A `PreprocessSpec` says what is to be done and travels in the bundle; a `Preprocessor` is that specification made ready to
run. Frames are `uint8 [height, width, 3]`, BGR, as OpenCV gives them; model input is `uint8 [height, width, channels]`, RGB
or grey. Scaling to floating point happens inside the model, so there is nothing here to get wrong twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import FrameError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Color", "Interpolation", "PreprocessSpec", "Preprocessor", "ResizeMode"]

MAX_SIDE = 4096


class ResizeMode(str, Enum):
    """How a frame of another shape becomes the model's."""

    STRETCH = "stretch"
    """The whole frame, its aspect ratio given up."""
    LETTERBOX = "letterbox"
    """The whole frame, its aspect ratio kept, the rest black."""
    CENTER_CROP = "center-crop"
    """The largest centred part of the frame that has the model's aspect ratio."""


class Interpolation(str, Enum):
    """How pixels are combined when a frame shrinks; a frame that grows is always interpolated linearly."""

    AREA = "area"
    """Average over every covered pixel: no aliasing."""
    LINEAR = "linear"
    """Four neighbours of each sample point: faster, aliases when shrinking."""


class Color(str, Enum):
    """What the model's channels mean."""

    RGB = "rgb"
    GRAY = "gray"


@dataclass(frozen=True)
class PreprocessSpec:
    """What is done to a frame before the model sees it.

    Attributes:
        width: Model input width in pixels, 1 to 4096.
        height: Model input height in pixels, 1 to 4096.
        resize: How a frame of another aspect ratio is fitted.
        interpolation: How pixels are combined when shrinking.
        color: Three RGB channels or one grey channel.
    """

    width: int
    height: int
    resize: ResizeMode = ResizeMode.CENTER_CROP
    interpolation: Interpolation = Interpolation.AREA
    color: Color = Color.RGB

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
                raise UsageError(
                    f"{name} must be a whole number between 1 and {MAX_SIDE} pixels. Received: {value!r}. Choose a size in that range."
                )
        for name, kind in (("resize", ResizeMode), ("interpolation", Interpolation), ("color", Color)):
            _as_enum(self, name, kind)

    @property
    def channels(self) -> int:
        """Channels of the model input: 3 for RGB, 1 for grey."""
        return 3 if self.color is Color.RGB else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one model input, `(height, width, channels)`."""
        return (self.height, self.width, self.channels)


def _as_enum(spec: PreprocessSpec, name: str, kind: type[Enum]) -> None:
    """Turn a field given as text into its enum, since members are compared by identity."""
    value = getattr(spec, name)
    try:
        object.__setattr__(spec, name, kind(value))
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise UsageError(f"{name} must be one of {known}. Received: {value!r}. Choose one of them.") from None


@dataclass(frozen=True)
class _Plan:
    """Where pixels come from and go to, for one frame shape; slices are (rows, columns)."""

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    size: tuple[int, int]
    """Width and height to resize to."""
    flag: int
    resizes: bool
    fills: bool
    """Whether the target covers the whole model input."""


class Preprocessor:
    """A specification made ready to run: scratch memory allocated once, one plan per frame shape.

    An instance reuses its scratch memory and is therefore for one thread at a time.

    Args:
        spec: What is to be done.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        self.spec = spec
        self._code = cv2.COLOR_BGR2RGB if spec.color is Color.RGB else cv2.COLOR_BGR2GRAY
        self._scratch: NDArray[np.uint8] = np.empty((spec.height, spec.width, 3), np.uint8)
        self._plans: dict[tuple[int, ...], tuple[_Plan, NDArray[np.uint8]]] = {}

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Preprocess one frame into a new array.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.

        Returns:
            `uint8 [height, width, channels]` as the specification says.

        Raises:
            FrameError: The array is not such a frame.
        """
        out = np.empty(self.spec.shape, np.uint8)
        self.into(frame, out)
        return out

    def into(self, frame: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Preprocess one frame into memory that is already there, such as an interpreter's input tensor.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.
            out: `uint8 [height, width, channels]`, C-contiguous; every element is written.

        Raises:
            FrameError: The array is not such a frame.
        """
        known = self._plans.get(frame.shape) if isinstance(frame, np.ndarray) and frame.dtype == np.uint8 else None
        plan, scratch = known or self._prepare(frame)
        if not plan.fills:
            out.fill(0)
            out = out[plan.target]
        pixels = frame[plan.source]
        if plan.resizes:
            cv2.resize(pixels, plan.size, dst=scratch, interpolation=plan.flag)
            pixels = scratch
        cv2.cvtColor(pixels, self._code, dst=out)

    def _prepare(self, frame: NDArray[np.uint8]) -> tuple[_Plan, NDArray[np.uint8]]:
        check_frame(frame)
        plan = _plan(self.spec, frame.shape[1], frame.shape[0])
        width, height = plan.size
        prepared = (plan, self._scratch.reshape(-1)[: width * height * 3].reshape(height, width, 3))
        if len(self._plans) >= 64:  # a folder of photographs has many shapes; a camera has one
            self._plans.clear()
        self._plans[frame.shape] = prepared
        return prepared


def check_frame(frame: NDArray[np.uint8]) -> None:
    """Refuse what is not a `uint8 [height, width, 3]` array with at least one pixel.

    Raises:
        FrameError: Says what was received and what to call.
    """
    if not isinstance(frame, np.ndarray):
        raise FrameError(
            f"A frame must be a NumPy array. Received: {type(frame).__name__}. Read files with read_image()."
        )
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise FrameError(
            "A frame must be uint8 [height, width, 3] in BGR order with at least one pixel. "
            f"Received: {frame.dtype} {list(frame.shape)}. Convert it with as_frame()."
        )


def _fit(width: int, height: int, within_width: int, within_height: int) -> tuple[int, int]:
    """The largest size of the aspect ratio `width` : `height` that fits; at least 1 × 1 pixels.

    In whole numbers, halves rounded up: floating point would fall beside the half, and elsewhere than another language does.
    """
    if width * within_height > height * within_width:
        return within_width, max(1, (2 * height * within_width + width) // (2 * width))
    return max(1, (2 * width * within_height + height) // (2 * height)), within_height


def _plan(spec: PreprocessSpec, width: int, height: int) -> _Plan:
    """Work out the crop, the size to resize to and the place in the model input for frames of one shape."""
    left, top, crop_width, crop_height = 0, 0, width, height
    new_width, new_height = spec.width, spec.height
    if spec.resize is ResizeMode.CENTER_CROP:
        crop_width, crop_height = _fit(spec.width, spec.height, width, height)
        left, top = (width - crop_width) // 2, (height - crop_height) // 2
    elif spec.resize is ResizeMode.LETTERBOX:
        new_width, new_height = _fit(width, height, spec.width, spec.height)
    x, y = (spec.width - new_width) // 2, (spec.height - new_height) // 2
    shrinks = crop_width >= new_width and crop_height >= new_height
    area = spec.interpolation is Interpolation.AREA and shrinks
    return _Plan(
        source=(slice(top, top + crop_height), slice(left, left + crop_width)),
        target=(slice(y, y + new_height), slice(x, x + new_width)),
        size=(new_width, new_height),
        flag=cv2.INTER_AREA if area else cv2.INTER_LINEAR,
        resizes=(crop_width, crop_height) != (new_width, new_height),
        fills=(new_width, new_height) == (spec.width, spec.height),
    )
