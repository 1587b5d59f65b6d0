"""The Keras layer that compares with prototypes, against the runtime's NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters import layers as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_runtime import Similarity, similarity_features
from tests.converters.helpers import staged_network
from tests.converters.networks import call, images, saved_and_loaded

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
    assert module.__all__ == ["PrototypeSimilarity"]


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
