"""Latencies that are to be compared: every side runs in turn, in one process, so that a change of clock meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np

__all__ = ["median_ns"]


def median_ns(sides: Sequence[Callable[[Any], Any]], argument: Any, runs: int) -> tuple[float, ...]:
    """Median nanoseconds of each side.

    Args:
        sides: What is timed.
        argument: What each is called with.
        runs: Calls of each, after a tenth as many that warm up.
    """
    times = np.empty((runs, len(sides)), np.int64)
    for run in range(-runs // 10, runs):  # the negative ones warm up; the last of them is overwritten
        for index, side in enumerate(sides):
            start = perf_counter_ns()
            side(argument)
            times[run, index] = perf_counter_ns() - start
    return tuple(float(value) for value in np.median(times, axis=0))
