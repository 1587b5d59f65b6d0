"""A Raspberry Pi's CSI camera, by way of picamera2."""

from __future__ import annotations

import importlib
import sys
from time import perf_counter_ns
from typing import Any

from ..errors import CameraError, CameraUnavailableError
from .base import Grant, Shot
from .opencv import believable
from .sources import CameraSettings, Flip, PiCameraSource
from .troubles import no_picamera2

__all__ = ["PiCameraReader"]

_BGR_IN_MEMORY = "RGB888"
"""libcamera names formats by the order of bits in a little-endian word: what it calls RGB888 lies as B, G, R in memory."""
_BUFFERS = 3
_MIRRORS = {
    Flip.NONE: (0, 0),
    Flip.ROTATE_180: (1, 1),
    Flip.HORIZONTAL: (1, 0),
    Flip.VERTICAL: (0, 1),
}
"""Whether pictures are mirrored left to right, and top to bottom."""


class PiCameraReader:
    """A `Reader` over picamera2.

    Args:
        source: Which camera.
        settings: What is asked of it.

    Raises:
        CameraUnavailableError: picamera2 is missing, there is no such camera, or another process holds it.
    """

    def __init__(self, source: PiCameraSource, settings: CameraSettings) -> None:
        self._source = source
        module, transform = _libraries()
        _expect_camera(source, module)
        self._camera: Any = None
        try:
            self._camera = module.Picamera2(source.index)
            self._start(settings, transform)
        except (RuntimeError, IndexError) as error:
            self.close()
            raise CameraUnavailableError(
                f"A Raspberry Pi's CSI camera must be free and connected. Received: {source} ({error}). "
                "Run: sudo fuser --verbose /dev/media*"
            ) from error

    def read(self) -> Shot:
        """The next picture, stamped by the sensor; see `Reader.read`."""
        try:
            request = self._camera.capture_request()
            try:
                image = request.make_array("main")
                exposed = int(request.get_metadata().get("SensorTimestamp", 0))
            finally:
                request.release()
        except RuntimeError as error:
            raise CameraError(
                f"A camera must go on giving pictures. Received: {self._source} failed ({error}). Check its ribbon cable."
            ) from error
        return Shot(image, believable(exposed, perf_counter_ns()))

    def close(self) -> None:
        """Stop and release the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _start(self, settings: CameraSettings, transform: Any) -> None:
        left_right, top_bottom = _MIRRORS[settings.flip]
        fps = settings.fps or 30
        configuration = self._camera.create_video_configuration(
            main={"size": settings.size or (640, 480), "format": _BGR_IN_MEMORY},
            transform=transform(hflip=left_right, vflip=top_bottom),
            buffer_count=_BUFFERS,
            queue=False,  # no picture waits for a request
            controls={"FrameRate": fps},
            display=None,
            encode=None,
        )
        self._camera.configure(configuration)
        self._camera.start()
        width, height = self._camera.camera_configuration()["main"]["size"]
        self.grant = Grant(width, height, fps, "BGR")


def _libraries() -> tuple[Any, Any]:
    """picamera2, and libcamera's transform."""
    try:
        return importlib.import_module("picamera2"), importlib.import_module("libcamera").Transform
    except (ImportError, ValueError) as error:  # ValueError: built for another NumPy
        in_environment = sys.prefix != sys.base_prefix
        said = " ".join(str(error).split())[:200]
        raise CameraUnavailableError(no_picamera2(in_environment, said)) from error


def _expect_camera(source: PiCameraSource, module: Any) -> None:
    cameras = module.Picamera2.global_camera_info()
    if source.index >= len(cameras):
        found = ", ".join(str(info.get("Model", "unnamed")) for info in cameras) or "none"
        raise CameraUnavailableError(
            f"A Raspberry Pi's CSI camera must be connected. Received: {source}, where libcamera finds {found}. "
            "Run: rpicam-hello --list-cameras"
        )
