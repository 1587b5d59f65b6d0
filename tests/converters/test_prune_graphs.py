"""Which channels of a graph may go: every kind of layer and operation, as one removable unit too few or too many shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.graph import trace
from edge_sdk_converters.prune import moves, operations, walk
from edge_sdk_converters.prune.channels import analyze
from edge_sdk_converters.prune.rebuild import mask, shrink
from tests.converters.networks import SIDE, call, images, random_network, randomize

if TYPE_CHECKING:
    from edge_sdk_converters.prune.channels import Analysis

Body: TypeAlias = Callable[[keras.KerasTensor], keras.KerasTensor]


class Doubled(layers.Layer):
    def call(self, inputs: object) -> object:
        return 2 * inputs


class ScaledConvolution(layers.Conv2D):
    def call(self, inputs: object) -> object:
        return super().call(inputs) / ops.max(inputs)


def network(body: Body) -> keras.Model:
    """A convolution to 8 channels of 4×4, a body, and a dense layer on all that it gives."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = body(layers.Conv2D(8, 3, name="a")(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.Flatten()(x)))
    randomize(model, np.random.default_rng(5))
    return model


def analysis_of(body: Body) -> Analysis:
    return analyze(trace(network(body)))


def assert_pruned_equals_masked(found: Analysis, removed: np.ndarray) -> None:
    pruned, masked = shrink(found, removed), mask(found, removed)
    expected = call(masked, images())
    np.testing.assert_allclose(call(pruned, images()), expected, atol=1e-5, rtol=1e-5)
    assert count_parameters(pruned) < count_parameters(masked) and count_macs(pruned) < count_macs(masked)


def test_public_names() -> None:
    expected = {
        moves: ["concatenate", "merge", "pass_on", "regroup"],
        operations: ["is_reshape", "rule_for_operation"],
        walk: ["Rule", "Walk"],
    }
    for module, names in expected.items():
        assert sorted(module.__all__) == sorted(names)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_any_set_of_units_may_go(seed: int, share: float) -> None:
    """Not only what a ranking would choose: each layer keeps one channel, the rest is chance."""
    found, rng = analyze(trace(random_network(seed))), np.random.default_rng(seed)
    removed = rng.random(found.count) < share
    for producer in found.producers:
        if (producer.units >= 0).all() and removed[producer.units].all():
            removed[rng.choice(producer.units)] = False
    removed[rng.integers(found.count)] |= not removed.any()
    assert_pruned_equals_masked(found, removed)


def scalar_steps(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.clip(ops.softplus(1.0 - (x / 2.0 + 3.0) ** 2), 0.1, 4.0)


def swish(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 3) * (1 / 6)])


def gated_by_a_vector(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Multiply()([x, layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))])


def gated_by_operations(x: keras.KerasTensor) -> keras.KerasTensor:
    return x * ops.expand_dims(ops.max(x, axis=(1, 2))[:, None], 2)


def half_the_pixels(x: keras.KerasTensor) -> keras.KerasTensor:
    rows = [x[:, ::2, 1:3], x[:, None, 1, :2], layers.Conv2D(8, 1, strides=2, name="b")(x)]
    return ops.concatenate(rows, axis=1)


def turned(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.transpose(ops.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))), (0, 2, 1, 3))


