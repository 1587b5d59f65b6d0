"""Ctrl-C and SIGTERM as a question that a loop asks, so that neither tears a frame, a file or a camera apart."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["StopSignals"]


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
        """The exit status: 130 after Ctrl-C, as everywhere; 0 after SIGTERM, which is how services are ended in good order."""
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
