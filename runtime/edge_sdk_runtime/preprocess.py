"""The only code that turns a frame into model input, in training, calibration, evaluation and on the device.

A `PreprocessSpec` says what is to be done and travels in the bundle; a `Preprocessor` is that specification made ready to
run. Frames are `uint8 [height, width, 3]`, BGR, as OpenCV gives them, unless the preprocessor is told of another `Pixels`;
model input is `uint8 [height, width, channels]`, RGB or grey. Scaling to floating point happens inside the model, so there is
nothing here to get wrong twice.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import UsageError
from .geometry import Geometry, Region, frame_geometry
from .pixels import Pixels, check_pixels, frame_size
from .records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Color", "Interpolation", "Pixels", "PreprocessSpec", "Preprocessor", "Region", "ResizeMode"]

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
    FAST_AREA = "fast-area"
    """An average over up to 6 × 6 linear samples: about one grey level from `AREA` at a fraction of its time."""
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
    interpolation: Interpolation = Interpolation.FAST_AREA
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
    """What is done to frames of one shape, with the memory for it."""

    geometry: Geometry
    flag: int
    decoded: NDArray[np.uint8] | None
    """The whole frame in BGR, where its pixels are packed otherwise."""
    steps: tuple[tuple[int, tuple[int, int], NDArray[np.uint8]], ...]
    """Resizes before the last: the interpolation, the size and the memory of each."""
    resized: NDArray[np.uint8]


class Preprocessor:
    """A specification made ready to run: memory allocated once, one plan per frame shape, the colours swapped last.

    An instance reuses its memory and is therefore for one thread at a time.

    Args:
        spec: What is to be done.
        pixels: How frames hold their pixels.
        region: The part of every frame that is looked at; all of it where None.
    """

    def __init__(self, spec: PreprocessSpec, pixels: Pixels | str = Pixels.BGR, region: Region | None = None) -> None:
        self.spec, self.pixels, self.region = spec, Pixels.named(pixels), region
        self._decode = self.pixels.decode_code or 0
        self._code = self.pixels.color_code(gray=spec.color is Color.GRAY)
        self._plans: dict[tuple[int, ...], _Plan] = {}

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Preprocess one frame into a new array.

        Args:
            frame: `uint8`, of the shape that `pixels` says; by default `[height, width, 3]`, BGR.

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
            frame: As for calling.
            out: `uint8 [height, width, channels]`, C-contiguous; every element is written.

        Raises:
            FrameError: The array is not such a frame.
        """
        known = self._plans.get(frame.shape) if isinstance(frame, np.ndarray) and frame.dtype == np.uint8 else None
        plan = known or self._plan(frame)
        geometry = plan.geometry
        if not geometry.fills:
            out.fill(0)
            out = out[geometry.target]
        if plan.decoded is not None:
            cv2.cvtColor(frame, self._decode, dst=plan.decoded)
            frame = plan.decoded
        pixels = frame[geometry.source]
        for kind, between, memory in plan.steps:
            cv2.resize(pixels, between, dst=memory, interpolation=kind)
            pixels = memory
        if self._code is None:
            cv2.resize(pixels, geometry.size, dst=out, interpolation=plan.flag)
            return
        if geometry.resizes:
            cv2.resize(pixels, geometry.size, dst=plan.resized, interpolation=plan.flag)
            pixels = plan.resized
        cv2.cvtColor(pixels, self._code, dst=out)

    def _plan(self, frame: NDArray[np.uint8]) -> _Plan:
        check_pixels(frame, self.pixels)
        spec, channels = self.spec, self.pixels.channels
        width, height = frame_size(frame.shape, self.pixels)
        fast = spec.interpolation is Interpolation.FAST_AREA
        geometry = frame_geometry((width, height), (spec.width, spec.height), spec.resize.value, self.region, fast=fast)
        area = spec.interpolation is not Interpolation.LINEAR and geometry.shrinks
        plan = _Plan(
            geometry,
            cv2.INTER_AREA if area else cv2.INTER_LINEAR,
            np.empty((height, width, 3), np.uint8) if self._decode else None,
            _steps(geometry, channels),
            _image(geometry.size, channels),
        )
        if len(self._plans) >= 64:  # a folder of photographs has many shapes; a camera has one
            self._plans.clear()
        self._plans[frame.shape] = plan
        return plan


def _steps(geometry: Geometry, channels: int) -> tuple[tuple[int, tuple[int, int], NDArray[np.uint8]], ...]:
    kinds = (cv2.INTER_LINEAR, cv2.INTER_AREA)
    return tuple((kinds[averages], size, _image(size, channels)) for averages, size in geometry.steps)


def _image(size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    return np.empty((size[1], size[0], channels), np.uint8)
