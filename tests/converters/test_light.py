"""Light layers compute what their factors do, cost what was published, and are seen through by every pass."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from benchmarks.light_tables import TABLES, Method, Published, Setting, build_network
from edge_sdk_converters import light
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.graph import flatten
from edge_sdk_converters.light import LightConv2D, LightDense
from tests.converters.helpers import assert_one_line
from tests.converters.networks import call, randomize, saved_and_loaded

Table = tuple[Setting, tuple[Published, ...]]
properties = settings(max_examples=12, deadline=None, derandomize=True)


def model_of(layer: keras.Layer, shape: tuple[int, ...], seed: int = 0) -> keras.Model:
    model = keras.Sequential([keras.Input(shape), layer])
    randomize(model, np.random.default_rng(seed))
    return model


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)


def test_public_names() -> None:
    assert sorted(light.__all__) == ["LightConv2D", "LightDense"]


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("table", [TABLES[0], TABLES[2]], ids=lambda table: table[0].data)
def test_networks_have_exactly_the_published_parameters(table: Table, method: Method) -> None:
    setting, rows = table
    built = {row.name: count_parameters(build_network(setting, method, row.k)) for row in rows if row.method is method}
    assert built == {row.name: row.parameters for row in rows if row.method is method}


@pytest.mark.parametrize("place", [0, 1, 2], ids=lambda place: TABLES[3][1][place].name)
def test_a_head_of_a_hundred_classes_has_the_published_parameters_too(place: int) -> None:
    (_, ten), (setting, hundred) = TABLES[2:]
    row = hundred[place]
    assert count_parameters(build_network(setting, row.method, row.k)) == row.parameters
    more = [(one.name, other.parameters - one.parameters) for one, other in zip(ten, hundred, strict=True)]
    assert [added for name, added in more] == [5850, 5850] + [810] * 5  # so that one light row stands for all


def test_both_sets_of_28_pixels_have_one_table_of_parameters() -> None:
    (_, mnist), (_, fashion) = TABLES[:2]
    assert [row.parameters for row in mnist] == [row.parameters for row in fashion]


@properties
@given(
    width=st.integers(1, 7),
    units=st.integers(1, 7),
    data=st.data(),
    bias=st.booleans(),
    inner=st.sampled_from([(), (3,)]),
)
def test_a_dense_layer_equals_the_product_of_its_factors(
    width: int, units: int, data: st.DataObject, bias: bool, inner: tuple[int, ...]
) -> None:
    k = data.draw(st.integers(1, min(width, units)))
    layer = LightDense(units, k, use_bias=bias, activation="relu")
    model, x = model_of(layer, (*inner, width)), values((*inner, width))
    left, right, *offset = layer.get_weights()
    assert (left.shape, right.shape, [each.shape for each in offset]) == ((width, k), (k, units), [(units,)] * bias)
    expected = np.maximum(x @ (left @ right) + (offset[0] if bias else 0), 0)
    np.testing.assert_allclose(call(model, x), expected, atol=1e-5)
    assert count_macs(model) == k * (width + units) * int(np.prod(inner, dtype=int))


@properties
@given(
    channels=st.integers(1, 4),
    filters=st.integers(1, 6),
    size=st.sampled_from([1, 2, 3, (1, 3), (3, 2)]),
    strides=st.sampled_from([1, 2, (2, 1)]),
    padding=st.sampled_from(["same", "valid"]),
    data=st.data(),
)
def test_a_convolution_equals_its_two_with_the_stride_applied_once(
    channels: int, filters: int, size: Any, strides: Any, padding: str, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, filters))
    layer = LightConv2D(filters, size, k, strides, padding, activation="tanh")
    model, x = model_of(layer, (9, 8, channels)), values((9, 8, channels))
    first, inner_bias, second, bias = layer.get_weights()
    ops = keras.ops
    between = ops.relu(ops.conv(x, first, strides, padding) + inner_bias)
    expected = ops.tanh(ops.conv(between, second, 1, padding) + bias)
    np.testing.assert_allclose(call(model, x), ops.convert_to_numpy(expected), atol=1e-5)
    assert layer.compute_output_shape(x.shape) == tuple(expected.shape)
    assert count_macs(model) == first.size * np.prod(between.shape[1:3]) + second.size * np.prod(expected.shape[1:3])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (
            LightDense(
                5, 2, "relu", False, keras.initializers.HeNormal(seed=3), "ones", "l2", "l1", trainable=False, name="d"
            ),
            (4,),
        ),
        (
            LightConv2D(
                6,
                (3, 2),
                4,
                (2, 1),
                "valid",
                "relu",
                inner_activation=None,
                data_format="channels_last",
                kernel_initializer="he_uniform",
                bias_initializer=keras.initializers.Constant(0.5),
                kernel_regularizer=keras.regularizers.L2(0.25),
                bias_regularizer="l1",
                activity_regularizer="l2",
                dtype="mixed_float16",
            ),
            (7, 6, 3),
        ),
    ],
    ids=["dense", "conv"],
)
def test_layers_survive_saving_with_all_they_were_given(layer: keras.Layer, shape: tuple[int, ...]) -> None:
    model, x = model_of(layer, shape), values(shape)
    loaded = saved_and_loaded(model)
    assert loaded.layers[-1].get_config() == layer.get_config()
    np.testing.assert_array_equal(call(loaded, x), call(model, x))
    assert [part.dtype_policy for part in loaded.layers[-1].parts()] == [layer.dtype_policy] * 2
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == (4 if layer.trainable else 0)
    assert len(loaded.losses) == len(model.losses)


def test_defaults_are_those_of_the_paper() -> None:
    layer = LightConv2D(6, 3, 2)
    model_of(layer, (4, 4, 1))
    reduce, expand = layer.parts()
    assert (reduce.activation, expand.activation) == (keras.activations.relu, keras.activations.linear)
    assert reduce.use_bias and expand.use_bias and layer.compute_output_shape((None, 4, 4, 1)) == (None, 4, 4, 6)


def test_kernels_of_one_shape_begin_with_values_of_their_own() -> None:
    for layer in (LightDense(4, 4), LightConv2D(4, 1, 4)):
        layer.build((None, 4) if isinstance(layer, LightDense) else (None, 2, 2, 4))
        first, second = (weight for weight in layer.get_weights() if weight.ndim > 1)
        assert first.shape == second.shape and not np.array_equal(first, second)


def test_freezing_reaches_the_parts() -> None:
    layer = LightDense(4, 2)
    model = model_of(layer, (4,))
    layer.trainable = False
    assert flatten(model).trainable_weights == []
    assert [part.trainable for part in layer.parts()] == [False, False]


@pytest.mark.parametrize(
    ("layer", "shape", "bound"),
    [
        (LightDense(5, 5), (4,), r"min\(in, units\) = 4"),
        (LightDense(5, 6), (8,), r"min\(in, units\) = 5"),
        (LightDense(5, 0), (8,), r"min\(in, units\) = 5"),
        (LightConv2D(4, 3, 5), (6, 6, 8), "filters = 4"),
        (LightConv2D(4, 3, 0), (6, 6, 8), "filters = 4"),
    ],
)
def test_ranks_outside_their_range_are_refused(layer: keras.Layer, shape: tuple[int, ...], bound: str) -> None:
    with pytest.raises(ModelError, match=rf"k must be between 1 and {bound}\. Received: k={layer.k}") as error:
        layer(keras.Input(shape))
    assert_one_line(error.value)


def test_an_unknown_width_is_refused_by_keras() -> None:
    with pytest.raises(ValueError, match="None"):
        LightDense(4, 2)(keras.Input((None, None)))


def test_more_channels_than_come_in_are_fine_for_a_convolution() -> None:
    assert LightConv2D(16, 1, 5)(keras.Input((4, 4, 3))).shape == (None, 4, 4, 16)


def test_a_network_of_light_layers_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 6, 6, 1)).astype(np.float32)
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            LightConv2D(8, 3, 2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            LightDense(2, 2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss, jit_compile=False)
    losses = [model.train_on_batch(x, y) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
