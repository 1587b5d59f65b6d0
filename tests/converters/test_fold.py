"""Batch normalisations folded into the layers beside them: the same function, and nothing left for the converter to scale."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import fold
from edge_sdk_converters.fold import fold_batch_norms, fold_pooled_norms
from edge_sdk_converters.quantize.norms import unfolded_norms
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime.interpreters import choose_interpreter
from tests.converters.helpers import weights_kept
from tests.converters.networks import SIDE, call, images, random_network, randomize, saved_and_loaded

NORM = layers.BatchNormalization


def network() -> keras.Model:
    """A normalisation behind every kind of layer that takes one up, some twice, and one before a dense layer."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(layers.Rescaling(1 / 255)(image))
    x = layers.ReLU()(NORM(name="conv_norm")(layers.Dropout(0.2)(x)))
    x = NORM(scale=False, name="second")(
        NORM(center=False, name="first")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    )
    x = NORM(name="transposed_norm")(layers.Conv2DTranspose(5, 2, use_bias=False, name="transposed")(layers.ReLU()(x)))
    x = NORM(name="separable_norm")(layers.SeparableConv2D(4, 2, name="separable")(x))
    x = layers.Dense(7, activation="relu", name="hidden")(layers.Flatten()(x))
    x = layers.Dense(5, name="code")(layers.Dropout(0.2)(NORM(name="before")(x)))
    return _random(image, layers.Dense(3, name="logits")(layers.ReLU()(NORM(name="code_norm")(x))))


def _random(image: keras.KerasTensor, output: keras.KerasTensor) -> keras.Model:
    model = keras.Model(image, output, name="normalised")
    randomize(model, np.random.default_rng(0))
    return model


def test_public_names() -> None:
    assert fold.__all__ == ["Folded", "fold_batch_norms", "fold_pooled_norms"]


