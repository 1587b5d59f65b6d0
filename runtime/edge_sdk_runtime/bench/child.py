"""The process that is measured: it imports the runtime, loads a bundle, classifies, and prints what that took.

Everything is measured in a process of its own, because imports and the first inference happen only once, and because peak
memory shall be what running a bundle takes and not what measuring it does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from ..classifier import Classifier
from ..errors import EdgeRuntimeError
from ..images import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KEPT", "SCRIPT", "main"]

SCRIPT = """
import os, sys
from time import perf_counter_ns
if sys.argv[2]:
    os.sched_setaffinity(0, map(int, sys.argv[2].split(",")))
begun = perf_counter_ns()
from edge_sdk_runtime import Classifier, read_image
imported = perf_counter_ns() - begun
import json
from edge_sdk_runtime.bench.child import main
main(json.loads(sys.argv[1]), imported)
"""
"""What the process runs, with a task as JSON and with processors. Affinity comes before the imports, since libraries count
processors when they are imported; whatever else is imported comes after them, or its share would be missing."""

KEPT = 20_000
"""Measurements kept per process; of more, every one is as likely to be among them."""


def main(task: dict[str, Any], import_ns: int) -> None:
    """Measure, and print one line of JSON: what was measured, or the error.

    Args:
        task: The fields of a plan that concern one process.
        import_ns: What importing the runtime took.
    """
    try:
        answer = {"import_ns": import_ns, **_measure(task)}
    except (EdgeRuntimeError, OSError) as error:
        answer = {"error": str(error), "kind": type(error).__name__}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def _measure(task: dict[str, Any]) -> dict[str, Any]:
    frame = _frame(task)
    begun = perf_counter_ns()
    classifier = Classifier.load(
        task["bundle"], form=task["form"], interpreter=task["interpreter"], threads=task["threads"]
    )
    load_ns = perf_counter_ns() - begun
    with classifier:
        begun = perf_counter_ns()
        classifier.classify(frame)
        first_ns = perf_counter_ns() - begun
        for _ in range(task["warm_up"]):
            classifier.classify(frame)
        peak = _peak_rss_bytes()  # before measurements take memory of their own
        measured = _classify(classifier, frame, task)
    return {
        "form": classifier.form,
        "stages": classifier.pipeline.stages,
        "interpreter": f"{classifier.interpreter.name} {classifier.interpreter.version()}",
        "load_ns": load_ns,
        "first_ns": first_ns,
        "peak_rss_bytes": peak,
        **measured,
    }


def _classify(classifier: Classifier, frame: NDArray[np.uint8], task: dict[str, Any]) -> dict[str, Any]:
    """Classify until the runs or the seconds are used up."""
    from ..trace import TraceFile  # after the peak of memory was read

    sample = _Sample(len(classifier.pipeline.stages) + 1)
    more = _limit(task)
    trace = TraceFile(task["trace"]) if task["trace"] else None
    begun_ns = perf_counter_ns()
    while more(sample.offered):
        started_ns = perf_counter_ns()
        result = classifier.classify(frame)
        sample.offer((*result.durations_ns, result.total_ns))
        if trace:
            trace.add(result, started_ns)
    ended_ns = perf_counter_ns()
    if trace:
        trace.close()
    return {
        "runs": sample.offered,
        "span_ns": [begun_ns, ended_ns],
        "longest_ns": sample.longest,
        "rows": sample.rows,
    }


class _Sample:
    """Rows of nanoseconds; of more than are kept, every one is as likely to be among them (Vitter's algorithm R)."""

    def __init__(self, columns: int) -> None:
        import random

        self.rows: list[tuple[int, ...]] = []
        self.longest: tuple[int, ...] = (0,) * columns
        self.offered = 0
        self._chance = random.Random(0)

    def offer(self, row: tuple[int, ...]) -> None:
        if self.offered < KEPT:
            self.rows.append(row)
        elif (place := self._chance.randrange(self.offered + 1)) < KEPT:
            self.rows[place] = row
        self.longest = tuple(map(max, self.longest, row))
        self.offered += 1


def _limit(task: dict[str, Any]) -> Callable[[int], bool]:
    """Whether to go on after so many runs; once a second also whether anybody is left to tell."""
    runs = task["runs"]
    end_ns = perf_counter_ns() + int(task["seconds"] * 1e9)
    look_ns = 0

    def more(done: int) -> bool:
        nonlocal look_ns
        now = perf_counter_ns()
        if now >= look_ns:
            look_ns = now + 1_000_000_000
            if os.getppid() != task["parent"]:
                sys.exit(1)
        return done < runs if runs else done == 0 or now < end_ns

    return more


def _frame(task: dict[str, Any]) -> NDArray[np.uint8]:
    """The image, or slow gradients under fine stripes, made without memory that would count as the runtime's."""
    if task["image"] is not None:
        return read_image(task["image"])
    width, height = task["frame"]
    frame = np.empty((height, width, 3), np.uint8)
    frame[:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)
    frame[:, :, 1] = np.linspace(0, 255, height).astype(np.uint8)[:, np.newaxis]
    frame[:, :, 2] = (np.arange(width) // 3 % 2 * 200).astype(np.uint8)
    return frame


def _peak_rss_bytes() -> int:
    """The most memory that this process ever had; getrusage would begin with what its parent had before exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
