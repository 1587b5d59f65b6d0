"""Latencies that are to be compared: every side runs in turn, in one process, so that a change of clock meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np

__all__ = ["median_ns"]


def median_ns(sides: Sequence[Callable[[Any], Any]], argument: Any, runs: int, in_a_row: int = 1) -> tuple[float, ...]:
    """Median nanoseconds of each side.

    Args:
        sides: What is timed.
        argument: What each is called with.
        runs: Calls of each, after a tenth as many that warm up.
        in_a_row: Calls of a side before the next one's turn. With 1, every call finds in the caches what its neighbour left there:
            where sides have megabytes of weights, each is timed as no device runs it, and its place in the order counts.
    """
    times = np.empty((runs, len(sides)), np.int64)
    warm_up = -(-runs // (10 * in_a_row)) * in_a_row
    for turn in range(-warm_up, runs, in_a_row):
        for index, side in enumerate(sides):
            for run in range(turn, min(turn + in_a_row, runs)):  # the negative ones warm up, and are overwritten
                start = perf_counter_ns()
                side(argument)
                times[run, index] = perf_counter_ns() - start
    return tuple(float(value) for value in np.median(times, axis=0))
