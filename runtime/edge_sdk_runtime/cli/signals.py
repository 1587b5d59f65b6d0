"""What Ctrl-C and SIGTERM do: they unwind a verb that has something to finish, and ask one that runs until it is ended to end.

Either way files and cameras are closed in good order. Exit statuses are in `main`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["TERMINATED", "StopSignals", "Terminated", "terminable"]

TERMINATED = 128 + signal.SIGTERM
"""The exit status of what SIGTERM ended before it was done, as a shell counts."""


class Terminated(BaseException):
    """SIGTERM, as KeyboardInterrupt is Ctrl-C: nobody handles it by accident, and everybody cleans up."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` meanwhile; in the main thread only, where Python lets handlers be set.

    A process that was told to ignore SIGTERM goes on to do so.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


class StopSignals:
    """While entered, the first SIGINT or SIGTERM only asks to stop; a second Ctrl-C interrupts as usual.

    Attributes:
        received: The signal that asked; None where none did.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def stopped(self) -> bool:
        """Whether somebody asked to stop."""
        return self.received is not None

    @property
    def status(self) -> int:
        """The exit status: 130 after Ctrl-C, as everywhere; 0 after SIGTERM, since to be ended is the end of such a verb.

        systemd takes another one for a failure, of a service that it stopped itself.
        """
        return 130 if self.received == signal.SIGINT else 0

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
