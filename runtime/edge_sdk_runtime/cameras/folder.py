"""Image files as a camera: those of a folder in the order of their names, or those that appear in it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter_ns

from ..errors import CameraEndedError, CameraUnavailableError, ImageReadError
from ..images import IMAGE_SUFFIXES, read_image
from .base import Grant, Shot
from .opencv import turned
from .sources import Flip, FolderSource, WatchSource

__all__ = ["FolderReader", "WatchReader"]

_ANY_SIZE = Grant(0, 0, 0.0)
_LOOK_EVERY_S = 0.2
_UNFINISHED_S = 2.0
"""How long a file that no longer changes may stay unreadable: who writes it may not be done."""


class FolderReader:
    """A `Reader` of the image files of a folder; hidden ones and other files are left out.

    Args:
        source: The folder.
        flip: How pictures are turned.

    Raises:
        CameraUnavailableError: There is no such folder, or no image file in it.
    """

    grant = _ANY_SIZE

    def __init__(self, source: FolderSource, flip: Flip = Flip.NONE) -> None:
        self._source = source
        self._flip = flip
        self._paths = deque(sorted(_image_files(source.path)))
        self._files = len(self._paths)
        if not self._paths:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise CameraUnavailableError(
                f"A folder must hold image files. Received: none of {known} in {source.path}. Check the path."
            )

    def read(self) -> Shot:
        """The next picture; see `Reader.read`."""
        if not self._paths:
            raise CameraEndedError(
                f"A folder ends. Received: a read after all {self._files} files of {self._source}. Open it again to begin anew."
            )
        path = self._paths.popleft()
        return Shot(turned(read_image(path), self._flip), perf_counter_ns(), str(path))

    def close(self) -> None:
        """Nothing is held open."""


class WatchReader:
    """A `Reader` of the image files that appear, or change, in a folder after it was opened; it never ends.

    Args:
        source: The folder.
        flip: How pictures are turned.

    Raises:
        CameraUnavailableError: There is no such folder.
    """

    grant = _ANY_SIZE

    def __init__(self, source: WatchSource, flip: Flip = Flip.NONE) -> None:
        self._source = source
        self._flip = flip
        self._seen = _versions(source.path)
        self._waiting: dict[Path, float] = {}
        """Files that were not given yet, and since when they have been as they are."""
        self._closed = threading.Event()

    def read(self) -> Shot:
        """The next picture; see `Reader.read`. A file that is still being written is given when it is whole."""
        while not self._closed.is_set():
            self._look()
            for path, since in list(self._waiting.items()):
                try:
                    shot = Shot(turned(read_image(path), self._flip), perf_counter_ns(), str(path))
                except ImageReadError:
                    if monotonic() - since > _UNFINISHED_S:
                        del self._waiting[path]
                        raise
                else:
                    del self._waiting[path]
                    return shot
            self._closed.wait(_LOOK_EVERY_S)
        raise CameraEndedError(f"A closed folder gives no frames. Received: a read of {self._source}. Open it again.")

    def close(self) -> None:
        """Let a read that waits return."""
        self._closed.set()

    def _look(self) -> None:
        there = _versions(self._source.path)
        for path in sorted(path for path, version in there.items() if self._seen.get(path) != version):
            self._waiting[path] = monotonic()
        self._seen = there


def _versions(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every image file's time of change and size."""
    versions = {}
    for path in _image_files(folder):
        with suppress(OSError):  # it went away meanwhile
            status = path.stat()
            versions[path] = (status.st_mtime_ns, status.st_size)
    return versions


def _image_files(folder: Path) -> Iterable[Path]:
    try:
        return [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise CameraUnavailableError(
            f"A folder of pictures must be readable. Received: {folder} ({error.strerror}). Check the path."
        ) from error
