"""Nanoseconds per stage, kept in a ring so that a camera can run for months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import UsageError

__all__ = ["LatencySummary", "StageClock", "summarize"]


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles of one stage's latency, in nanoseconds.

    Attributes:
        count: Number of measurements the percentiles are of.
        p50_ns: Median.
        p95_ns: 95th percentile.
        p99_ns: 99th percentile.
        max_ns: Longest.
    """

    count: int
    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int


def summarize(nanoseconds: Sequence[int]) -> LatencySummary:
    """Percentiles of measurements, by the nearest-rank method: every figure is one that was measured.

    Args:
        nanoseconds: At least one measurement.

    Raises:
        UsageError: There is none.
    """
    if len(nanoseconds) == 0:
        raise UsageError("Percentiles need at least one measurement. Received: none. Classify a frame first.")
    p50, p95, p99, highest = np.percentile(nanoseconds, (50, 95, 99, 100), method="inverted_cdf")
    return LatencySummary(len(nanoseconds), int(p50), int(p95), int(p99), int(highest))


class StageClock:
    """A ring of the latest measurements of every stage, plus their total.

    Args:
        stages: Names, in the order in which the stages run.
        capacity: How many classifications are kept.
    """

    def __init__(self, stages: Sequence[str], capacity: int = 4096) -> None:
        if capacity < 1:
            raise UsageError(f"capacity must be at least 1. Received: {capacity}. Keep at least one measurement.")
        self.stages = tuple(stages)
        self._ring: list[tuple[int, ...]] = []
        self._capacity = capacity
        self._recorded = 0

    def record(self, durations_ns: tuple[int, ...]) -> None:
        """Keep one classification's nanoseconds, one number per stage in order."""
        if self._recorded < self._capacity:
            self._ring.append(durations_ns)
        else:
            self._ring[self._recorded % self._capacity] = durations_ns
        self._recorded += 1

    def reset(self) -> None:
        """Forget everything, as after a warm-up."""
        self._ring = []
        self._recorded = 0

    @property
    def recorded(self) -> int:
        """Number of classifications since the last reset, those that left the ring included."""
        return self._recorded

    def summary(self) -> dict[str, LatencySummary]:
        """Percentiles per stage over what the ring holds, then of their sum as `total`.

        Raises:
            UsageError: Nothing was recorded.
        """
        columns = dict(zip(self.stages, zip(*self._ring, strict=True), strict=False))
        columns["total"] = tuple(sum(row) for row in self._ring)
        return {stage: summarize(values) for stage, values in columns.items()}
