"""One line that tells how things stand: refreshed in place on a terminal, once a second into a pipe."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from time import monotonic
from typing import TextIO

__all__ = ["StatusLine"]

_TERMINAL_S = 0.1
_PIPE_S = 1.0


class StatusLine:
    """A line on a stream.

    Args:
        stream: Where it is written.
        clock: Seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._next = clock()
        self._shown = False

    def show(self, text: Callable[[], str]) -> None:
        """Write the line where it is time to; `text` is only called then."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_TERMINAL_S if self._terminal else _PIPE_S)
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap, and could not be refreshed
            self._stream.write(f"\r{text()[:width]}\x1b[K")
            self._shown = True
        else:
            self._stream.write(f"{text()}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line on the terminal, and go to the next."""
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()
            self._shown = False
