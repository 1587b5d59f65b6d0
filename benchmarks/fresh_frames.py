"""How old is the frame that a slow consumer classifies: the runtime's camera beside readers that queue.

A source gives 30 frames a second; the consumer takes 100 ms for each. The newest frame can be no older than the time until the
next one: one interval, plus the hand-over from the capture thread; both are measured, since neither is what was planned. A queue makes the
consumer work through what is long past: with the four buffers of a V4L2 driver, which drops new frames while they are full,
and with a list that grows, as in scripts that put every frame into a queue.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter_ns, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_runtime.cameras import Grant, Shot
from edge_sdk_runtime.cameras.threaded import ThreadedCamera
from edge_sdk_runtime.errors import CameraEndedError

from .harness import Figure, Outcome, at_most, command

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FPS = 30
_CONSUMER_S = 0.1
_BUFFERS = 4
_END = None


@dataclass(frozen=True)
class _Use:
    """One frame as the consumer took it."""

    sequence: int
    age_ns: int


class _Source:
    """A camera of 30 frames a second that notes when each was captured, and when its thread was free again."""

    grant = Grant(640, 480, _FPS, "TEST")

    def __init__(self, frames: int) -> None:
        self.captured: list[int] = []
        self.handed_over: list[int] = []
        self._frames = frames
        self._begun = monotonic()
        self._image = np.zeros((480, 640, 3), np.uint8)

    def read(self) -> Shot:
        if self.captured:
            self.handed_over.append(perf_counter_ns())
        if len(self.captured) == self._frames:
            raise CameraEndedError("all frames were given")
        sleep(max(0.0, self._begun + len(self.captured) / _FPS - monotonic()))
        self.captured.append(perf_counter_ns())
        return Shot(self._image.copy(), self.captured[-1])

    def close(self) -> None:
        """Nothing is held."""


def measure(quick: bool) -> Outcome:
    """Ages of the frames that each kind of reader gives the consumer."""
    seconds = 2 if quick else 30
    source = _Source(seconds * _FPS)
    newest = _newest(source)
    sides = {
        "newest (edge-sdk-runtime)": newest,
        f"{_BUFFERS} driver buffers": _queued(_Source(seconds * _FPS), _BUFFERS, seconds),
        "queue without a bound": _queued(_Source(seconds * _FPS), 0, seconds),
    }
    hand_over = max(np.subtract(source.handed_over, source.captured))
    shares = _shares(source, newest, int(hand_over))
    figures = [
        at_most("frames used that were older than one interval plus the hand-over", int((shares > 1).sum()), 0),
        at_most("age / (interval + hand-over), largest", float(shares.max()), 1.0),
        Figure("oldest frame used", _oldest(newest) / 1e6, "ms"),
        Figure("hand-over from the capture thread, longest", float(hand_over / 1e6), "ms"),
        Figure("oldest frame used behind driver buffers", _oldest(sides[f"{_BUFFERS} driver buffers"]) / 1e6, "ms"),
    ]
    data = f"{_FPS} frames a second of 640×480 for {seconds} s, a consumer of {_CONSUMER_S * 1e3:.0f} ms"
    return Outcome(data, figures, [_row(name, uses) for name, uses in sides.items()])


def _newest(source: _Source) -> list[_Use]:
    with ThreadedCamera("test", lambda: source, in_order=False, open_timeout_s=60, reconnect_s=0) as camera:
        return _consume(lambda: next(iter(camera), _END))


def _queued(source: _Source, buffers: int, seconds: int) -> list[_Use]:
    """A reader that puts every frame into a queue; a full one drops what comes, as a driver does."""
    waiting: queue.Queue[Any] = queue.Queue(buffers)

    def fill() -> None:
        for sequence in range(seconds * _FPS):
            shot = source.read()
            try:
                waiting.put_nowait((sequence, shot))
            except queue.Full:
                continue
        waiting.put(_END)

    threading.Thread(target=fill, daemon=True).start()
    until = monotonic() + seconds
    return _consume(lambda: _timestamped(waiting.get()) if monotonic() < until else _END)


@dataclass(frozen=True)
class _Taken:
    sequence: int
    captured_ns: int


def _timestamped(item: Any) -> _Taken | None:
    return None if item is _END else _Taken(item[0], item[1].captured_ns)


def _consume(take: Callable[[], Any]) -> list[_Use]:
    """Take a frame, note its age, be busy for 100 ms; until the source ends."""
    uses: deque[_Use] = deque()
    while (frame := take()) is not _END:
        uses.append(_Use(frame.sequence, perf_counter_ns() - frame.captured_ns))
        sleep(_CONSUMER_S)
    return list(uses)


def _shares(source: _Source, uses: Sequence[_Use], hand_over_ns: int) -> NDArray[np.float64]:
    """Each used frame's age as a share of what it may be: the time until the next one was captured, plus the hand-over."""
    ends = source.captured[1:]
    limits = [ends[use.sequence] - source.captured[use.sequence] + hand_over_ns for use in uses[:-1]]
    return np.array([use.age_ns for use in uses[:-1]]) / np.array(limits)


def _oldest(uses: Sequence[_Use]) -> int:
    return max(use.age_ns for use in uses[:-1])  # the last one of a source that ended is given when it is asked for


def _row(name: str, uses: Sequence[_Use]) -> dict[str, Any]:
    ages = [use.age_ns / 1e6 for use in uses[:-1]]
    return {
        "reader": name,
        "frames used": len(uses),
        "age p50 ms": float(np.median(ages)),
        "age p95 ms": float(np.percentile(ages, 95)),
        "age max ms": max(ages),
    }


if __name__ == "__main__":
    sys.exit(command("fresh_frames", measure))
