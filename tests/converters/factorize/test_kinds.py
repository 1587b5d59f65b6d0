"""Every way of writing a layer as a product: it is that product, and with calibration images the better one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.factorize import cp, kinds, matrix, methods, regression, spatial, target, tucker
from edge_sdk_converters.factorize.config import Method
from edge_sdk_converters.factorize.kinds import KINDS, suitable
from edge_sdk_converters.factorize.methods import check_ranks, rank_ladder
from edge_sdk_converters.factorize.target import Target
from tests.converters.factorize.products import (
    OPTIONS,
    batch_for,
    built,
    layer_for,
    moments_of,
    product_of,
    through,
    way_for,
)
from tests.converters.helpers import assert_one_line

NAMES = [kind.kind for kind in KINDS]
properties = settings(max_examples=12, deadline=None, derandomize=True)
cases = given(
    kind=st.sampled_from(NAMES),
    seed=st.integers(0, 1000),
    channels=st.integers(2, 6),
    filters=st.integers(2, 7),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    options=st.sampled_from(OPTIONS),
)


def ranks_for(full: tuple[int, ...], shares: tuple[float, float]) -> tuple[int, ...]:
    return tuple(1 + int(share * (min(most, 9) - 1)) for most, share in zip(full, shares, strict=False))


def lost(kind: str, layer: keras.Layer, ranks: tuple[int, ...], batch: np.ndarray, *, aware: bool) -> float:
    """What the output on these inputs loses, as a share of its variance, or of its mean square without a bias."""
    way = way_for(kind, layer, moments_of(layer, batch) if aware else None)
    wanted, got = (through(chain, batch).astype(np.float64) for chain in ([layer], built(way, ranks)))
    mean = wanted.mean(axis=(0, 1, 2)) if layer.use_bias else 0.0
    return float(np.sum((wanted - got) ** 2) / np.sum((wanted - mean) ** 2))


def test_public_names() -> None:
    assert sorted(kinds.__all__) == ["KINDS", "suitable"]
    assert sorted(matrix.__all__) == ["DenseSvd", "PointwiseSvd"]
    assert sorted(tucker.__all__) == ["Tucker"]
    assert sorted(spatial.__all__) == ["SpatialPair"]
    assert sorted(cp.__all__) == ["CanonicalPolyadic", "LARGEST_KERNEL"]
    assert sorted(target.__all__) == ["RIDGE", "Target"]
    assert sorted(regression.__all__) == ["Fit", "Grouped", "Regression", "leading", "project", "root", "solve"]
    assert sorted(methods.__all__) == [
        "Factorization",
        "Factors",
        "Ranks",
        "build_factors",
        "check_ranks",
        "expansion",
        "options_of",
        "rank_ladder",
        "round_rank",
    ]


@properties
@cases
def test_a_layer_becomes_the_product_of_its_factors(kind, seed, channels, filters, shares, options) -> None:  # type: ignore[no-untyped-def]
    layer, batch = layer_for(kind, seed, channels, filters, options), batch_for(seed, channels, 2)
    way = way_for(kind, layer)
    ranks = ranks_for(way.full, shares)
    factors = built(way, ranks)
    kernel = product_of(factors).reshape(layer.kernel.shape)
    bias = layer.get_weights()[1:]
    chain = through(factors, batch)
    layer.set_weights([kernel, *bias])
    np.testing.assert_allclose(chain, through([layer], batch), atol=2e-5)
    assert way.factors(ranks).error == pytest.approx(
        np.sum((way.target.kernel - kernel.reshape(way.target.kernel.shape)) ** 2) / np.sum(way.target.kernel**2),
        abs=1e-5,
    )


@properties
@cases
def test_calibrated_factors_lose_no_more_of_the_output(kind, seed, channels, filters, shares, options) -> None:  # type: ignore[no-untyped-def]
    linear = {key: value for key, value in options.items() if key != "activation"}
    layer, batch = layer_for(kind, seed, channels, filters, linear), batch_for(seed, channels)
    ranks = ranks_for(way_for(kind, layer).full, shares)
    aware = lost(kind, layer, ranks, batch, aware=True)
    assert aware <= lost(kind, layer, ranks, batch, aware=False) * (1 + 1e-6) + 1e-6
    assert way_for(kind, layer, moments_of(layer, batch)).factors(ranks).error == pytest.approx(aware, abs=1e-4)


@properties
@given(seed=st.integers(0, 1000), rank=st.integers(1, 4), bias=st.booleans())
def test_calibrated_dense_factors_are_the_best_that_regression_finds(seed: int, rank: int, bias: bool) -> None:
    layer, batch = layer_for("dense", seed, 5, 6, {"use_bias": bias}), batch_for(seed, 5)
    outputs = through([layer], batch).reshape(-1, 6).astype(np.float64)
    outputs -= outputs.mean(axis=0) if bias else 0.0
    tail = np.linalg.svd(outputs, compute_uv=False)[rank:]  # Eckart and Young: nothing of that rank comes closer
    assert lost("dense", layer, (rank,), batch, aware=True) == pytest.approx(
        np.sum(tail**2) / np.sum(outputs**2), rel=1e-4, abs=1e-7
    )


@pytest.mark.parametrize(
    ("kind", "ranks"), [("dense", (5,)), ("pointwise", (5,)), ("tucker", (5, 6)), ("spatial", (12,))]
)
@pytest.mark.parametrize("aware", [False, True])
def test_full_ranks_are_exact(kind: str, ranks: tuple[int, ...], aware: bool) -> None:
    layer, batch = layer_for(kind, 3, 5, 6, {"padding": "same"}), batch_for(3, 5)
    batch[..., 2] = 0  # a dead channel: the covariance is singular
    assert lost(kind, layer, ranks, batch, aware=aware) < 1e-8
    way = way_for(kind, layer, moments_of(layer, batch) if aware else None)
    np.testing.assert_allclose(
        product_of(built(way, ranks)).reshape(layer.kernel.shape), layer.get_weights()[0], atol=1e-4
    )


def test_the_mean_output_stays_where_there_is_a_bias() -> None:
    for kind in NAMES:
        layer, batch = layer_for(kind, 4, 5, 6, {"padding": "same"}), batch_for(4, 5)
        way = way_for(kind, layer, moments_of(layer, batch))
        chain = through(built(way, (1,) * len(way.full)), batch)
        np.testing.assert_allclose(
            chain.mean(axis=(0, 1, 2)), through([layer], batch).mean(axis=(0, 1, 2)), atol=1e-4, err_msg=kind
        )


@pytest.mark.parametrize("kind", ["tucker", "spatial", "cp"])
def test_a_kernel_of_low_rank_is_recovered(kind: str) -> None:
    layer = layer_for(kind, 5, 6, 7, {})
    low = way_for(kind, layer)
    ranks = (2, 2) if kind == "tucker" else (2,)
    kernel = product_of(built(low, ranks)).astype(np.float32)
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    again = way_for(kind, layer)
    close = 1e-2 if kind == "cp" else 1e-4  # iterations come close, decompositions arrive
    np.testing.assert_allclose(product_of(built(again, ranks)), kernel, atol=close)
    assert again.standing_out(1) is not None
    if kind != "cp":
        assert again.keeping(1 - 1e-9, 1) == ranks


def test_kernels_of_zeros_have_factors_too() -> None:
    for kind in NAMES:
        layer = layer_for(kind, 6, 4, 5, {"padding": "same"})
        layer.set_weights([np.zeros_like(layer.get_weights()[0]), layer.get_weights()[1]])
        for moments in (None, moments_of(layer, batch_for(6, 4, 2))):
            way = way_for(kind, layer, moments)
            factors = way.factors((1,) * len(way.full))
            assert factors.error == 0 and all(np.isfinite(kernel).all() for kernel in factors.kernels)
            assert way.standing_out(1) is None


def test_the_seed_decides_where_iterations_start() -> None:
    layer = layer_for("cp", 7, 5, 6, {})
    one, same = (way_for("cp", layer, seed=1).factors((9,)) for _ in range(2))
    assert all(map(np.array_equal, one.kernels, same.kernels))


def test_what_the_layer_is_set_to_its_factors_are_set_to() -> None:
    layer = layers.Conv2D(
        6, (3, 5), strides=(1, 2), padding="same", activation="tanh", trainable=False, dtype="mixed_float16"
    )
    layer.build((None, 8, 8, 4))
    for kind in ("tucker", "spatial"):
        factors = built(way_for(kind, layer), (2,) * len(way_for(kind, layer).full))
        assert all(not factor.trainable and factor.dtype_policy.name == "mixed_float16" for factor in factors)
        assert [factor.use_bias for factor in factors] == [False] * (len(factors) - 1) + [True]
        assert factors[-1].activation is layer.activation
        assert np.prod([factor.strides for factor in factors], axis=0).tolist() == [1, 2]
    assert [kind.kind for kind in suitable(layer, Method.AUTO)] == ["tucker", "spatial"]  # depthwise needs one stride


@pytest.mark.parametrize(
    ("layer", "method", "expected"),
    [
        (layers.Dense(4), Method.CP, ["dense"]),
        (layers.Conv2D(4, 1), Method.SPATIAL, ["pointwise"]),
        (layers.Conv2D(4, 3), Method.AUTO, ["tucker", "spatial", "cp"]),
        (layers.Conv2D(4, 3), Method.SPATIAL, ["spatial"]),
        (layers.Conv2D(4, (1, 3)), Method.SPATIAL, []),
        (layers.Conv2D(4, (1, 3)), Method.AUTO, ["tucker", "cp"]),
        (layers.Conv2D(4, 9), Method.CP, []),
    ],
)
def test_ways_suit_layers(layer: keras.Layer, method: Method, expected: list[str]) -> None:
    assert [kind.kind for kind in suitable(layer, method)] == expected


def test_impossible_ranks_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"'stem' must be between 1 and 4\. Received: 5") as caught:
        check_ranks("stem", (2, 5), (8, 4))
    assert_one_line(caught.value)
    with pytest.raises(RecipeError, match="Received: 0"):
        check_ranks("stem", (0,), (8,))


@pytest.mark.parametrize(("full", "multiple"), [(1, 4), (3, 4), (7, 1), (64, 4), (1000, 8)])
def test_ladders_rise_to_the_full_rank(full: int, multiple: int) -> None:
    ladder = [rank for (rank,) in rank_ladder(full, multiple)]
    assert ladder == sorted(set(ladder)) and ladder[-1] == full and ladder[0] == min(multiple, full)
    assert all(rank % multiple == 0 or rank == full for rank in ladder)


def test_targets_hold_the_kernel_with_four_axes() -> None:
    layer = layer_for("dense", 8, 3, 4, {})
    assert Target(layer).kernel.shape == (1, 1, 3, 4)
    assert Target(layer).patch_covariance is None
