"""Foreign classifiers come under the contract, or are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import source as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.keras_file import load_keras
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.source import InputRange, accuracy, adopt, check_classifier, is_opaque
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples, predict
from tests.converters.helpers import assert_one_line, input_and_output, run_tflite, weights_kept
from tests.converters.networks import call

TO_UNIT = {InputRange.PIXELS: (1 / 255, 0.0), InputRange.UNIT: (1.0, 0.0), InputRange.SIGNED: (0.5, 0.5)}
"""Scale and offset that bring each range to the 0..1 that `plain` learnt from."""


def expecting(plain: keras.Model, input_range: InputRange, *after: keras.Layer) -> keras.Model:
    """`plain` as it would be had it learnt from another range."""
    scale, offset = TO_UNIT[input_range]
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(scale, offset), plain, *after], name="foreign")


def two_classes(plain: keras.Model, activation: str | None) -> keras.Model:
    """One score: whether a digit is a one rather than a zero."""
    score = layers.Dense(1, activation=activation, name="score")
    model = keras.Sequential([keras.Input((8, 8, 1)), plain, score])
    score.set_weights([np.eye(10, dtype=np.float32)[:, :2] @ np.float32([[-1], [1]]), np.zeros(1, np.float32)])
    return model


@pytest.fixture(scope="module")
def trial(data: LearningData) -> Examples:
    return data.validation


@pytest.fixture(scope="module")
def ones_and_zeros(data: LearningData) -> Examples:
    chosen = data.train.y < 2
    return Examples(data.train.x[chosen], data.train.y[chosen])


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Adopted", "InputRange", "adopt", "check_classifier", "is_opaque", "leaves"]


@pytest.mark.parametrize("input_range", InputRange)
def test_the_pixel_range_is_found_out(input_range: InputRange, plain: keras.Model, trial: Examples) -> None:
    given = expecting(plain, input_range, layers.Softmax())
    with weights_kept(given):
        adopted = adopt(given, trial, 10)
    assert adopted.input_range is input_range
    assert set(adopted.accuracies) == set(InputRange)
    assert adopted.accuracies[input_range] == accuracy(adopted.model, trial) > 0.8
    expected = predict(plain, trial.x.astype(np.float32) / 255)
    np.testing.assert_allclose(
        predict(adopted.model, trial.x), keras.ops.convert_to_numpy(keras.ops.softmax(expected)), atol=1e-4
    )


def test_the_contract(plain: keras.Model, trial: Examples) -> None:
    """uint8 in, probabilities out, leaf layers only, nothing shared with what was given."""
    given = expecting(plain, InputRange.UNIT)
    adopted = adopt(given, trial, 10).model
    assert (adopted.inputs[0].dtype, adopted.input_shape) == ("uint8", (None, 8, 8, 1))
    np.testing.assert_allclose(predict(adopted, trial.x).sum(axis=1), 1, atol=1e-5)
    assert not any(isinstance(layer, keras.Model) for layer in adopted.layers)
    with weights_kept(given):
        for layer in adopted.layers:
            layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])


def test_a_range_that_was_named_is_taken(plain: keras.Model, trial: Examples) -> None:
    adopted = adopt(plain, trial, 10, InputRange.SIGNED)
    assert (adopted.input_range, adopted.accuracies) == (InputRange.SIGNED, {})
    expected = keras.ops.softmax(predict(plain, trial.x.astype(np.float32) / 127.5 - 1))
    np.testing.assert_allclose(predict(adopted.model, trial.x), keras.ops.convert_to_numpy(expected), atol=1e-4)


def test_a_model_of_uint8_scales_by_itself(classifier: keras.Model, trial: Examples) -> None:
    adopted = adopt(classifier, trial, 10)
    assert (adopted.input_range, adopted.accuracies) == (None, {})
    np.testing.assert_array_equal(predict(adopted.model, trial.x), predict(classifier, trial.x))


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_score_becomes_two_classes(activation: str | None, plain: keras.Model, ones_and_zeros: Examples) -> None:
    adopted = adopt(two_classes(plain, activation), ones_and_zeros, 2, InputRange.UNIT)
    scores = predict(adopted.model, ones_and_zeros.x)
    assert scores.shape == (len(ones_and_zeros.y), 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    logits = predict(two_classes(plain, None), ones_and_zeros.x.astype(np.float32) / 255)[:, 0]
    np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-4)


def test_independent_scores_are_refused(plain: keras.Model, trial: Examples) -> None:
    with pytest.raises(ModelError, match="softmax, not sigmoid") as caught:
        adopt(expecting(plain, InputRange.UNIT, layers.Activation("sigmoid")), trial, 10)
    assert_one_line(caught.value)


def test_a_model_that_knows_nothing_is_refused(plain: keras.Model, trial: Examples) -> None:
    shuffled = Examples(trial.x, (trial.y + 5) % 10)
    with pytest.raises(ModelError, match=r"better than chance \(10%\).*0\.\.255: \d+%.*--input-range") as caught:
        adopt(plain, shuffled, 10)
    assert_one_line(caught.value)


def two_inputs() -> keras.Model:
    images = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(layers.Concatenate()(images))))


def sequential(*shape: int | None, classes: int = 3) -> keras.Model:
    body = [layers.Flatten()] if len(shape) == 2 else [layers.GlobalAveragePooling2D()] if len(shape) == 3 else []
    return keras.Sequential([keras.Input(shape), *body, layers.Dense(classes)])


def text_model() -> keras.Model:
    words = keras.Input((20,), dtype="int32")
    return keras.Model(words, layers.Dense(3)(layers.Flatten()(layers.Embedding(50, 4)(words))))


def segmentation() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 1)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (two_inputs, "one input and one output.*with 2 and 1"),
        (lambda: sequential(8, 8), r"fixed size. Received: \[None, 8, 8\]"),
        (lambda: sequential(None, None, 3), r"fixed size. Received: \[None, None, None, 3\]"),
        (lambda: sequential(8, 8, 4), r"1 or 3\].*Received: \[None, 8, 8, 4\]"),
        (text_model, r"Received: \[None, 20\]"),
        (segmentation, r"output must be \[batch, classes\]. Received: \[None, 8, 8, 3\]"),
        (lambda: sequential(8, 8, 1, classes=4), "3 classes for a model with 4 outputs"),
        (lambda: sequential(8, 8, 1, classes=1), "3 classes for a model with 1 outputs"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "one input and one output"),
    ],
    ids=["inputs", "rank 3", "size", "channels", "text", "segmentation", "classes", "one score", "unbuilt"],
)
def test_what_is_no_image_classifier_is_refused(build: object, message: str) -> None:
    model = build()  # type: ignore[operator]
    trial = Examples(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64))
    for refuse in (lambda: check_classifier(model, 3), lambda: adopt(model, trial, 3)):
        with pytest.raises(ModelError, match=message) as caught:
            refuse()
        assert_one_line(caught.value)


def test_a_saved_model_is_adopted_exported_and_quantized(plain: keras.Model, trial: Examples, tmp_path: Path) -> None:
    plain.export(tmp_path / "saved", verbose=False)
    adopted = adopt(load_keras(tmp_path / "saved")[0], trial, 10)
    assert adopted.input_range is InputRange.UNIT and is_opaque(adopted.model)
    exported = export_tflite(adopted.model)
    np.testing.assert_allclose(run_tflite(exported, trial.x), predict(adopted.model, trial.x), atol=1e-4)
    quantized = quantize(exported, QuantizeConfig(QuantizeMode.STATIC_INT8), trial.x)
    assert input_and_output(quantized) == (("uint8", [1, 8, 8, 1]), ("float32", [1, 10]))
    assert (run_tflite(quantized, trial.x).argmax(axis=1) == trial.y).mean() > 0.8


def test_accuracy_by_hand(classifier: keras.Model, trial: Examples) -> None:
    right = call(classifier, trial.x).argmax(axis=1)
    assert accuracy(classifier, Examples(trial.x, right)) == 1
    assert accuracy(classifier, Examples(trial.x, (right + 1) % 10)) == 0
    assert accuracy(classifier, Examples(trial.x[:0], trial.y[:0])) == 0
