"""Camera addresses: one line of text becomes a typed source.

| address | source |
|---|---|
| `usb:0`, `/dev/video2`, `/dev/v4l/by-id/…` | a V4L2 camera |
| `picamera2:0` | a Raspberry Pi's CSI camera |
| `jetson-csi:0` | a Jetson's CSI camera |
| `rtsp://…`, `http://…` | a network camera |
| `file:clip.mp4` | a video file |
| `images:folder` | the pictures of a folder, by name |
| `watch:folder` | pictures as they appear in a folder |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, TypeAlias

from ..errors import UsageError

__all__ = [
    "CameraSettings",
    "FileSource",
    "Flip",
    "FolderSource",
    "JetsonCsiSource",
    "PiCameraSource",
    "Source",
    "StreamSource",
    "UsbSource",
    "WatchSource",
    "parse_flip",
    "parse_size",
    "parse_source",
]

_FORMS = "usb:0, /dev/video0, picamera2:0, jetson-csi:0, file:clip.mp4, images:folder, watch:folder, rtsp://host/path"
_STREAM = re.compile(r"(rtsps?|https?)://\S+")
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_MAX_SIDE = 16384
_MAX_FPS = 1000


class Flip(str, Enum):
    """How pictures are turned before anybody sees them; for a camera that is mounted otherwise than upright."""

    NONE = "none"
    ROTATE_180 = "rotate-180"
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


@dataclass(frozen=True)
class UsbSource:
    """A V4L2 camera.

    Attributes:
        device: Its device file, such as `/dev/video0`; one under `/dev/v4l/by-id/` keeps its name when cameras change places.
    """

    device: str

    def __str__(self) -> str:
        return self.device


@dataclass(frozen=True)
class _CsiSource:
    """What is addressed by a number."""

    kind: ClassVar[str]
    index: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}"


class PiCameraSource(_CsiSource):
    """A Raspberry Pi's CSI camera; `index` counts from 0 as `rpicam-hello --list-cameras` does."""

    kind = "picamera2"


class JetsonCsiSource(_CsiSource):
    """A Jetson's CSI camera; `index` is the `sensor-id` of `nvarguscamerasrc`."""

    kind = "jetson-csi"


@dataclass(frozen=True)
class StreamSource:
    """A network camera; its text leaves user and password out."""

    url: str

    def __str__(self) -> str:
        return _PASSWORD.sub("", self.url)


@dataclass(frozen=True)
class _PathSource:
    """What is addressed by a file or folder."""

    kind: ClassVar[str]
    path: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"


class FileSource(_PathSource):
    """A video file."""

    kind = "file"


class FolderSource(_PathSource):
    """The image files of a folder, in the order of their names."""

    kind = "images"


class WatchSource(_PathSource):
    """Image files as they appear in a folder from now on."""

    kind = "watch"


Source: TypeAlias = (
    UsbSource | PiCameraSource | JetsonCsiSource | StreamSource | FileSource | FolderSource | WatchSource
)
"""Any of them."""

_NUMBERED: dict[str, Callable[[int], Source]] = {each.kind: each for each in (PiCameraSource, JetsonCsiSource)}
_PATHS: dict[str, Callable[[Path], Source]] = {each.kind: each for each in (FileSource, FolderSource, WatchSource)}


def parse_source(address: str) -> Source:
    """Read a camera address; nothing is opened.

    Args:
        address: One of the forms above.

    Raises:
        UsageError: It is none of them.
    """
    if _STREAM.fullmatch(address):
        return StreamSource(address)
    if address.startswith("/dev/") and len(address) > len("/dev/"):
        return UsbSource(address)
    kind, _, rest = address.partition(":")
    if kind == "usb" and _is_number(rest):
        return UsbSource(f"/dev/video{int(rest)}")
    if kind in _NUMBERED and _is_number(rest):
        return _NUMBERED[kind](int(rest))
    if kind in _PATHS and rest:
        return _PATHS[kind](Path(rest))
    raise UsageError(f"A camera address must be one of {_FORMS}. Received: {address!r}. {_suggestion(address)}")


def parse_size(text: str) -> tuple[int, int]:
    """Read a picture size, such as `640x480`.

    Returns:
        Width and height in pixels.

    Raises:
        UsageError: It is something else.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise UsageError(f"A size must be WIDTHxHEIGHT in pixels. Received: {text!r}. Write 640x480.")
    return int(match[1]), int(match[2])


def parse_flip(text: str) -> Flip:
    """Read how pictures are turned.

    Raises:
        UsageError: It is none of the four.
    """
    try:
        return Flip(text)
    except ValueError:
        known = ", ".join(repr(member.value) for member in Flip)
        raise UsageError(f"flip must be one of {known}. Received: {text!r}. Choose one of them.") from None


@dataclass(frozen=True)
class CameraSettings:
    """What is asked of a source; what it grants may differ.

    Attributes:
        size: Width and height in pixels; where None, 640 × 480 for cameras (640 × 360 for a Jetson's, whose sensors are wide).
        fps: Frames per second; where None, 30 for cameras, and for a file that plays live its own rate.
        flip: How pictures are turned.
        live: Whether a file or folder plays at its rate and drops what nobody reads, as a camera does. Otherwise every
            frame of it is given, in order.

    Raises:
        UsageError: A size or rate that no camera has.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    flip: Flip = Flip.NONE
    live: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= _MAX_SIDE for side in self.size):
            raise UsageError(
                f"A camera's size must be 1 to {_MAX_SIDE} pixels each way. Received: {self.size[0]}x{self.size[1]}. Write 640x480."
            )
        if self.fps is not None and not 0 < self.fps <= _MAX_FPS:
            raise UsageError(
                f"Frames per second must be above 0 and at most {_MAX_FPS}. Received: {self.fps:g}. Most cameras give 30."
            )

    def check(self, source: Source) -> None:
        """Refuse what has no meaning for a source, instead of leaving it out silently.

        Raises:
            UsageError: A size for files, a rate for files that do not play live, `live` for what always is.
        """
        kept = isinstance(source, (FileSource, FolderSource))
        own_size = kept or isinstance(source, (StreamSource, WatchSource))
        if self.size is not None and own_size:
            raise UsageError(
                f"A size can be asked of USB and CSI cameras. Received: one for {source}, which has its own. Leave it out."
            )
        if self.fps is not None and own_size and not (kept and self.live):
            raise UsageError(
                f"A rate can be asked of cameras, and of files that play live. Received: {self.fps:g} fps for {source}. "
                + ("Set live, or leave it out." if kept else "Leave it out.")
            )
        if self.live and not kept:
            raise UsageError(
                f"Only files and folders can play live. Received: {source}, which always does. Leave it out."
            )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


def _suggestion(address: str) -> str:
    """The address that was probably meant."""
    if _is_number(address):
        return f"Write usb:{int(address)}."
    if address and Path(address).is_dir():
        return f"Write images:{address}."
    if address and Path(address).is_file():
        return f"Write file:{address}."
    return (
        "See runtime/docs/cameras.md for what each of them opens."
        if ":" in address
        else "Write usb:0 for the first USB camera."
    )
