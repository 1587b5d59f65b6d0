"""The Keras layer that compares with prototypes, against the runtime's NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters import layers as module
from edge_sdk_converters.cost import count_macs
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.layers import FlattenedImage, PrototypeSimilarity
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime import Similarity, similarity_features
from tests.converters.helpers import assert_one_line, run_tflite, staged_network
from tests.converters.networks import SIDE, call, images, saved_and_loaded

measures = st.sampled_from(Similarity)


def similarity_model(prototypes: np.ndarray, measure: Similarity) -> keras.Model:
    """Embeddings to similarities, as a model."""
    layer = PrototypeSimilarity(list(range(len(prototypes))), measure.value, name="similarity")
    model = keras.Sequential([keras.Input((prototypes.shape[1],)), layer])
    layer.set_weights([prototypes])
    return model


def table(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    return rng.normal(size=(rows, width)).astype(np.float32)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["FlattenedImage", "PrototypeSimilarity"]


@settings(deadline=None, max_examples=40)
@given(
    measure=measures,
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 5),
    count=st.integers(1, 6),
    width=st.integers(1, 12),
    scale=st.sampled_from([1e-3, 1.0, 10.0]),
)
def test_it_computes_what_the_runtime_does(
    measure: Similarity, seed: int, rows: int, count: int, width: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    embeddings, prototypes = scale * table(rng, rows, width), table(rng, count, width)
    expected = similarity_features(embeddings, prototypes, measure)
    size = max(1.0, float(np.abs(expected).max()))  # a product of long vectors is rounded at its own scale
    np.testing.assert_allclose(call(similarity_model(prototypes, measure), embeddings), expected, atol=1e-5 * size)


@pytest.mark.parametrize("measure", Similarity)
def test_it_does_so_where_an_embedding_meets_its_prototype(measure: Similarity) -> None:
    rng = np.random.default_rng(0)
    prototypes = 10 * table(rng, 4, 64)
    embeddings = np.concatenate([prototypes, prototypes + 1e-3 * table(rng, 4, 64)])
    expected = similarity_features(embeddings, prototypes, measure)
    received = call(similarity_model(prototypes, measure), embeddings)
    np.testing.assert_allclose(received, expected, atol=1e-5 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("measure", Similarity)
def test_a_zero_embedding_is_similar_to_nothing(measure: Similarity) -> None:
    prototypes = np.concatenate([table(np.random.default_rng(0), 3, 6), np.zeros((1, 6), np.float32)])
    nothing = np.zeros((2, 6), np.float32)
    received = call(similarity_model(prototypes, measure), nothing)
    assert np.isfinite(received).all()
    np.testing.assert_allclose(received, similarity_features(nothing, prototypes, measure), atol=1e-5)


@pytest.mark.parametrize("constant", [1e-3, 0.1, 1000.0])
def test_a_constant_embedding_correlates_with_nothing(constant: float) -> None:
    """In NumPy, in Keras and in a .tflite file alike, though its mean is rounded."""
    prototypes = np.concatenate([table(np.random.default_rng(0), 2, 1001), np.full((1, 1001), 0.7, np.float32)])
    embeddings = np.concatenate([np.full((1, 1001), constant, np.float32), prototypes])
    expected = similarity_features(embeddings, prototypes, Similarity.CORRELATION)
    assert not expected[0].any() and not expected[:, 2].any()
    np.testing.assert_allclose(
        call(similarity_model(prototypes, Similarity.CORRELATION), embeddings), expected, atol=1e-6
    )


def test_correlation_of_flattened_images_as_a_tflite_file() -> None:
    """The fused form of the literal method: as NumPy computes it on the device's staged form."""
    rng = np.random.default_rng(1)
    prototypes = rng.uniform(size=(4, SIDE * SIDE * 3)).astype(np.float32)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    compare = PrototypeSimilarity([0, 1, 2, 3], "correlation")
    model = keras.Model(image, compare(FlattenedImage()(image)))
    compare.set_weights([prototypes])
    batch = np.concatenate([images(5), np.full((1, SIDE, SIDE, 3), 77, np.uint8)])
    pixels = batch.reshape(6, -1).astype(np.float32) / 255
    expected = similarity_features(pixels, prototypes, Similarity.CORRELATION)
    np.testing.assert_allclose(run_tflite(export_tflite(model), batch), expected, atol=1e-5)


def test_a_flattened_image_holds_its_pixels_row_by_row() -> None:
    batch = images(3)
    image = keras.Input(batch.shape[1:], dtype="uint8")
    model = saved_and_loaded(keras.Model(image, FlattenedImage(name="embedding")(image)))
    embeddings = call(model, batch)
    assert (model.output_shape, embeddings.dtype) == ((None, SIDE * SIDE * 3), np.float32)
    np.testing.assert_allclose(embeddings, batch.reshape(3, -1) / 255, rtol=0, atol=1e-7)
    assert embeddings[0, 3] == pytest.approx(batch[0, 0, 1, 0] / 255)
    assert FlattenedImage().compute_output_shape((None, 2, 3, 1)) == (None, 6)
    assert (model.count_params(), count_macs(model)) == (0, 0)


@pytest.mark.parametrize("shape", [(4,), (None, 4, 3), (4, 4, 4, 3)])
def test_what_has_no_fixed_sides_cannot_be_flattened(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ModelError, match=r"Images must be \[batch, H, W, C\] with fixed sides\. Received: ") as caught:
        FlattenedImage()(keras.Input(shape))
    assert_one_line(caught.value)


@pytest.mark.parametrize("measure", Similarity)
@pytest.mark.parametrize("embedding", ["its prototype", "zero"])
def test_gradients_are_finite(measure: Similarity, embedding: str) -> None:
    import tensorflow as tf

    prototypes = table(np.random.default_rng(0), 3, 6)
    model = similarity_model(prototypes, measure)
    inputs = tf.constant(prototypes[:1] if embedding == "its prototype" else np.zeros((1, 6), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(model(inputs))
    gradients = tape.gradient(total, [inputs, model.trainable_variables[0].value])
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


@pytest.mark.parametrize("measure", Similarity)
def test_it_survives_saving(measure: Similarity) -> None:
    model = staged_network(measure.value)
    loaded = saved_and_loaded(model)
    layer = loaded.get_layer("similarity")
    assert (layer.prototype_labels, layer.measure) == ([0, 1, 1, 2], measure)
    np.testing.assert_array_equal(call(loaded, images()), call(model, images()))


def test_shapes_and_cost() -> None:
    layer = PrototypeSimilarity([0, 1, 1])
    assert layer.compute_output_shape((None, 8)) == (None, 3)
    assert layer.macs((None, 8), (None, 3)) == 24


def test_an_image_is_no_embedding() -> None:
    with pytest.raises(ModelError, match=r"Embeddings must be \[batch, D\].*Received: \[None, 4, 4, 8\]"):
        PrototypeSimilarity([0, 1])(keras.Input((4, 4, 8)))


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="manhattan"):
        PrototypeSimilarity([0, 1], "manhattan")
