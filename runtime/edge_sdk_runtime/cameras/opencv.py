"""What OpenCV's `VideoCapture` opens: USB cameras, network cameras, video files."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..errors import CameraEndedError, CameraError, CameraUnavailableError
from ..images import as_frame
from .base import Grant, Shot
from .sources import CameraSettings, FileSource, Flip, StreamSource, UsbSource
from .troubles import device_trouble, stream_trouble, video_trouble

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CaptureReader",
    "VideoFileReader",
    "believable",
    "open_capture_device",
    "open_stream",
    "open_video",
    "turned",
]

OpenCapture = Callable[..., Any]
"""`cv2.VideoCapture`, or what a test puts in its place."""

_FLIP_CODES = {Flip.ROTATE_180: -1, Flip.HORIZONTAL: 1, Flip.VERTICAL: 0}
_OLDEST_NS = 10_000_000_000
_STREAM_TIMEOUT_MS = 8_000


class CaptureReader:
    """A `Reader` over an opened capture.

    Args:
        capture: An opened `cv2.VideoCapture`.
        source: What to call it.
        flip: How pictures are turned.
        stamped: Whether the driver tells each picture's moment of capture, as V4L2 does.
    """

    def __init__(self, capture: Any, source: str, flip: Flip = Flip.NONE, *, stamped: bool = False) -> None:
        self.grant = _grant(capture)
        self._capture = capture
        self._source = source
        self._flip = flip
        self._stamped = stamped

    def read(self) -> Shot:
        """The next picture; see `Reader.read`."""
        try:
            arrived, image = self._capture.read()
        except cv2.error as error:
            raise CameraError(
                f"A camera's pictures must be readable. Received: {self._source} failed ({error.err or error}). Open it again."
            ) from error
        captured = perf_counter_ns()
        if not arrived or image is None or image.size == 0:
            raise self._nothing()
        if self._stamped:
            captured = believable(int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6), captured)
        return Shot(self._upright(image), captured)

    def close(self) -> None:
        """Release the capture."""
        self._capture.release()

    def _nothing(self) -> CameraError:
        return CameraError(
            f"A camera must go on giving pictures. Received: {self._source} stopped. Check its cable and its power supply."
        )

    def _upright(self, image: NDArray[np.generic]) -> NDArray[np.uint8]:
        is_frame = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
        return turned(image.astype(np.uint8, copy=False) if is_frame else as_frame(image, "bgr"), self._flip)


class VideoFileReader(CaptureReader):
    """A video file: what ends is no failure."""

    def __init__(self, capture: Any, source: str, flip: Flip = Flip.NONE) -> None:
        super().__init__(capture, source, flip)
        self._given = 0
        self._announced = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def read(self) -> Shot:
        """The next picture; see `Reader.read`."""
        shot = super().read()
        self._given += 1
        return shot

    def _nothing(self) -> CameraError:
        if not self._given:
            return CameraError(
                f"A video file must hold pictures. Received: none in {self._source}. Copy it again, or convert it to MP4."
            )
        return CameraEndedError(
            f"A video ends. Received: a read after {self._given} of {self._announced or self._given} frames of {self._source}. "
            "Open it again to begin anew."
        )


def believable(stamp_ns: int, now_ns: int) -> int:
    """The driver's moment of capture where it can be one, else now.

    Linux stamps pictures by the monotonic clock, which is that of `perf_counter_ns`; the stamp shows how long a picture lay
    in the driver. Some drivers stamp by another clock, or not at all.

    Args:
        stamp_ns: What the driver says.
        now_ns: When the picture was handed over.
    """
    return stamp_ns if 0 <= now_ns - stamp_ns <= _OLDEST_NS else now_ns


def turned(frame: NDArray[np.uint8], flip: Flip) -> NDArray[np.uint8]:
    """The frame, turned as it should be."""
    if flip is Flip.NONE:
        return frame
    return cv2.flip(frame, _FLIP_CODES[flip]).astype(np.uint8, copy=False)


def open_capture_device(
    source: UsbSource, settings: CameraSettings, open_capture: OpenCapture = cv2.VideoCapture
) -> CaptureReader:
    """Open a V4L2 camera: Motion JPEG, since raw pictures of this size fill a USB 2 bus, and one buffer, since none may wait.

    Raises:
        CameraUnavailableError: There is no such device, it may not be opened, or another process holds it.
    """
    if trouble := device_trouble(source.device):
        raise CameraUnavailableError(trouble)
    capture = open_capture(source.device, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraUnavailableError(device_trouble(source.device, failed=True))
    width, height = settings.size or (640, 480)
    # In this order: a change of format resets the size, a change of size the rate.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, settings.fps or 30)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return CaptureReader(capture, str(source), settings.flip, stamped=True)


def open_stream(
    source: StreamSource, settings: CameraSettings, open_capture: OpenCapture = cv2.VideoCapture
) -> CaptureReader:
    """Open a network camera.

    Raises:
        CameraUnavailableError: It does not answer, or refuses.
    """
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        _STREAM_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        _STREAM_TIMEOUT_MS,
    ]
    capture = open_capture(source.url, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise CameraUnavailableError(stream_trouble(str(source)))
    return CaptureReader(capture, str(source), settings.flip)


def open_video(
    source: FileSource, settings: CameraSettings, open_capture: OpenCapture = cv2.VideoCapture
) -> VideoFileReader:
    """Open a video file.

    Raises:
        CameraUnavailableError: There is no such file, or it holds no video that OpenCV decodes.
    """
    if trouble := video_trouble(source.path):
        raise CameraUnavailableError(trouble)
    # An absolute path: names with digits would else be taken for a numbered series of pictures, or for an address.
    capture = open_capture(str(source.path.resolve()), cv2.CAP_ANY)
    if not capture.isOpened():
        raise CameraUnavailableError(video_trouble(source.path, failed=True))
    return VideoFileReader(capture, str(source), settings.flip)


def _grant(capture: Any) -> Grant:
    width, height, fps, code = (
        max(0.0, float(capture.get(key)))
        for key in (
            cv2.CAP_PROP_FRAME_WIDTH,
            cv2.CAP_PROP_FRAME_HEIGHT,
            cv2.CAP_PROP_FPS,
            cv2.CAP_PROP_FOURCC,
        )
    )
    name = int(code).to_bytes(4, "little").decode("ascii", "replace") if 0 < code < 2**32 else ""
    return Grant(int(width), int(height), round(fps, 3), name.strip() if name.isprintable() else "")
