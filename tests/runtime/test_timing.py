import itertools
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime import LatencySummary, UsageError
from edge_sdk_runtime.timing import BUCKET_BOUNDS_NS, LatencyHistogram, StageClock, summarize

durations = st.integers(0, 10**13)


def nearest_rank(values: list[int], percent: int) -> int:
    """The smallest value that at least `percent` in a hundred of all values do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@given(st.lists(durations, min_size=1, max_size=300))
def test_percentiles_are_nearest_ranks(values: list[int]) -> None:
    assert summarize(values) == LatencySummary(
        len(values), *(nearest_rank(values, percent) for percent in (50, 90, 95, 99)), max(values)
    )


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 99, 100, 101, 199, 200, 1000, 4096])
def test_percentiles_of_counted_values(count: int) -> None:
    values = list(range(count, 0, -1))
    assert summarize(values) == LatencySummary(
        count, *(-(-percent * count // 100) for percent in (50, 90, 95, 99)), count
    )


def test_percentiles_need_a_measurement() -> None:
    with pytest.raises(UsageError, match=r"Received: none\. Classify a frame first"):
        summarize([])
    with pytest.raises(UsageError, match="Received: none"):
        StageClock(("a", "b")).summary()


def test_stages_are_summed_up_by_name_and_in_order() -> None:
    clock = StageClock(("preprocess", "classify"))
    for row in ((1, 10), (2, 20), (3, 30)):
        clock.record(row)
    summary = clock.summary()
    assert list(summary) == ["preprocess", "classify", "total"]
    assert summary["preprocess"] == LatencySummary(3, 2, 3, 3, 3, 3)
    assert summary["classify"] == LatencySummary(3, 20, 30, 30, 30, 30)
    assert summary["total"] == LatencySummary(3, 22, 33, 33, 33, 33)


def test_the_total_is_of_sums_and_not_a_sum_of_percentiles() -> None:
    clock = StageClock(("a", "b"))
    clock.record((100, 1))
    clock.record((1, 100))
    assert clock.summary()["total"].max_ns == 101


@given(st.lists(durations, min_size=1, max_size=40), st.integers(1, 12))
def test_the_ring_keeps_the_newest(values: list[int], capacity: int) -> None:
    clock = StageClock(("stage",), capacity)
    for value in values:
        clock.record((value,))
    assert clock.recorded == len(values)
    assert clock.summary()["stage"] == summarize(values[-capacity:])


def test_reset_forgets_everything() -> None:
    clock = StageClock(("stage",), capacity=2)
    for value in (1000, 2000, 3000):
        clock.record((value,))
    clock.reset()
    assert clock.recorded == 0
    for value in (1, 2, 3):
        clock.record((value,))
    assert clock.recorded == 3
    assert clock.summary()["stage"] == LatencySummary(2, 2, 3, 3, 3, 3)


def test_a_clock_keeps_at_least_one() -> None:
    with pytest.raises(UsageError, match=r"at least 1\. Received: 0"):
        StageClock(("stage",), capacity=0)


def test_buckets_are_ten_per_decade_from_a_microsecond_to_ten_seconds() -> None:
    assert (BUCKET_BOUNDS_NS[0], BUCKET_BOUNDS_NS[-1]) == (1_000, 10_000_000_000)
    assert list(BUCKET_BOUNDS_NS) == sorted(set(BUCKET_BOUNDS_NS))
    assert all(bound * 10 in BUCKET_BOUNDS_NS for bound in BUCKET_BOUNDS_NS[:-10])
    for lower, upper in itertools.pairwise(BUCKET_BOUNDS_NS):
        assert 1.24 < upper / lower < 1.29


def expected_histogram(values: list[int]) -> LatencyHistogram:
    """Every value counted where it belongs, one bucket after the other."""
    edges = [-1, *BUCKET_BOUNDS_NS, math.inf]
    counts = (sum(low < value <= high for value in values) for low, high in itertools.pairwise(edges))
    return LatencyHistogram(tuple(counts), sum(values))


@given(st.lists(st.tuples(durations, durations), max_size=30), st.integers(1, 5))
def test_histograms_are_of_everything_since_the_reset(rows: list[tuple[int, int]], capacity: int) -> None:
    clock = StageClock(("a", "b"), capacity)
    clock.record((10**9, 10**9))
    clock.reset()
    for row in rows:
        clock.record(row)
    assert clock.histograms() == {
        "a": expected_histogram([a for a, _ in rows]),
        "b": expected_histogram([b for _, b in rows]),
        "total": expected_histogram([a + b for a, b in rows]),
    }
    assert clock.histograms()["total"].recorded == len(rows)


@pytest.mark.parametrize("bound", [1_000, 1_250, 3_150_000, 10_000_000_000])
def test_a_bound_belongs_to_its_bucket(bound: int) -> None:
    clock = StageClock(("stage",))
    clock.record((bound,))
    clock.record((bound + 1,))
    counts = clock.histograms()["stage"].counts
    place = BUCKET_BOUNDS_NS.index(bound)
    assert counts[place : place + 2] == (1, 1)


def test_memory_does_not_grow_with_time() -> None:
    clock = StageClock(("a", "b"), capacity=100)

    def held() -> int:
        return len(pickle.dumps(clock))

    for i in range(1_000):
        clock.record((10**6 + i, 10**6))
    before = held()
    for i in range(5_000):
        clock.record((10**6 + i, 10**6))
    assert held() < before + 100
