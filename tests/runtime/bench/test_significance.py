import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime.bench.significance import mann_whitney

samples = st.lists(st.integers(0, 12), min_size=1, max_size=25)


def wins(first: list[int], second: list[int]) -> float:
    """U by its definition: every pair looked at, ties counted half."""
    return sum((a > b) + (a == b) / 2 for a in first for b in second)


@given(samples, samples)
def test_u_counts_the_pairs_that_the_first_wins(first: list[int], second: list[int]) -> None:
    assert mann_whitney(first, second).u == wins(first, second)


@given(samples, samples)
def test_neither_order_nor_scale_nor_side_matters(first: list[int], second: list[int]) -> None:
    p_value = mann_whitney(first, second).p_value
    assert 0 <= p_value <= 1
    assert mann_whitney(second, first).p_value == pytest.approx(p_value)
    assert mann_whitney(first[::-1], second).p_value == p_value
    assert mann_whitney([v * 1000 + 7 for v in first], [v * 1000 + 7 for v in second]).p_value == p_value


def exact(first: list[int], second: list[int]) -> float:
    """The p-value by its definition: of all ways to divide the pooled values, those at least as far from the middle."""
    pooled, middle = [*first, *second], len(first) * len(second) / 2
    far = abs(wins(first, second) - middle)
    ways = [
        abs(wins([pooled[i] for i in chosen], [v for i, v in enumerate(pooled) if i not in chosen]) - middle)
        >= far - 1e-9
        for chosen in itertools.combinations(range(len(pooled)), len(first))
    ]
    return sum(ways) / len(ways)


@pytest.mark.parametrize("seed", range(6))
def test_the_approximation_is_near_the_exact_p_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 30, 5).tolist(), rng.integers(3, 33, 6).tolist()
    assert mann_whitney(first, second).p_value == pytest.approx(exact(first, second), abs=0.03)


def test_equal_samples_differ_by_chance_alone() -> None:
    assert mann_whitney([5] * 9, [5] * 7).p_value == 1.0
    assert mann_whitney([5], [6]).p_value > 0.3


def test_chance_alone_is_called_significant_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(3)
    found = sum(mann_whitney(rng.normal(size=40), rng.normal(size=40)).p_value < 0.05 for _ in range(400))
    assert 8 <= found <= 34


def test_a_shift_is_found() -> None:
    rng = np.random.default_rng(4)
    a = rng.exponential(size=500)
    assert mann_whitney(a + 0.5, rng.exponential(size=500)).p_value < 1e-9
