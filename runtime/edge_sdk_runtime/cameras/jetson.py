"""A Jetson's CSI camera, by way of GStreamer: Argus gives pictures in the GPU's memory, nvvidconv brings them out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2

from ..errors import CameraUnavailableError, UsageError
from .opencv import CaptureReader, OpenCapture
from .sources import CameraSettings, Flip, JetsonCsiSource
from .troubles import gstreamer_trouble, jetson_trouble

__all__ = ["JetsonPipeline", "open_jetson"]

_FLIP_METHODS = {Flip.NONE: 0, Flip.ROTATE_180: 2, Flip.HORIZONTAL: 4, Flip.VERTICAL: 6}
_SENSOR_SIZE = (1280, 720)
_DEFAULT_SIZE = (640, 360)


@dataclass(frozen=True)
class JetsonPipeline:
    """The settings of a pipeline from a CSI sensor to OpenCV.

    Attributes:
        sensor: The `sensor-id` of `nvarguscamerasrc`, from 0.
        sensor_size: Width and height that are asked of the sensor, in pixels.
        size: Width and height of the pictures that come out, in pixels, both even.
        fps: Whole frames per second.
        flip: How pictures are turned, by the converter in hardware.

    Raises:
        UsageError: A rate that is no whole number, or an odd size.
    """

    sensor: int = 0
    sensor_size: tuple[int, int] = _SENSOR_SIZE
    size: tuple[int, int] = _DEFAULT_SIZE
    fps: float = 30
    flip: Flip = Flip.NONE

    def __post_init__(self) -> None:
        if self.fps != int(self.fps):
            raise UsageError(
                f"A Jetson's CSI camera takes whole frames per second. Received: {self.fps:g}. Write {max(1, round(self.fps))}."
            )
        if any(side % 2 for side in (*self.size, *self.sensor_size)):
            raise UsageError(
                f"A Jetson's CSI camera takes even sizes. Received: {self.size[0]}x{self.size[1]}. Write 640x360."
            )

    def text(self) -> str:
        """The pipeline as GStreamer reads it; its end keeps one picture, the newest."""
        width, height = self.sensor_size
        return " ! ".join(
            (
                f"nvarguscamerasrc sensor-id={self.sensor}",
                f"video/x-raw(memory:NVMM), width=(int){width}, height=(int){height}, framerate=(fraction){int(self.fps)}/1",
                f"nvvidconv flip-method={_FLIP_METHODS[self.flip]}",
                f"video/x-raw, width=(int){self.size[0]}, height=(int){self.size[1]}, format=(string)BGRx",
                "videoconvert",
                "video/x-raw, format=(string)BGR",
                "appsink drop=true max-buffers=1 sync=false",
            )
        )


def pipeline_for(source: JetsonCsiSource, settings: CameraSettings) -> JetsonPipeline:
    """The pipeline of a source: a size that was asked for is asked of the sensor, so that no aspect ratio is bent."""
    return JetsonPipeline(
        source.index,
        settings.size or _SENSOR_SIZE,
        settings.size or _DEFAULT_SIZE,
        settings.fps or 30,
        settings.flip,
    )


def open_jetson(
    source: JetsonCsiSource,
    settings: CameraSettings,
    open_capture: OpenCapture = cv2.VideoCapture,
    build: str | None = None,
) -> CaptureReader:
    """Open a Jetson's CSI camera.

    Args:
        source: Which one.
        settings: What is asked of it.
        open_capture: `cv2.VideoCapture`, or what a test puts in its place.
        build: What `cv2.getBuildInformation` says, asked where None.

    Raises:
        CameraUnavailableError: OpenCV lacks GStreamer, or the camera or its service is not there.
    """
    pipeline = pipeline_for(source, settings)
    if trouble := gstreamer_trouble(cv2.getBuildInformation() if build is None else build):
        raise CameraUnavailableError(trouble)
    capture: Any = open_capture(pipeline.text(), cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise CameraUnavailableError(jetson_trouble(str(source)))
    return CaptureReader(capture, str(source))
