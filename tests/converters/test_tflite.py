"""Export to .tflite: the one-input contract, what is folded away, and agreement with Keras."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import tflite as module
from edge_sdk_converters.errors import ExportError
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime import Similarity
from tests.converters.helpers import (
    assert_one_line,
    depthwise_network,
    input_and_output,
    operators,
    plain_network,
    residual_network,
    run_tflite,
    staged_network,
)
from tests.converters.networks import SIDE, call, images

NETWORKS = [plain_network, residual_network, depthwise_network]


def assert_exported_like_keras(model: keras.Model, content: bytes) -> None:
    batch = images(8)
    np.testing.assert_allclose(run_tflite(content, batch), call(model, batch), atol=1e-4)


def test_public_names() -> None:
    assert module.__all__ == ["export_tflite"]


@pytest.mark.parametrize("build", NETWORKS)
def test_uint8_in_float32_out_one_image_at_a_time(
    build: Callable[[], keras.Model], capfd: pytest.CaptureFixture[str]
) -> None:
    model = build()
    call(model, images())  # TensorFlow's first use of a machine may tell of missing drivers
    capfd.readouterr()
    content = export_tflite(model)
    assert capfd.readouterr() == ("", "")
    assert input_and_output(content) == (("uint8", [1, SIDE, SIDE, 3]), ("float32", [1, 3]))
    assert_exported_like_keras(model, content)


@pytest.mark.parametrize(("build", "additions"), [(plain_network, 0), (residual_network, 1), (depthwise_network, 0)])
def test_normalisation_and_scaling_are_folded_away(build: Callable[[], keras.Model], additions: int) -> None:
    """The one ADD is the residual connection itself."""
    counted = operators(export_tflite(build()))
    assert (counted["ADD"], counted["MUL"], counted["SUB"]) == (additions, 0, 0)
    assert counted["CONV_2D"] + counted["DEPTHWISE_CONV_2D"] >= 1


@pytest.mark.parametrize("measure", Similarity)
def test_similarity_to_prototypes_is_exported(measure: Similarity) -> None:
    model = staged_network(measure.value)
    assert_exported_like_keras(model, export_tflite(model))


def test_a_trained_classifier_is_exported(classifier: keras.Model) -> None:
    batch = images(4, shape=(8, 8, 1))
    np.testing.assert_allclose(run_tflite(export_tflite(classifier), batch), call(classifier, batch), atol=1e-4)


def test_the_same_model_gives_the_same_file() -> None:
    model = plain_network()
    assert export_tflite(model) == export_tflite(model)


def test_a_batch_of_fixed_size_becomes_one() -> None:
    image = keras.Input(batch_shape=(5, 4, 4, 1), dtype="uint8")
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))
    assert input_and_output(export_tflite(model)) == (("uint8", [1, 4, 4, 1]), ("float32", [1, 2]))


def test_an_operator_that_tflite_lacks_is_refused_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(keras.ops.erfinv(image))))
    with pytest.raises(ExportError, match=r"operators that TFLite has\. Received: .*(?i:erfinv)") as caught:
        export_tflite(model)
    assert_one_line(caught.value)
    assert capfd.readouterr() == ("", "")
