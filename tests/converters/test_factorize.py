"""A factorized layer is the product of its factors, and costs what the report says."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from numpy.typing import NDArray

from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.factorize import apply, config, conv, dense, rank
from edge_sdk_converters.factorize.apply import FactorizeResult, LayerChange, factorize
from edge_sdk_converters.factorize.config import FactorizeConfig
from edge_sdk_converters.factorize.conv import channel_spectra, factorize_conv, factorize_pointwise
from edge_sdk_converters.factorize.dense import factorize_dense
from edge_sdk_converters.factorize.rank import rank_for_energy
from tests.converters.networks import call, images, random_network, randomize, saved_and_loaded

properties = settings(max_examples=15, deadline=None, derandomize=True)
Kernel = NDArray[np.float32]


def product(first: Kernel, second: Kernel) -> Kernel:
    """The kernel of two convolutions in sequence, one of which is 1×1; dense kernels are 1×1 without the axes."""
    spatial = first if first.shape[:-2] >= second.shape[:-2] else second
    return np.einsum("...io,...oz->...iz", first, second).reshape(
        *spatial.shape[:-2], first.shape[-2], second.shape[-1]
    )


def product_of(factors: list[keras.Layer]) -> Kernel:
    kernel, *others = [layer.get_weights()[0] for layer in factors]
    for other in others:
        kernel = product(kernel, other)
    return kernel


def as_one_layer(model: keras.Model, factors: list[keras.Layer]) -> keras.Model:
    """The same one-layer model with the product of the factors as its kernel."""
    layer = model.layers[-1]
    layer.set_weights([product_of(factors), *layer.get_weights()[1:]])
    return model


def one_layer(layer: keras.Layer, shape: tuple[int, ...], seed: int = 0) -> keras.Model:
    model = keras.Sequential([keras.Input(shape), layer])
    randomize(model, np.random.default_rng(seed))
    return model


def in_sequence(shape: tuple[int, ...], factors: list[keras.Layer]) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *factors])


def test_public_names() -> None:
    assert sorted(apply.__all__) == ["FactorizeResult", "LayerChange", "factorize"]
    assert sorted(config.__all__) == ["FactorizeConfig"]
    assert sorted(conv.__all__) == ["channel_spectra", "factorize_conv", "factorize_pointwise"]
    assert sorted(dense.__all__) == ["check_rank", "factorize_dense", "split_matrix"]
    assert sorted(rank.__all__) == ["rank_for_energy"]


def test_configurations_import_no_keras() -> None:
    code = "import sys, edge_sdk_converters.factorize.config, edge_sdk_converters.prune.config; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


@properties
@given(
    seed=st.integers(0, 1000),
    inputs=st.integers(2, 9),
    units=st.integers(2, 9),
    share=st.floats(0, 1),
    bias=st.booleans(),
)
def test_dense_equals_the_product_of_its_factors(seed: int, inputs: int, units: int, share: float, bias: bool) -> None:
    model = one_layer(layers.Dense(units, activation="tanh", use_bias=bias), (inputs,), seed)
    rank = 1 + int(share * (min(inputs, units) - 1))
    factors = factorize_dense(model.layers[-1], rank)
    batch = np.random.default_rng(seed).normal(size=(3, inputs)).astype(np.float32)
    original = call(model, batch)
    chain = call(in_sequence((inputs,), factors), batch)
    np.testing.assert_allclose(chain, call(as_one_layer(model, factors), batch), atol=1e-5)
    if rank == min(inputs, units):
        np.testing.assert_allclose(chain, original, atol=1e-5)


@properties
@given(
    seed=st.integers(0, 1000),
    channels=st.integers(2, 8),
    filters=st.integers(2, 8),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    options=st.sampled_from(
        [
            {"strides": 2, "padding": "same"},
            {"padding": "valid"},
            {"dilation_rate": 2, "padding": "same"},
            {"use_bias": False},
        ]
    ),
)
def test_convolution_equals_the_product_of_its_factors(
    seed: int, channels: int, filters: int, shares: tuple[float, float], options: dict[str, object]
) -> None:
    shape = (7, 7, channels)
    model = one_layer(layers.Conv2D(filters, (3, 2), activation="relu", **options), shape, seed)
    ranks = [1 + int(share * (full - 1)) for share, full in zip(shares, (channels, filters), strict=True)]
    factors = factorize_conv(model.layers[-1], max(ranks[0], -(-ranks[1] // 6)), max(ranks[1], -(-ranks[0] // 6)))
    batch = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    chain = call(in_sequence(shape, factors), batch)
    np.testing.assert_allclose(chain, call(as_one_layer(model, factors), batch), atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_pointwise_convolution_equals_the_product_of_its_factors(rank: int) -> None:
    model = one_layer(layers.Conv2D(6, 1, strides=2, activation="sigmoid"), (5, 5, 5))
    factors = factorize_pointwise(model.layers[-1], rank)
    batch = np.random.default_rng(0).normal(size=(2, 5, 5, 5)).astype(np.float32)
    chain = call(in_sequence((5, 5, 5), factors), batch)
    np.testing.assert_allclose(chain, call(as_one_layer(model, factors), batch), atol=1e-5)


def test_a_low_rank_convolution_is_recovered_exactly() -> None:
    rng = np.random.default_rng(3)
    kernel = np.einsum("hwrs,ir,os->hwio", *(rng.normal(size=size) for size in ((3, 3, 2, 3), (8, 2), (9, 3))))
    first, second = channel_spectra(kernel)
    assert (np.sum(first > 1e-5), np.sum(second > 1e-5)) == (2, 3)
    model = one_layer(layers.Conv2D(9, 3), (5, 5, 8))
    model.layers[-1].set_weights([kernel.astype(np.float32), np.zeros(9, np.float32)])
    np.testing.assert_allclose(product_of(factorize_conv(model.layers[-1], 2, 3)), kernel, atol=1e-4)


def test_impossible_ranks_are_refused() -> None:
    with pytest.raises(ModelError, match=r"between 1 and 4\. Received: 5"):
        factorize_dense(one_layer(layers.Dense(4), (6,)).layers[-1], 5)
    wide = one_layer(layers.Conv2D(30, 3), (5, 5, 2)).layers[-1]
    with pytest.raises(ModelError, match="between 1 and 9"):
        factorize_conv(wide, 1, 12)


def low_rank_model() -> keras.Model:
    """A nested, shared, strided network with kernels of low rank, and layers that must stay."""
    inner = keras.Sequential(
        [keras.Input((6, 6, 16)), layers.Conv2D(16, 3, padding="same", name="shared")], name="inner"
    )
    image = keras.Input((6, 6, 3), dtype="uint8")
    x = layers.Conv2D(16, 3, padding="same", name="stem")(layers.Rescaling(1 / 255)(image))
    x = layers.Add()([inner(inner(x)), x])
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(24, 1, name="point", activation="relu")(x)
    x = layers.Conv2D(16, 3, groups=2, name="grouped")(x)
    x = layers.Dense(32, name="hidden", activation="relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Softmax()(layers.Dense(32, name="logits")(x)))
    randomize(model, np.random.default_rng(5))
    for name in ("shared", "point", "hidden", "logits"):
        layer = inner.get_layer(name) if name == "shared" else model.get_layer(name)
        kernel, bias = layer.get_weights()
        flat = kernel.reshape(-1, kernel.shape[-2], kernel.shape[-1])
        u, values, vt = np.linalg.svd(flat.sum(axis=0))
        low = (u[:, :2] * values[:2]) @ vt[:2]
        layer.set_weights([np.broadcast_to(low, flat.shape).reshape(kernel.shape), bias])
    return model


def test_factorize_replaces_what_gains_and_says_why_it_keeps_the_rest() -> None:
    model = low_rank_model()
    before = [value.copy() for value in model.get_weights()]
    result = factorize(model, FactorizeConfig(energy=0.999, skip=("point",)))
    assert [change.name for change in result.replaced] == ["shared", "hidden"]
    assert [(change.kind, change.ranks) for change in result.replaced] == [("conv", (4, 4)), ("dense", (4,))]
    reasons = dict(result.kept)
    assert list(reasons) == ["stem", "depthwise", "point", "grouped", "logits"]
    assert reasons["point"] == "skipped by the recipe"
    assert reasons["logits"] == "it produces the model's output"
    assert "grouped" in reasons["grouped"] and "DepthwiseConv2D" in reasons["depthwise"]
    saved = sum(change.macs_before - change.macs_after for change in result.replaced)
    assert count_macs(model) - count_macs(result.model) == saved
    assert count_parameters(result.model) < count_parameters(model)
    np.testing.assert_allclose(call(result.model, images()), call(model, images()), atol=1e-4)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))


def test_a_layer_that_saves_too_little_is_kept() -> None:
    result = factorize(low_rank_model(), FactorizeConfig(energy=0.999, min_saving=0.95))
    assert result.replaced == ()
    assert "less than 95%" in dict(result.kept)["hidden"]


@properties
@given(seed=st.integers(0, 10_000), energy=st.floats(0.2, 0.9))
def test_factorizing_any_network_keeps_its_interface(seed: int, energy: float) -> None:
    model, batch = random_network(seed), images()
    expected = call(model, batch)
    result = factorize(model, FactorizeConfig(energy=energy, multiple=1))
    assert isinstance(result, FactorizeResult)
    assert all(isinstance(change, LayerChange) and change.macs_after < change.macs_before for change in result.replaced)
    assert count_macs(result.model) <= count_macs(model)
    assert call(result.model, batch).shape == expected.shape
    np.testing.assert_array_equal(call(model, batch), expected)


def test_full_energy_keeps_the_answers() -> None:
    model, batch = random_network(11), images()
    result = factorize(model, FactorizeConfig(energy=1.0, min_saving=0.0, multiple=1))
    np.testing.assert_allclose(call(result.model, batch), call(model, batch), atol=1e-4)


def test_results_survive_saving() -> None:
    result = factorize(low_rank_model(), FactorizeConfig(energy=0.999))
    expected = call(result.model, images())
    np.testing.assert_allclose(call(saved_and_loaded(result.model), images()), expected, atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [{"energy": 0.0}, {"energy": 1.1}, {"min_saving": 1.0}, {"min_saving": -0.1}, {"multiple": 0}, {"skip": "stem"}],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: "):
        FactorizeConfig(**values)


def test_unknown_names_to_skip_are_refused() -> None:
    with pytest.raises(RecipeError, match="'nowhere'"):
        factorize(low_rank_model(), FactorizeConfig(skip=("nowhere",)))
