"""A trace of every classification that Perfetto (ui.perfetto.dev) and chrome://tracing open.

The file follows the Trace Event Format's JSON array: a complete event, phase X, for every classification and inside it one for
every stage, in microseconds on the clock of `time.perf_counter_ns`. It is written as it grows and is valid JSON after every
write, however the program ends: each write puts the closing bracket behind what it adds.
"""

from __future__ import annotations

import json
import os
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from .classifier import Classification

__all__ = ["TraceFile"]

_END = b"\n]\n"
_WRITE_BYTES = 32_768
_WRITE_NS = 1_000_000_000
_LONGEST_EVENTS = 16_384
"""Room kept for one classification's events when a limit is set."""


class TraceFile:
    """A trace file being written; a context manager, to be used from any thread.

    At most 32 kB or a second of events wait in memory. A file that was there is replaced.

    Args:
        path: The file; viewers expect the suffix `.json`.
        limit_bytes: The largest size of the file, at least 64 kB; later classifications are left out and counted, and the
            trace ends with an event that says so. Viewers load a whole trace into memory, and a small board's card is soon full.

    Raises:
        OSError: The file cannot be written.
        UsageError: The limit is too small.
    """

    def __init__(self, path: str | os.PathLike[str], limit_bytes: int = 256_000_000) -> None:
        if limit_bytes < 65_536:
            raise UsageError(f"limit_bytes must be at least 65536. Received: {limit_bytes}. Allow a larger trace.")
        self.left_out = 0
        """Number of classifications that the limit left out."""
        self._limit, self._lock = limit_bytes, threading.Lock()
        self._pid, self._waiting, self._waiting_bytes, self._written_ns = os.getpid(), list[str](), 0, 0
        # No rename at the end, as for other files: what was traced before a crash is what a trace is for.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        named = {"name": "process_name", "ph": "M", "pid": self._pid, "tid": 0, "args": {"name": "edge-sdk"}}
        self._place = 0
        self._put(b"[\n" + json.dumps(named).encode())

    def add(self, result: Classification, started_ns: int | None = None) -> None:
        """Add one classification.

        Args:
            result: What `classify` returned.
            started_ns: `time.perf_counter_ns()` right before it was called; where None, it has ended just now.

        Raises:
            OSError: The disk is full; the file ends with what was written before.
        """
        events = self._events(result, time.perf_counter_ns() - result.total_ns if started_ns is None else started_ns)
        with self._lock:
            if self.left_out or self._place + self._waiting_bytes + _LONGEST_EVENTS > self._limit:
                self._leave_out(started_ns or time.perf_counter_ns())
                return
            self._waiting.append(events)
            self._waiting_bytes += len(events)
            now = time.perf_counter_ns()
            if self._waiting_bytes >= _WRITE_BYTES or now - self._written_ns >= _WRITE_NS:
                self._write(now)

    def close(self) -> None:
        """Write what waits and close the file; to be called once more does nothing."""
        with self._lock:
            if self._file < 0:
                return
            try:
                self._write(0)
            finally:
                file, self._file = self._file, -1
                os.close(file)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _events(self, result: Classification, started_ns: int) -> str:
        thread = threading.get_native_id()
        score = result.score if 0 <= result.score <= 1 else None
        known = json.dumps({"label": result.label[:1000], "score": score})
        events = [self._event("classification", started_ns, result.total_ns, thread, f',"args":{known}')]
        if result.capture_age_ns is not None:
            # On a line of its own, since a frame is captured while the one before is still being classified.
            age = result.capture_age_ns
            events.append(self._event("waiting frame", started_ns - age, age, 0, ""))
        for stage, nanoseconds in zip(result.stages, result.durations_ns, strict=True):
            events.append(self._event(stage, started_ns, nanoseconds, thread, ""))
            started_ns += nanoseconds
        return ",\n".join(events)

    def _leave_out(self, now: int) -> None:
        if not self.left_out:
            self._waiting.append(
                f'{{"name":"the trace is full","ph":"i","s":"g","ts":{_microseconds(now)},"pid":{self._pid},"tid":0}}'
            )
        self.left_out += 1

    def _event(self, name: str, start_ns: int, duration_ns: int, thread: int, more: str) -> str:
        return (
            f'{{"name":{json.dumps(name)},"cat":"edge-sdk","ph":"X","ts":{_microseconds(start_ns)},'
            f'"dur":{_microseconds(duration_ns)},"pid":{self._pid},"tid":{thread}{more}}}'
        )

    def _write(self, now: int) -> None:
        if self._waiting:
            self._put((",\n" + ",\n".join(self._waiting)).encode())
        self._waiting, self._waiting_bytes, self._written_ns = [], 0, now

    def _put(self, events: bytes) -> None:
        """Write over the closing bracket, with a new one behind, in one go."""
        content = memoryview(events + _END)
        done = 0
        try:
            while done < len(content):
                done += os.pwrite(self._file, content[done:], self._place + done)
        except OSError:
            os.ftruncate(self._file, self._place)
            if self._place:
                os.pwrite(self._file, _END, self._place)  # into room that the file had before
            raise
        self._place += len(events)


def _microseconds(nanoseconds: int) -> str:
    """Exactly, as a JSON number: a double of microseconds would round after three months of uptime."""
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{abs(nanoseconds) // 1000}.{abs(nanoseconds) % 1000:03d}"
