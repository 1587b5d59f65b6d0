"""The mathematics of weight sharing: k-means on a line, whole kernels, entropy, and the rules of the configuration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from edge_sdk_converters.cluster import codebook as codebooks
from edge_sdk_converters.cluster import coding, config, kernels
from edge_sdk_converters.cluster.codebook import binary_values, codebook, shared_values
from edge_sdk_converters.cluster.coding import coded_bytes, distinct_values, entropy_bits
from edge_sdk_converters.cluster.config import ClusterBudget, ClusterConfig, Form, Init
from edge_sdk_converters.cluster.kernels import shared_kernels
from edge_sdk_converters.errors import RecipeError
from tests.converters.helpers import assert_one_line

seeds = st.integers(0, 9999)
inits = st.sampled_from(Init)
FAST = settings(max_examples=40, deadline=None, derandomize=True)


def weights(seed: int, size: int = 200, sparsity: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < sparsity, 0, rng.normal(0, rng.uniform(0.01, 2), size)).astype(np.float32)


def test_public_names() -> None:
    assert codebooks.__all__ == ["binary_values", "codebook", "shared_values"]
    assert coding.__all__ == ["coded_bytes", "distinct_values", "entropy_bits"]
    assert config.__all__ == ["ClusterBudget", "ClusterConfig", "Form", "Init"]
    assert kernels.__all__ == ["shared_kernels"]


@FAST
@given(seed=seeds, count=st.integers(1, 40), init=inits)
def test_zeros_stay_and_every_other_weight_becomes_the_nearest_of_few(seed: int, count: int, init: Init) -> None:
    before = weights(seed)
    after = shared_values(before, count, init, seed)
    np.testing.assert_array_equal(after == 0, before == 0)
    assert after.dtype == np.float32 and distinct_values(after) <= count
    shared = np.unique(after[after != 0])
    np.testing.assert_allclose(
        np.abs(after - before)[before != 0], np.abs(before[before != 0, None] - shared).min(axis=1), atol=1e-7
    )


@FAST
@given(seed=seeds, count=st.integers(2, 16), init=inits)
def test_every_shared_value_is_the_mean_of_its_weights(seed: int, count: int, init: Init) -> None:
    before = weights(seed).astype(np.float64)
    after = shared_values(before, count, init, seed)
    for value in np.unique(after[after != 0]):
        assert value == pytest.approx(before[after == value].mean(), rel=1e-4, abs=1e-7)


@FAST
@given(seed=seeds, count=st.integers(2, 12))
def test_k_means_on_a_line_is_what_scikit_learn_finds_from_the_same_start(seed: int, count: int) -> None:
    values = weights(seed, 60, 0).astype(np.float64)
    start = np.sort(values)[((np.arange(count) + 0.5) / count * len(values)).astype(int)]
    expected = KMeans(count, init=start[:, None], n_init=1, tol=0).fit(values[:, None])
    np.testing.assert_allclose(
        codebook(values, count, Init.DENSITY), np.sort(expected.cluster_centers_[:, 0]), rtol=1e-5, atol=1e-7
    )


def test_the_three_ways_to_begin_are_those_of_deep_compression() -> None:
    """What no iteration moves shows where it began: runs of equal weights, as many as values."""
    values = np.repeat(np.float32([1, 2, 3, 100]), [1000, 10, 10, 1])
    np.testing.assert_array_equal(codebook(values, 4), [1, 2, 3, 100])
    density, linear = codebook(values, 2, Init.DENSITY), codebook(values, 2, Init.LINEAR)
    assert linear[1] == 100 and density[1] == 100  # one far point ends alone either way
    spread = np.concatenate([np.linspace(-1, 1, 1001), [10.0]])
    assert np.diff(codebook(spread, 8, Init.LINEAR)).min() > 0
    forgy = [codebook(spread, 3, Init.FORGY, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(forgy[0], forgy[1])


@FAST
@given(seed=seeds, count=st.integers(2, 32))
def test_no_cluster_stays_empty(seed: int, count: int) -> None:
    """Pruned weights leave a gap around zero; even steps across it would lose the values that fall into it."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.9, 1.0, 300) * rng.choice([-1, 1], 300)
    assert len(codebook(values, count, Init.LINEAR)) == count


def test_a_million_weights_take_no_time_and_a_shared_value_is_never_zero() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    assert len(codebook(values, 256)) == 256
    assert (codebook(np.float32([-3, -1, 1, 3] * 5), 1) != 0).all()
    assert codebook(np.zeros(0), 4).size == 0 and not shared_values(np.zeros((2, 3)), 4).any()


