"""Plays a file at its rate, as if it were a camera."""

from __future__ import annotations

import threading
from time import monotonic, perf_counter_ns

from .base import Grant, Reader, Shot

__all__ = ["PacedReader"]


class PacedReader:
    """A `Reader` that gives another one's pictures when they are due; who falls behind gets the next ones without a pause.

    Args:
        reader: What gives the pictures.
        fps: How many a second.
    """

    def __init__(self, reader: Reader, fps: float) -> None:
        self.grant: Grant = reader.grant._replace(fps=fps)
        self._reader = reader
        self._interval_s = 1 / fps
        self._due: float | None = None
        self._closed = threading.Event()

    def read(self) -> Shot:
        """The next picture, captured when it was due; see `Reader.read`."""
        shot = self._reader.read()
        self._due = monotonic() if self._due is None else self._due + self._interval_s
        self._closed.wait(max(0.0, self._due - monotonic()))
        return shot._replace(captured_ns=perf_counter_ns())

    def close(self) -> None:
        """Close the reader below."""
        self._closed.set()
        self._reader.close()
