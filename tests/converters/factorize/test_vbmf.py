"""Variational Bayes finds the components that noise does not explain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.factorize import vbmf
from edge_sdk_converters.factorize.vbmf import noise_variance, variational_bayes_rank

properties = settings(max_examples=25, deadline=None, derandomize=True)


def test_public_names() -> None:
    assert sorted(vbmf.__all__) == ["noise_variance", "variational_bayes_rank"]


@properties
@given(
    seed=st.integers(0, 1000),
    rank=st.integers(0, 6),
    shape=st.sampled_from([(40, 60), (60, 40), (50, 50), (30, 200)]),
    noise=st.sampled_from([1e-3, 0.05, 1.0]),
)
def test_it_counts_what_stands_out_of_noise(seed: int, rank: int, shape: tuple[int, int], noise: float) -> None:
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(side, max(rank, 1))))[0][:, :rank] for side in shape)
    strength = 2 * noise * (np.sqrt(shape[0]) + np.sqrt(shape[1]))  # twice what the noise alone reaches
    matrix = strength * left @ right.T + noise * rng.normal(size=shape)
    assert variational_bayes_rank(matrix) == variational_bayes_rank(matrix.T) == rank
    assert noise_variance(matrix) == pytest.approx(noise**2, rel=0.25)


def test_scaling_changes_nothing_and_components_below_the_noise_are_not_counted() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(30, 40)) + 0.2 * np.outer(rng.normal(size=30), rng.normal(size=40))
    assert variational_bayes_rank(matrix) == variational_bayes_rank(1e-6 * matrix) == 0


def test_without_noise_the_rank_is_the_algebraic_one() -> None:
    rng = np.random.default_rng(2)
    assert variational_bayes_rank(rng.normal(size=(20, 3)) @ rng.normal(size=(3, 30))) == 3
    assert variational_bayes_rank(np.zeros((4, 5))) == 0
    assert noise_variance(np.zeros((4, 5))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2)])
def test_the_smallest_matrices_have_a_rank(shape: tuple[int, int]) -> None:
    assert 0 <= variational_bayes_rank(np.ones(shape)) <= 1


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 2)), np.full((2, 2), np.nan)])
def test_what_is_no_matrix_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(RecipeError, match="Received: shape"):
        variational_bayes_rank(bad)