@FAST
@given(seed=seeds)
def test_two_values_of_one_magnitude_are_the_best_such(seed: int) -> None:
    before = weights(seed)
    after = binary_values(before)
    np.testing.assert_array_equal(np.sign(after), np.sign(before))
    assert not np.signbit(after[after == 0]).any()
    (size,) = np.unique(np.abs(after[after != 0]))
    for other in (0.99 * size, 1.01 * size):
        assert np.square(before - after).sum() <= np.square(before - other * np.sign(before)).sum()


@FAST
@given(seed=seeds, count=st.integers(1, 12), init=inits, sparse=st.booleans())
def test_whole_kernels_are_few_and_zeros_stay(seed: int, count: int, init: Init, sparse: bool) -> None:
    before = weights(seed, 3 * 3 * 4 * 5, 0.5 if sparse else 0.0).reshape(3, 3, 4, 5)
    before[:, :, 1, 2] = 0
    after = shared_kernels(before, count, init, seed)
    np.testing.assert_array_equal(after == 0, before == 0)
    rows = after.reshape(9, -1).T
    for position in rows.T:
        assert distinct_values(position) <= count
    if not sparse:
        assert len(np.unique(rows[(rows != 0).any(axis=1)], axis=0)) <= count


def test_kernels_that_are_alike_share_and_few_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(3, 9)).astype(np.float32)
    before = kinds[rng.integers(0, 3, 40)].T.reshape(3, 3, 5, 8)
    for init in Init:
        np.testing.assert_allclose(shared_kernels(before, 3, init), before)
    noisy = before + rng.normal(0, 0.01, before.shape)
    for init in Init:
        assert np.abs(shared_kernels(noisy, 3, init) - before).max() < 0.05


@FAST
@given(counts=st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_entropy_is_shannons(counts: list[int]) -> None:
    symbols, total = np.repeat(np.arange(len(counts)), counts), sum(counts)
    expected = -sum(count * math.log2(count / total) for count in counts)
    assert entropy_bits(symbols) == pytest.approx(expected, abs=1e-9)
    assert coded_bytes(symbols.astype(np.float32)) == math.ceil(entropy_bits(symbols) / 8) + 4 * (len(counts) - 1)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    wrong = (
        ({"bits": 0}, "bits must be between 1 and 8"),
        ({"bits": 9}, "bits must be between 1 and 8"),
        ({"bias_bits": 9}, "bias_bits must be between 1 and 8"),
        ({"bias_bits": -1}, "bias_bits must be at least 0"),
        ({"clusters": 0}, "clusters must be between 2 and 256"),
        ({"clusters": 257}, "clusters must be between 2 and 256"),
        ({"layers": {"conv": 0}}, "layers.conv must be between 1 and 8"),
        ({"layers": {"conv": 2}, "skip": ("conv",)}, "layers must not name a layer to skip"),
        ({"init": "median"}, "init must be one of forgy, density, linear"),
        ({"form": "bytes"}, "form must be one of weights, kernels, binary"),
        ({"group": -1}, "group must be at least 0"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"skip": "conv"}, "skip must be a list"),
        ({"bits": 4, "clusters": 16}, "Only one of bits, clusters, budget"),
        ({"bits": 4, "budget": ClusterBudget(bytes=9)}, "Only one of bits, clusters, budget"),
        ({"form": "binary", "bits": 1}, "form binary has two values"),
        ({"form": "binary", "layers": {"conv": 1}}, "form binary has two values"),
    )
    for options, message in wrong:
        with pytest.raises(RecipeError, match=message) as caught:
            ClusterConfig(**options)  # type: ignore[arg-type]
        assert_one_line(caught.value)
    for limits in ({}, {"bytes": 0}, {"accuracy_drop": 1.0}, {"accuracy_drop": math.nan}):
        with pytest.raises(RecipeError) as caught:
            ClusterBudget(**limits)  # type: ignore[arg-type]
        assert_one_line(caught.value)


def test_bits_of_one_layer_go_before_those_of_all() -> None:
    assert ClusterConfig(bits=3, layers={"conv": 6}).count_for("conv") == 64
    assert ClusterConfig(bits=3).count_for("dense") == 8 and ClusterConfig().count_for("dense") == 16
    assert ClusterConfig(clusters=5).count_for("dense") == 5
    assert ClusterConfig(form="kernels", init="forgy") == ClusterConfig(Form.KERNELS, init=Init.FORGY)  # type: ignore[arg-type]
