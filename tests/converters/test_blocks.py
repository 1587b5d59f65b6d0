"""Building blocks are what their papers say, and every pass works on them."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters import blocks
from edge_sdk_converters.blocks import bottleneck, inverted_residual, residual, separable_block, spatial_pair
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.graph import flatten
from edge_sdk_converters.light import LightConv2D, LightDense
from edge_sdk_converters.prune.apply import prune
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.tflite import export_tflite
from tests.converters.helpers import assert_one_line, run_tflite
from tests.converters.networks import call, images, randomize

IMAGE = (8, 8, 6)


def model_of(block: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    image = keras.Input(IMAGE)
    model = keras.Model(image, block(image))
    randomize(model, np.random.default_rng(0))
    return model


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers[1:]]


def test_public_names() -> None:
    assert sorted(blocks.__all__) == ["bottleneck", "inverted_residual", "residual", "separable_block", "spatial_pair"]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    size=st.integers(1, 4),
    middle=st.integers(1, 4),
    strides=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
)
def test_a_spatial_pair_is_the_convolution_with_the_product_of_its_kernels(
    size: int, middle: int, strides: int, padding: str
) -> None:
    model = model_of(lambda x: spatial_pair(x, 5, size, middle, strides=strides, padding=padding, name="pair"))
    down, across, bias = model.get_weights()
    kernel = np.einsum("hip,wpo->hwio", down[:, 0], across[0])
    x = np.random.default_rng(1).normal(size=(2, *IMAGE)).astype(np.float32)
    expected = keras.ops.relu(keras.ops.conv(x, kernel, strides, padding) + bias)
    np.testing.assert_allclose(call(model, x), keras.ops.convert_to_numpy(expected), atol=1e-5)
    assert count_parameters(model) == size * middle * (6 + 5) + 5


def test_a_spatial_pair_costs_what_its_formula_says() -> None:
    model = model_of(lambda x: spatial_pair(x, 5, 3, 2))
    assert count_macs(model) == 8 * 8 * 3 * 2 * (6 + 5)


@pytest.mark.parametrize("middle", [0, 16])
def test_middle_channels_outside_their_range_are_refused(middle: int) -> None:
    with pytest.raises(ModelError, match=rf"middle must be between 1 and .* = 15\. Received: middle={middle}") as error:
        spatial_pair(keras.Input(IMAGE), 5, 3, middle)
    assert_one_line(error.value)


def test_a_shortcut_is_a_convolution_only_where_the_shape_changes() -> None:
    for block in (lambda x, f, s: residual(x, f, strides=s), lambda x, f, s: bottleneck(x, f, 2, strides=s)):
        plain, wider, halved = (model_of(lambda x, b=block, a=a: b(x, *a)) for a in ((6, 1), (8, 1), (6, 2)))
        counts = [kinds(model).count("Conv2D") for model in (plain, wider, halved)]
        assert counts == [counts[0], counts[0] + 1, counts[0] + 1]
        assert [model.output.shape[1:] for model in (plain, wider, halved)] == [(8, 8, 6), (8, 8, 8), (4, 4, 6)]


def test_an_inverted_residual_adds_only_where_the_shape_stays() -> None:
    plain, wider, halved, lean = (
        model_of(lambda x, a=a: inverted_residual(x, a[0], a[1], strides=a[2]))
        for a in ((6, 2, 1), (8, 2, 1), (6, 2, 2), (6, 1, 1))
    )
    assert [("Add" in kinds(model)) for model in (plain, wider, halved, lean)] == [True, False, False, True]
    assert [kinds(model).count("Conv2D") for model in (plain, lean)] == [2, 1]
    assert plain.layers[1].filters == 12 and halved.output.shape[1:] == (4, 4, 6)


def test_a_separable_block_is_depthwise_then_pointwise() -> None:
    model = model_of(lambda x: separable_block(x, 4, strides=2))
    assert kinds(model) == [
        "DepthwiseConv2D",
        "BatchNormalization",
        "Activation",
        "Conv2D",
        "BatchNormalization",
        "Activation",
    ]
    assert model.output.shape[1:] == (4, 4, 4) and count_macs(model) == 16 * (9 * 6 + 6 * 4)


def network() -> keras.Model:
    """Every block and both light layers, one of them used twice."""
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    shared = LightConv2D(8, 3, 4, name="shared")
    x = spatial_pair(layers.Rescaling(1 / 255)(image), 8, 3, 6, name="pair")
    x = layers.ReLU()(layers.Maximum()([shared(x), shared(shared(x))]))
    x = inverted_residual(residual(x, 10, name="residual"), 10, 2, name="inverted")
    x = bottleneck(separable_block(x, 12, strides=2, name="separable"), 12, 6, name="bottleneck")
    x = LightDense(9, 5, "relu", name="hidden")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, LightDense(3, 2, name="logits")(x))
    randomize(model, np.random.default_rng(0))
    return model


def test_a_network_of_every_block_flattens_prunes_and_converts() -> None:
    model, batch = network(), images(3, shape=(8, 8, 3))
    flat = flatten(model)
    np.testing.assert_allclose(call(flat, batch), call(model, batch), atol=1e-6)
    assert (count_parameters(flat), count_macs(flat)) == (count_parameters(model), count_macs(model))
    assert {"pair_down", "shared_reduce", "shared_expand", "hidden_reduce", "logits_expand", "bottleneck_core"} <= {
        layer.name for layer in flat.layers
    }
    pruned = prune(model, PruneConfig(fraction=0.3, min_channels=2, multiple=1))
    widths = {layer.name: (layer.channels_before, layer.channels_after) for layer in pruned.layers}
    assert any(after < before for name, (before, after) in widths.items() if name.startswith("shared"))
    assert count_parameters(pruned.model) < 0.8 * count_parameters(model)
    converted = run_tflite(export_tflite(pruned.model), batch)
    np.testing.assert_allclose(converted, call(pruned.model, batch), atol=1e-4)
