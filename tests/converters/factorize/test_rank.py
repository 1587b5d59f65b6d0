"""The smallest rank that keeps a share of the energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.factorize import rank
from edge_sdk_converters.factorize.rank import rank_for_energy

properties = settings(max_examples=15, deadline=None, derandomize=True)


def test_public_names() -> None:
    assert sorted(rank.__all__) == ["rank_for_energy"]


@pytest.mark.parametrize(
    ("energy", "multiple", "expected"),
    [(0.5, 1, 1), (16 / 21, 1, 1), (0.8, 1, 2), (0.96, 1, 3), (1.0, 1, 3), (0.8, 4, 4), (1.0, 8, 5), (1e-9, 1, 1)],
)
def test_rank_for_energy(energy: float, multiple: int, expected: int) -> None:
    assert rank_for_energy(np.array([4.0, 2.0, 1.0, 0.0, 0.0]), energy, multiple=multiple) == expected


@properties
@given(seed=st.integers(0, 1000), energy=st.floats(0.05, 1.0))
def test_rank_keeps_the_energy_and_no_smaller_one_does(seed: int, energy: float) -> None:
    matrix = np.random.default_rng(seed).normal(size=(9, 6))
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    chosen = rank_for_energy(values, energy)

    def held(count: int) -> float:
        return float(np.sum(((u[:, :count] * values[:count]) @ vt[:count]) ** 2) / np.sum(matrix**2))

    assert held(chosen) >= energy - 1e-9
    assert chosen == 1 or held(chosen - 1) < energy


def test_rank_for_energy_refuses_nonsense() -> None:
    for values, energy, multiple in (
        (np.array([]), 0.5, 1),
        (np.ones(2), 0.0, 1),
        (np.ones(2), 1.5, 1),
        (np.ones(2), 0.5, 0),
    ):
        with pytest.raises(RecipeError, match="Received"):
            rank_for_energy(values, energy, multiple=multiple)