def squeezed(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.squeeze(layers.AveragePooling2D((4, 1))(x), axis=1)


def in_rows(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Conv1D(5, 3, activation="relu")(layers.Reshape((4, -1))(x))


def through_a_code(x: keras.KerasTensor) -> keras.KerasTensor:
    """Taken apart in the same way as put together: 10 channels at 2×2 positions from 40 neurons."""
    x = layers.Dense(40, activation="relu", name="b")(layers.Flatten()(x))
    return layers.Conv2DTranspose(6, 2, name="c")(layers.Reshape((2, 2, 10))(x))


def one_dimensional(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.MaxPooling1D(2)(layers.ZeroPadding1D(1)(ops.reshape(x, (-1, 16, 8))))
    return layers.UpSampling1D(2)(layers.Cropping1D(1)(layers.SpatialDropout1D(0.1)(x)))


def activated_by_layers(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Conv2D(6, 1, activation=layers.LeakyReLU(0.1), name="b")(x)
    return layers.DepthwiseConv2D(2, activation=layers.Activation("elu"))(x)


def repeated(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.RepeatVector(3)(layers.Dense(9, name="b")(layers.Flatten()(x)))


def resized(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Average()([x, layers.CenterCrop(4, 4)(layers.Resizing(6, 6)(x)), layers.AlphaDropout(0.1)(x)])


@pytest.mark.parametrize(
    ("body", "units"),
    [
        (scalar_steps, 8),
        (swish, 8),
        (gated_by_a_vector, 8),
        (gated_by_operations, 8),
        (half_the_pixels, 8),
        (turned, 8),
        (squeezed, 8),
        (in_rows, 8 + 5),
        (through_a_code, 8 + 10 + 6),
        (one_dimensional, 8),
        (activated_by_layers, 8 + 6),
        (repeated, 8 + 9),
        (resized, 8),
        (layers.Reshape((8, 16)), 8),
        (layers.Reshape((32, 4)), 4),
        (layers.GroupNormalization(4), 4),
        (layers.GroupNormalization(-1, center=False, scale=False), 8),
        (layers.Rescaling([2.0], offset=[0.5]), 8),
        (layers.GaussianDropout(0.1), 8),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_treats_channels_alone_lets_them_go(body: Body, units: int) -> None:
    found = analysis_of(body)
    assert (found.count, found.frozen) == (units, (("logits", "it produces the model's output"),))
    assert_pruned_equals_masked(found, np.arange(found.count) % 3 == 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (layers.Conv2D(8, 1, groups=2, name="looks"), "does not look into Conv2D"),
        (layers.GroupNormalization(1, name="looks"), "does not look into GroupNormalization"),
        (layers.UnitNormalization(name="looks"), "does not look into UnitNormalization"),
        (layers.BatchNormalization(axis=1, name="looks"), "does not look into BatchNormalization"),
        (layers.Normalization(mean=np.zeros(8), variance=np.ones(8), name="looks"), "whose statistics are fixed"),
        (layers.Permute((3, 2, 1), name="looks"), "does not look into Permute"),
        (Doubled(name="looks"), "does not look into Doubled"),
        (ScaledConvolution(4, 1, name="looks"), "does not look into ScaledConvolution"),
        (lambda x: ops.mean(x, axis=-1), "does not look into Mean"),
        (lambda x: x + ops.sum(x), "does not look into Sum"),
        (lambda x: x * layers.GlobalMaxPooling2D()(x)[0], "does not look into GetItem"),
        (lambda x: layers.Reshape((8, 12))(x[:, :3]), "does not look into Reshape"),
        (lambda x: ops.reshape(x, (-1, 4)), "does not look into Reshape"),
        (lambda x: x[..., :4], "does not look into GetItem"),
        (lambda x: x[:, :, :, ::2], "does not look into GetItem"),
        (lambda x: x * np.arange(8, dtype=np.float32), "does not look into Multiply"),
        (lambda x: 1.0 / (x + 9.0), "does not look into TrueDivide"),
        (lambda x: ops.log(x + 9.0), "does not look into Log"),
        (ops.softmax, "does not look into Softmax"),
        (lambda x: ops.transpose(x, (0, 3, 1, 2)), "does not look into Transpose"),
        (lambda x: ops.expand_dims(x, -1), "does not look into ExpandDims"),
        (lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 0))), "does not look into Pad"),
    ],
)
def test_what_needs_all_channels_keeps_them(body: Body, reason: str) -> None:
    found = analysis_of(body)
    assert found.count == 0 and reason in dict(found.frozen)["a"]


def test_an_activation_with_weights_keeps_the_channels_of_its_layer() -> None:
    found = analysis_of(layers.Conv2D(6, 1, activation=layers.PReLU(), name="b"))
    assert found.count == 8 and "its activation mixes channels" in dict(found.frozen)["b"]
