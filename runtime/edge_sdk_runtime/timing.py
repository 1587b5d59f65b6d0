"""Nanoseconds per stage, kept in a ring and counted in buckets, so that a camera can run for months."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import UsageError
from .records import dataclass

__all__ = ["BUCKET_BOUNDS_NS", "LatencyHistogram", "LatencySummary", "StageClock", "summarize"]

_DECADE = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800)
BUCKET_BOUNDS_NS = (*(step * 10**power for power in range(1, 8) for step in _DECADE), 10_000_000_000)
"""Upper bounds of the histogram's buckets, each included in its bucket: the preferred numbers of ISO 3's series R10, ten per
decade, from 1 µs to 10 s. A last bucket without a bound follows them."""


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles of one stage's latency, in nanoseconds.

    Attributes:
        count: Number of measurements the percentiles are of.
        p50_ns: Median.
        p90_ns: 90th percentile.
        p95_ns: 95th percentile.
        p99_ns: 99th percentile.
        max_ns: Longest.
    """

    count: int
    p50_ns: int
    p90_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int


class LatencyHistogram(NamedTuple):
    """How often one stage took how long, since the last reset.

    Attributes:
        counts: Measurements per bucket of `BUCKET_BOUNDS_NS`, and in one more for those above the last bound.
        sum_ns: All measurements added up, in nanoseconds.
    """

    counts: tuple[int, ...]
    sum_ns: int

    @property
    def recorded(self) -> int:
        """Number of measurements."""
        return sum(self.counts)


def summarize(nanoseconds: Sequence[int]) -> LatencySummary:
    """Percentiles of measurements, by the nearest-rank method: every figure is one that was measured.

    Args:
        nanoseconds: At least one measurement.

    Raises:
        UsageError: There is none.
    """
    if len(nanoseconds) == 0:
        raise UsageError("Percentiles need at least one measurement. Received: none. Classify a frame first.")
    ranks = np.percentile(nanoseconds, (50, 90, 95, 99, 100), method="inverted_cdf")
    return LatencySummary(len(nanoseconds), *(int(value) for value in ranks))


class StageClock:
    """A ring of the latest measurements of every stage and their total, and a histogram of all of them.

    Memory is fixed: the ring's capacity and one counter per bucket and stage. Recording costs about a microsecond and allocates
    nothing that stays. One thread at a time may record; others may ask for summaries meanwhile.

    Args:
        stages: Names, in the order in which the stages run.
        capacity: How many classifications the ring keeps.
    """

    def __init__(self, stages: Sequence[str], capacity: int = 4096) -> None:
        if capacity < 1:
            raise UsageError(f"capacity must be at least 1. Received: {capacity}. Keep at least one measurement.")
        self.stages = tuple(stages)
        self._capacity = capacity
        self.reset()

    def record(self, durations_ns: tuple[int, ...]) -> None:
        """Keep one classification's nanoseconds, one number per stage in order."""
        if self._recorded < self._capacity:
            self._ring.append(durations_ns)
        else:
            self._ring[self._recorded % self._capacity] = durations_ns
        self._recorded += 1
        for buckets, nanoseconds in zip(self._buckets, (*durations_ns, sum(durations_ns)), strict=False):
            buckets[bisect_left(BUCKET_BOUNDS_NS, nanoseconds)] += 1
            buckets[-1] += nanoseconds

    def reset(self) -> None:
        """Forget everything, as after a warm-up."""
        self._ring: list[tuple[int, ...]] = []
        self._recorded = 0
        # One list per stage and one for the total: a counter per bucket, the one without a bound, the sum.
        self._buckets = [[0] * (len(BUCKET_BOUNDS_NS) + 2) for _ in range(len(self.stages) + 1)]

    @property
    def recorded(self) -> int:
        """Number of classifications since the last reset, those that left the ring included."""
        return self._recorded

    def summary(self) -> dict[str, LatencySummary]:
        """Percentiles per stage over what the ring holds, then of their sum as `total`.

        Raises:
            UsageError: Nothing was recorded.
        """
        ring = list(self._ring)
        columns = dict(zip(self.stages, zip(*ring, strict=True), strict=False))
        columns["total"] = tuple(sum(row) for row in ring)
        return {stage: summarize(values) for stage, values in columns.items()}

    def histograms(self) -> dict[str, LatencyHistogram]:
        """Counts per bucket of every stage since the last reset, then of their sum as `total`; zeros where nothing ran."""
        copies = (tuple(buckets) for buckets in self._buckets)
        return {
            stage: LatencyHistogram(copy[:-1], copy[-1])
            for stage, copy in zip((*self.stages, "total"), copies, strict=True)
        }
