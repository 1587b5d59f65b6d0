"""Learning with rounded numbers: what the network computes while it learns is what its file computes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.fold import fold_batch_norms
from edge_sdk_converters.graph import trace
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, aware, fake, quantize, split, stored
from edge_sdk_converters.quantize.aware import tune_for_quantization
from edge_sdk_converters.quantize.config import AwareConfig
from edge_sdk_converters.quantize.fake import QuantizedKernel, RangeQuantizer, rounded_kernel
from edge_sdk_converters.quantize.sensitivity import accuracy_of, snr_db
from edge_sdk_converters.quantize.split import split_layers
from edge_sdk_converters.quantize.stored import stored_activations
from edge_sdk_converters.sparsify.kernels import kernels_of
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples
from tests.converters.helpers import assert_one_line, depthwise_network, run_tflite, weights_kept
from tests.converters.networks import call, images, randomize

KERNELS = {
    "dense": (layers.Dense(5), (None, 4), (0,)),
    "convolution": (layers.Conv2D(5, 3), (None, 6, 6, 4), (0, 1, 2)),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 6, 6, 4), (0, 1)),
    "transposed": (layers.Conv2DTranspose(5, 3), (None, 6, 6, 4), (0, 1, 3)),
}
LIFTED = 1
"""Of weights and order, under which training lifts a scale from just below zero."""
SHORT = AwareConfig(epochs=1, min_steps=0, learning_rate=1e-3)


def test_public_names() -> None:
    assert sorted(aware.__all__) == ["AwareResult", "tune_for_quantization"]
    assert sorted(fake.__all__) == ["QuantizedKernel", "RangeQuantizer", "rounded_kernel"]
    assert sorted(split.__all__) == ["split_layers"]
    assert sorted(stored.__all__) == ["is_kernel", "stored_activations"]


@pytest.mark.parametrize("kind", KERNELS)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(bits=st.sampled_from((4, 8)), seed=st.integers(0, 1 << 16), scale=st.floats(1e-2, 1e2))
def test_kernels_are_rounded_to_symmetric_steps_per_output_channel(
    kind: str, bits: int, seed: int, scale: float
) -> None:
    layer, shape, axes = KERNELS[kind]
    if not layer.built:
        layer.build(shape)
    kernel = np.random.default_rng(seed).normal(scale=scale, size=layer.kernel.shape).astype(np.float32)
    rounded = keras.ops.convert_to_numpy(rounded_kernel(layer, kernel, bits))
    step = np.abs(kernel).max(axis=axes, keepdims=True) / (2 ** (bits - 1) - 1)
    assert (np.abs(rounded - kernel) <= 0.5001 * step).all()
    levels = rounded / step
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    again = keras.ops.convert_to_numpy(rounded_kernel(layer, rounded, bits))
    np.testing.assert_allclose(again, rounded, rtol=1e-5, atol=1e-7 * scale)


def test_a_kernel_of_zeros_stays_one() -> None:
    layer = layers.Dense(3)
    layer.build((None, 4))
    assert not keras.ops.convert_to_numpy(rounded_kernel(layer, np.zeros((4, 3), np.float32), 8)).any()


def test_a_wrapped_layer_computes_with_the_rounded_kernel_and_still_shows_its_own() -> None:
    layer = layers.Dense(5, name="inner")
    wrapped = QuantizedKernel(layer, 4, name="outer")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    result = keras.ops.convert_to_numpy(wrapped(x))
    kernel = keras.ops.convert_to_numpy(rounded_kernel(layer, layer.kernel, 4))
    np.testing.assert_allclose(result, x @ kernel, atol=1e-6)
    assert [each.variable is layer.kernel for each in kernels_of([wrapped])] == [True]
    again = QuantizedKernel.from_config(wrapped.get_config())
    assert (again.bits, again.layer.units) == (4, 5)


def test_a_range_follows_while_training_and_rounds_always() -> None:
    quantizer = RangeQuantizer(momentum=0.5)
    x = np.linspace(-3, 5, 4000, dtype=np.float32)
    quantizer.build(x.shape)
    quantizer.set_weights([np.float32(-1), np.float32(1)])
    rounded = keras.ops.convert_to_numpy(quantizer(x, training=False))
    assert (
        len(np.unique(rounded)) == 256
        and abs(rounded).max() < 1.01
        and (quantizer.range.low, quantizer.range.high) == (-1, 1)
    )
    quantizer(x, training=True)
    assert (quantizer.range.low, quantizer.range.high) == (-2, 3)
    assert RangeQuantizer.from_config(quantizer.get_config()).momentum == 0.5


def test_layers_are_split_into_operators_and_compute_the_same() -> None:
    image = keras.Input((6, 6, 3), name="image")
    x = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="sigmoid", name="pair")(image)
    x = layers.Conv2D(4, 1, activation="relu", name="relu")(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(layers.Flatten()(x)))
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)
    with weights_kept(model):
        parts = split_layers(model)
        kept = split_layers(model, skip=("pair", "scores"))
    np.testing.assert_allclose(call(parts, x), call(model, x), atol=1e-6)
    names = [layer.name for layer in parts.layers[1:] if "flatten" not in layer.name]
    assert names == ["pair_depthwise", "pair", "pair_activation", "relu", "scores", "scores_activation"]
    assert len(kept.layers) == len(model.layers)


def test_what_a_file_stores_is_what_is_rounded() -> None:
    plain = split_layers(fold_batch_norms(depthwise_network()).model)
    names = stored_activations(trace(plain), lambda name: True)
    kinds = [type(plain.get_layer(name)).__name__ for name in names]
    assert kinds == ["Rescaling", "ReLU", "ReLU", "Conv2D", "GlobalAveragePooling2D", "Dense"]
    assert stored_activations(trace(plain), lambda name: False) == ()


def test_the_network_that_learns_computes_what_its_file_computes() -> None:
    """Up to a few roundings: far closer to each other than either is to the float network."""
    image = keras.Input((6, 6, 3), dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, use_bias=False, padding="same")(layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU(6.0)(layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)]))
    x = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling2D()(layers.SeparableConv2D(8, 3)(x)))
    network = keras.Model(image, layers.Dense(3)(x))
    randomize(network, np.random.default_rng(0))
    batch = images(24)
    plain = split_layers(fold_batch_norms(network).model)
    graph = trace(plain)
    names = stored_activations(graph, lambda name: True)
    student = aware._student(graph, names, lambda name: 8, 0.99)
    ranges = aware._observed(graph, names, batch)
    aware._set_ranges(student, ranges)
    exported = export_tflite(plain)
    quantized = quantize(exported, QuantizeConfig(QuantizeMode.STATIC_INT8, 24), batch, ranges=ranges)
    in_float, in_file, in_student = run_tflite(exported, batch), run_tflite(quantized, batch), call(student, batch)
    assert snr_db(in_file, in_student) > snr_db(in_float, in_file) + 6


def test_fine_tuning_wins_back_what_four_bits_lose(classifier: keras.Model, data: LearningData) -> None:
    """Four bits per weight cost the tiny classifier points; an epoch with rounded kernels brings them back."""
    config = QuantizeConfig(QuantizeMode.DYNAMIC_INT4, 32, aware=AwareConfig(epochs=1, min_steps=0, learning_rate=2e-3))
    after = ("similarity", "hidden", "scores")
    plain = accuracy_of(quantize(export_tflite(classifier), config, data.train.x, after), data.train)
    told: list[int] = []
    with weights_kept(classifier):
        tuned = tune_for_quantization(
            classifier,
            classifier,
            config,
            data,
            float_layers=after,
            seed=1,
            progress=lambda done, *_: told.append(done),
        )
    learnt = accuracy_of(quantize(export_tflite(tuned.model), config, data.train.x, after), data.train)
    assert told == [1] and tuned.ranges == {}
    assert learnt > plain
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in tuned.model.layers)


def test_fine_tuning_gives_the_same_twice_and_keeps_zeros(data: LearningData) -> None:
    few = LearningData(Examples(data.train.x[:64], data.train.y[:64]), data.validation)
    image = keras.Input((8, 8, 1), dtype="uint8")
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x))
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[::2] = 0
    model.get_layer("scores").set_weights([kernel, bias])
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 16, aware=SHORT)
    one, other = (tune_for_quantization(model, model, config, few, seed=2) for _ in range(2))
    for first, second in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert one.ranges == other.ranges
    assert one.ranges["conv"].low == 0 < one.ranges["conv"].high and one.ranges["scores"].low < 0
    tuned = one.model.get_layer("scores").get_weights()[0]
    assert not tuned[::2].any() and (tuned != kernel).any()


def test_a_normalisation_that_can_be_folded_only_after_training_takes_no_learnt_range_along(data: LearningData) -> None:
    """A scale below zero keeps it behind its maxima; where training lifts the scale, the file's convolution is another one."""
    keras.utils.set_random_seed(LIFTED)
    image = keras.Input((8, 8, 1), dtype="uint8")
    x = layers.MaxPooling2D()(layers.Conv2D(3, 3, name="conv")(layers.Rescaling(1 / 255)(image)))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(layers.Flatten()(x)))
    model.get_layer("norm").gamma.assign([-1e-3, 1, 1])
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 16, aware=AwareConfig(1, 0, 0.05))
    assert any(layer.name == "norm" for layer in fold_batch_norms(model).model.layers)
    tuned = tune_for_quantization(model, model, config, data, seed=LIFTED)
    assert not any(layer.name == "norm" for layer in tuned.model.layers)
    assert not {"conv", "norm"} & set(tuned.ranges) and "scores" in tuned.ranges
    content = quantize(export_tflite(tuned.model), config, data.train.x, ranges=tuned.ranges)
    wanted = call(tuned.model, data.train.x[:64])
    assert snr_db(wanted, run_tflite(content, data.train.x[:64])) > 10


def test_a_network_without_integer_kernels_is_refused(data: LearningData) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), layers.Flatten(), layers.Softmax()], name="bare")
    with pytest.raises(ModelError, match=r"needs a dense layer or convolution.* Received: 'bare'") as caught:
        tune_for_quantization(model, model, QuantizeConfig(QuantizeMode.STATIC_INT8, aware=SHORT), data)
    assert_one_line(caught.value)
