"""Multiply-accumulates, checked against counts made by hand."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from edge_sdk_converters import cost
from edge_sdk_converters.cost import count_macs, count_parameters, layer_macs
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.graph import trace

CASES = [
    (layers.Dense(5), (7,), 7 * 5),
    (layers.Dense(5), (3, 7), 3 * 7 * 5),
    (layers.Conv1D(4, 3), (8, 2), 6 * 3 * 2 * 4),
    (layers.Conv2D(4, 3, strides=2, padding="same"), (8, 6, 2), 4 * 3 * 9 * 2 * 4),
    (layers.Conv2D(4, (1, 3), groups=2), (8, 6, 2), 8 * 4 * 3 * 1 * 4),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 6, 5), 6 * 4 * 9 * 10),
    (layers.SeparableConv2D(7, 3, depth_multiplier=2), (8, 6, 5), 6 * 4 * (9 * 10 + 10 * 7)),
    (layers.Conv2DTranspose(3, 3, strides=2), (4, 4, 2), 16 * 9 * 2 * 3),
    (layers.Conv2D(4, 3, dilation_rate=2), (8, 6, 2), 4 * 2 * 9 * 2 * 4),
    (layers.Conv2DTranspose(3, 2, strides=3, padding="same"), (4, 4, 2), 16 * 4 * 2 * 3),
    (layers.DepthwiseConv1D(3, strides=2, padding="same"), (8, 5), 4 * 3 * 5),
    (layers.SeparableConv1D(7, 3, depth_multiplier=2), (8, 5), 6 * (3 * 10 + 10 * 7)),
    (layers.Conv1DTranspose(3, 4, strides=2), (5, 2), 5 * 4 * 2 * 3),
    (layers.Conv3D(4, 3), (4, 5, 6, 2), 2 * 3 * 4 * 27 * 2 * 4),
    (layers.BatchNormalization(), (4, 4, 2), 0),
    (layers.GlobalAveragePooling2D(), (4, 4, 2), 0),
]


class Halved(layers.Layer):
    def call(self, inputs: object) -> object:
        return inputs

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return input_shape[-1] * output_shape[-1] // 2


def test_public_names() -> None:
    assert sorted(cost.__all__) == ["count_macs", "count_parameters", "layer_macs", "macs_between"]


@pytest.mark.parametrize(("layer", "shape", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_macs_of_each_layer(layer: keras.Layer, shape: tuple[int, ...], expected: int) -> None:
    model = keras.Sequential([keras.Input(shape), layer])
    assert count_macs(model) == expected
    assert [layer_macs(call) for call in trace(model).calls] == [expected]


def test_shared_layers_count_per_call_and_once_in_parameters() -> None:
    image = keras.Input((4,))
    dense = layers.Dense(4)
    model = keras.Model(image, dense(dense(image)))
    assert (count_macs(model), count_parameters(model)) == (32, 20)


def test_nested_models_count() -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(6)])
    outer = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    assert count_macs(outer) == 4 * 6 + 6 * 2


def test_a_custom_layer_says_what_it_costs() -> None:
    assert count_macs(keras.Sequential([keras.Input((6,)), Halved()])) == 18


def test_unknown_image_size_is_refused() -> None:
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="stem")])
    with pytest.raises(ModelError, match=r"known sizes.*'stem'"):
        count_macs(model)
