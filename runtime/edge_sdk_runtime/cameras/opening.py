"""From an address to an opened camera."""

from __future__ import annotations

from collections.abc import Callable

from .base import Reader
from .folder import FolderReader, WatchReader
from .opencv import open_capture_device, open_stream, open_video
from .pacing import PacedReader
from .sources import (
    CameraSettings,
    FileSource,
    Flip,
    FolderSource,
    JetsonCsiSource,
    PiCameraSource,
    Source,
    StreamSource,
    UsbSource,
    WatchSource,
    parse_flip,
    parse_source,
)
from .threaded import ThreadedCamera

__all__ = ["OpenReader", "open_camera", "open_reader"]

OpenReader = Callable[[Source, CameraSettings], Reader]
"""Opens a driver, as `open_reader` does."""

_FOLDER_FPS = 2.0
_FILE_FPS = 25.0
"""Of a file that does not say its rate."""


def open_reader(source: Source, settings: CameraSettings) -> Reader:
    """Open the driver of a source.

    Raises:
        CameraUnavailableError: There is no such camera, or something it needs is missing.
    """
    reader = _driver(source, settings)
    if not settings.live:
        return reader
    return PacedReader(reader, settings.fps or reader.grant.fps or (_FILE_FPS if reader.grant.width else _FOLDER_FPS))


def open_camera(
    address: str | Source,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    flip: Flip | str = Flip.NONE,
    live: bool = False,
    open_timeout_s: float = 20.0,
    reconnect_s: float = 6.0,
    opener: OpenReader = open_reader,
) -> ThreadedCamera:
    """Open a camera, a video file or a folder of pictures.

    A camera gives the newest frame and counts those that were dropped. A file or folder gives every frame in order, unless
    it plays `live`; a watched one gives what appears in it, for as long as somebody waits.

    Args:
        address: Such as `"usb:0"`; see `sources`.
        size: Width and height to ask of a camera, in pixels; the camera's `grant` says what it gives.
        fps: Frames per second to ask of a camera, or to play a file or folder at that plays live.
        flip: `"none"`, `"rotate-180"`, `"horizontal"` or `"vertical"`.
        live: Whether a file or folder plays at its rate, and drops what nobody reads.
        open_timeout_s: The longest that opening may take, in seconds.
        reconnect_s: How long a camera that fails is opened again and again before that is an error; 0 for never. A file
            or folder never is.
        opener: Opens the driver; another one puts a fake in its place.

    Raises:
        UsageError: An address, size, rate or flip that is none, or has no meaning for the source.
        CameraUnavailableError: There is no such camera, or something it needs is missing; the message says what mends it.
        CameraTimeoutError: Opening took longer.
    """
    source = parse_source(address) if isinstance(address, str) else address
    settings = CameraSettings(size, fps, parse_flip(flip), live)
    settings.check(source)
    kept = isinstance(source, (FileSource, FolderSource, WatchSource))
    return ThreadedCamera(
        str(source),
        lambda: opener(source, settings),
        in_order=kept and not live,
        open_timeout_s=open_timeout_s,
        reconnect_s=0.0 if kept else reconnect_s,
        patient=isinstance(source, WatchSource),
    )


def _driver(source: Source, settings: CameraSettings) -> Reader:
    if isinstance(source, PiCameraSource):
        from .picamera import PiCameraReader

        return PiCameraReader(source, settings)
    if isinstance(source, JetsonCsiSource):
        from .jetson import open_jetson

        return open_jetson(source, settings)
    if isinstance(source, FolderSource):
        return FolderReader(source, settings.flip)
    return WatchReader(source, settings.flip) if isinstance(source, WatchSource) else _video(source, settings)


def _video(source: UsbSource | StreamSource | FileSource, settings: CameraSettings) -> Reader:
    if isinstance(source, UsbSource):
        return open_capture_device(source, settings)
    return open_stream(source, settings) if isinstance(source, StreamSource) else open_video(source, settings)
