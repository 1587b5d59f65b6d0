"""Sources that play what hardware does, and clips to play from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_sdk_runtime.cameras import CameraSettings, Reader, Source, open_camera
from edge_sdk_runtime.cameras.fake import FakeReader, Step
from edge_sdk_runtime.cameras.threaded import ThreadedCamera


def picture(value: int, height: int = 6, width: int = 8) -> np.ndarray:
    """A frame that is known by its grey level."""
    return np.full((height, width, 3), value, np.uint8)


def pictures(count: int) -> list[np.ndarray]:
    return [picture(i) for i in range(count)]


class Opener:
    """Opens one scripted driver after the other, as a camera that is unplugged and comes back does."""

    def __init__(self, *scripts: Iterable[Step] | BaseException) -> None:
        self.readers: list[FakeReader] = []
        self.opened = 0
        self._scripts: Iterator[Iterable[Step] | BaseException] = iter(scripts)

    def __call__(self, source: Source | None = None, settings: CameraSettings | None = None) -> Reader:
        self.opened += 1
        script = next(self._scripts)
        if isinstance(script, BaseException):
            raise script
        self.readers.append(FakeReader(script))
        return self.readers[-1]


def camera(*scripts: Iterable[Step] | BaseException, **options: Any) -> ThreadedCamera:
    """A camera over scripts, as `usb:0` is opened."""
    return open_camera("usb:0", opener=Opener(*scripts), **options)


class FakeCapture:
    """What `cv2.VideoCapture` is to a driver: properties, and pictures."""

    def __init__(
        self,
        images: Iterable[np.ndarray | Exception | None],
        properties: dict[int, float] | None = None,
        opens: bool = True,
    ) -> None:
        self.set_in_order: list[tuple[int, float]] = []
        self.arguments: tuple[Any, ...] = ()
        self.released = 0
        self._images = iter(images)
        self._properties = properties or {}
        self._opens = opens

    def __call__(self, *arguments: Any) -> FakeCapture:
        self.arguments = arguments
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def set(self, key: int, value: float) -> bool:
        self.set_in_order.append((key, value))
        return True

    def get(self, key: int) -> float:
        return self._properties.get(key, -1.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        image = next(self._images, None)
        if isinstance(image, Exception):
            raise image
        return image is not None, image

    def release(self) -> None:
        self.released += 1


def clip(path: Path, levels: Iterable[int], fps: float = 25, size: tuple[int, int] = (64, 48)) -> str:
    """A Motion JPEG video of even frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    assert writer.isOpened()
    for level in levels:
        writer.write(picture(level, size[1], size[0]))
    writer.release()
    return str(path)


def image_file(path: Path, frame: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, frame)[1].tobytes())
    return path


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for another thread; long enough for any machine, since how fast it is decides nothing."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the other thread did not get there"
        threading.Event().wait(0.005)
