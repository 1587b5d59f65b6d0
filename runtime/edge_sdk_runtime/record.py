"""Classifications as rows of a CSV file, which appears when the recording ends."""

from __future__ import annotations

import csv
import datetime
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .cameras import Frame
from .classifier import Classification
from .errors import UsageError
from .files import written_atomically
from .live import Seen

__all__ = ["columns", "recording"]

Record = Callable[[Seen], None]
"""Writes one row."""


def columns(stages: Sequence[str]) -> list[str]:
    """The header: when, which frame, what it shows, how old it was, and nanoseconds per stage."""
    return [
        "captured",
        "sequence",
        "file",
        "label",
        "score",
        "unknown",
        "capture_age_ns",
        *(f"{s}_ns" for s in stages),
        "total_ns",
    ]


def new_file(path: str | os.PathLike[str]) -> Path:
    """The path, unless something is there.

    Raises:
        UsageError: A recording would take another one's place.
    """
    if Path(path).exists():
        raise UsageError(f"A recording must be a new file. Received: {path}, which is there. Choose another name.")
    return Path(path)


@contextmanager
def recording(path: str | os.PathLike[str], stages: Sequence[str]) -> Iterator[Record]:
    """Record into a CSV file that takes its name when the block ends.

    Args:
        path: The file; its folder is created where it is missing.
        stages: Names of the stages of what is recorded.

    Yields:
        A function that writes one row. `captured` is the frame's moment of capture, in UTC to the millisecond; `unknown` is yes
        or no, and empty where the bundle cannot tell.

    Raises:
        UsageError: There is such a file already.
        OSError: The folder cannot be written to, or the disk is full.
    """
    with written_atomically(new_file(path)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        rows = csv.writer(text)
        rows.writerow(columns(stages))
        try:
            yield lambda seen: rows.writerow(_row(seen.frame, seen.result))
            text.flush()
        finally:
            text.detach()  # or it would close the file under the one who opened it


def _row(frame: Frame, result: Classification) -> list[Any]:
    seconds = time.time() - (time.perf_counter_ns() - frame.captured_ns) / 1e9
    captured = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return [
        captured.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        frame.sequence,
        frame.name,
        result.label,
        f"{result.score:.6f}",
        "" if result.unknown is None else "yes" if result.unknown else "no",
        result.capture_age_ns,
        *result.durations_ns,
        result.total_ns,
    ]