def test_every_kind_of_layer_takes_up_its_normalisation() -> None:
    model = network()
    with weights_kept(model):
        result = fold_batch_norms(model)
    names = [layer.name for layer in model.layers if isinstance(layer, NORM)]
    assert sorted(result.folded) == sorted(names) and result.kept == ()
    assert not any(isinstance(layer, NORM) for layer in result.model.layers)
    assert result.model.get_layer("conv").use_bias and not result.model.compiled
    x = images(4)
    np.testing.assert_allclose(call(result.model, x), call(model, x), rtol=2e-4, atol=2e-4)
    np.testing.assert_array_equal(call(saved_and_loaded(result.model), x), call(result.model, x))


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_compute_the_same(seed: int) -> None:
    model, x = random_network(seed), images(3, seed)
    result = fold_batch_norms(model)
    expected = call(model, x)
    np.testing.assert_allclose(call(result.model, x), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_a_layer_used_twice_with_its_normalisation_is_folded_once() -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    convolution, norm = layers.Conv2D(3, 3, padding="same", name="conv"), NORM(name="norm")
    x = norm(convolution(layers.ReLU()(norm(convolution(image)))))
    model = _random(image, layers.GlobalAveragePooling2D()(x))
    result = fold_batch_norms(model)
    assert result.folded == ("norm",)
    x = images(2).astype(np.float32) / 255
    np.testing.assert_allclose(call(result.model, x), call(model, x), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_folded_stays_and_says_why() -> None:
    image = keras.Input((SIDE, SIDE, 4), name="image")
    x = NORM(name="of_input")(image)
    x = NORM(name="of_active")(layers.Conv2D(4, 3, padding="same", activation="relu", name="active")(x))
    x = NORM(axis=1, name="of_rows")(layers.Conv2D(4, 1, name="rows")(x))
    shared = layers.Conv2D(4, 1, name="shared")(x)
    x = layers.Add()([NORM(name="of_shared")(shared), shared])
    x = NORM(name="of_batch")(layers.Conv2D(4, 1, name="batch")(x), training=True)
    model = _random(image, layers.GlobalAveragePooling2D()(x))
    result = fold_batch_norms(model)
    reasons = dict(result.kept)
    assert result.folded == () and list(reasons) == ["of_input", "of_active", "of_rows", "of_shared", "of_batch"]
    assert reasons["of_active"] == "active has an activation of its own"
    assert reasons["of_shared"] == "shared is used elsewhere too"
    assert reasons["of_rows"] == reasons["of_batch"] and "another axis" in reasons["of_rows"]
    assert "no dense layer or convolution" in reasons["of_input"]


POOLS = {
    "max": lambda: layers.MaxPooling2D(2, padding="same", name="pool"),
    "average": lambda: layers.AveragePooling2D(3, strides=2, padding="same", name="pool"),
    "all averaged": lambda: layers.GlobalAveragePooling2D(name="pool"),
    "global maximum": lambda: layers.GlobalMaxPooling2D(name="pool"),
}


def pooled(kind: str, *, negative: bool) -> keras.Model:
    """A convolution, pooling, a normalisation with scales above zero, or one below."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Conv2D(6, 3, padding="same", name="conv")(layers.Rescaling(1 / 255)(image))
    x = layers.ReLU()(NORM(name="norm")(POOLS[kind]()(layers.Dropout(0.1)(x))))
    model = _random(image, layers.Dense(3)(layers.Flatten()(x)))
    norm = model.get_layer("norm")
    signs = np.where(np.arange(6) == 2, -1.0 if negative else 1.0, 1.0)
    norm.gamma.assign(signs * (0.5 + np.abs(norm.gamma.numpy())))
    return model


@pytest.mark.parametrize("kind", POOLS)
def test_a_normalisation_behind_pooling_is_folded_into_the_layer_before(kind: str) -> None:
    model, x = pooled(kind, negative=False), images(4)
    with weights_kept(model):
        result = fold_batch_norms(model)
    assert result.folded == ("norm",)
    np.testing.assert_allclose(call(result.model, x), call(model, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", POOLS)
def test_a_negative_scale_goes_through_averages_and_not_through_maxima(kind: str) -> None:
    model, x = pooled(kind, negative=True), images(4)
    result = fold_batch_norms(model)
    np.testing.assert_allclose(call(result.model, x), call(model, x), rtol=1e-4, atol=1e-4)
    maxima = "max" in kind
    assert result.folded == (() if maxima else ("norm",))
    assert dict(result.kept) == ({"norm": "a scale is negative, and pool finds maxima"} if maxima else {})


def test_pooling_that_something_else_reads_keeps_its_normalisation() -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.AveragePooling2D(2, name="pool")(layers.Conv2D(4, 3, name="conv")(image))
    model = _random(image, layers.GlobalAveragePooling2D()(layers.Add()([NORM(name="norm")(x), x])))
    assert fold_batch_norms(model).folded == () and fold_pooled_norms(model) is model


def test_a_dense_layer_behind_an_average_takes_up_the_normalisation_before_it() -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = NORM(name="norm")(layers.ReLU()(layers.Conv2D(4, 3)(image)))
    model = _random(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    x = images(2).astype(np.float32) / 255
    result = fold_batch_norms(model)
    assert result.folded == ("norm",)
    np.testing.assert_allclose(call(result.model, x), call(model, x), rtol=1e-4, atol=1e-4)


def test_an_exported_file_computes_no_normalisation_behind_pooling() -> None:
    model, x = pooled("max", negative=False), images(3)
    with weights_kept(model):
        exported = export_tflite(model)
    assert unfolded_norms(exported) == ()
    assert unfolded_norms(export_tflite(pooled("max", negative=True))) == ("norm",)
    interpreter = choose_interpreter().load(exported, 1)
    for image, expected in zip(x, call(model, x), strict=True):
        interpreter.input_view()[0] = image
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.output_view()[0], expected, rtol=1e-4, atol=1e-4)


def test_only_pooled_normalisations_are_folded_before_an_export() -> None:
    model = network()
    assert fold_pooled_norms(model) is model
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = NORM(name="plain")(layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(image)))
    x = NORM(name="pooled")(layers.AveragePooling2D(2)(layers.Conv2D(4, 3, name="other")(x)))
    folded = fold_pooled_norms(_random(image, layers.GlobalMaxPooling2D()(x)))
    assert [layer.name for layer in folded.layers if isinstance(layer, NORM)] == ["plain"]
