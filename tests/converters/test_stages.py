"""A classifier taken apart: the parts, one after the other, are the whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import stages as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.factorize.apply import factorize
from edge_sdk_converters.factorize.config import FactorizeConfig
from edge_sdk_converters.layers import FlattenedImage, PrototypeSimilarity
from edge_sdk_converters.stages import Stages, has_stages, split_stages
from edge_sdk_runtime import Similarity, similarity_features
from tests.converters.helpers import assert_one_line, plain_network, staged_network, weights_kept
from tests.converters.networks import call, images


def features_of(stages: Stages, batch: np.ndarray) -> np.ndarray:
    return similarity_features(call(stages.encoder, batch), stages.prototypes, stages.similarity)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Stages", "has_stages", "layers_after_encoder", "numpy_head", "split_stages"]


@pytest.mark.parametrize("measure", Similarity)
def test_the_parts_are_the_whole(measure: Similarity) -> None:
    model, batch = staged_network(measure.value), images(6)
    with weights_kept(model):
        stages = split_stages(model)
    assert has_stages(model)
    assert (stages.prototype_labels, stages.similarity) == ((0, 1, 1, 2), measure)
    assert (stages.prototypes.shape, stages.prototypes.dtype) == ((4, 5), np.float32)
    features = features_of(stages, batch)
    np.testing.assert_allclose(call(stages.head, features), call(model, batch), atol=1e-5)
    assert stages.numpy_head is not None
    np.testing.assert_allclose(stages.numpy_head(features), call(stages.head, features), atol=1e-5)


def test_only_an_image_that_is_its_own_embedding_needs_no_encoder() -> None:
    image = keras.Input((4, 4, 3), dtype="uint8")
    pixels, compare = FlattenedImage(name="embedding")(image), PrototypeSimilarity([0, 1], "correlation")
    head = layers.Dense(2, activation="softmax")
    literal = keras.Model(image, head(compare(pixels)))
    stages = split_stages(literal)
    assert stages.flattened
    assert stages.prototypes.shape == (2, 48)
    narrowed = layers.Dense(5)(pixels)
    learned = keras.Model(image, layers.Dense(2, activation="softmax")(PrototypeSimilarity([0, 1])(narrowed)))
    assert not split_stages(learned).flattened
    assert not split_stages(staged_network()).flattened


def test_weights_are_copies() -> None:
    model = staged_network()
    stages = split_stages(model)
    with weights_kept(model):
        for part in (stages.encoder, stages.head):
            part.set_weights([np.zeros_like(value) for value in part.get_weights()])


def test_dropout_is_nothing_to_a_numpy_head() -> None:
    head = (layers.Dense(7, activation="relu"), layers.Dropout(0.5), layers.Dense(3, activation="softmax"))
    stages = split_stages(staged_network(head=head))
    assert stages.numpy_head is not None and len(stages.numpy_head.kernels) == 2
    features = features_of(stages, images())
    np.testing.assert_allclose(stages.numpy_head(features), call(stages.head, features), atol=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        (layers.Dense(7, activation="tanh"), layers.Dense(3, activation="softmax")),
        (layers.Dense(7, use_bias=False, activation="relu"), layers.Dense(3, activation="softmax")),
        (layers.Dense(3), layers.Softmax()),
        (layers.Softmax(),),
        (layers.BatchNormalization(), layers.Dense(3, activation="softmax")),
    ],
    ids=["tanh", "no bias", "softmax layer", "no dense", "normalisation"],
)
def test_other_heads_are_left_to_tflite(head: tuple[keras.Layer, ...]) -> None:
    stages = split_stages(staged_network(head=head))
    assert stages.numpy_head is None
    assert stages.head.output_shape == (None, 4 if len(head) == 1 else 3)


def test_a_classifier_without_a_head_is_refused() -> None:
    image = keras.Input((4,))
    with pytest.raises(ModelError, match="whose head is missing") as caught:
        split_stages(keras.Model(image, PrototypeSimilarity([0, 1])(layers.Dense(5)(image))))
    assert_one_line(caught.value)


def test_a_head_that_factorization_split_is_no_plain_mlp() -> None:
    wide = staged_network(head=(layers.Dense(64, activation="relu"), layers.Dense(3, activation="softmax")))
    split = factorize(wide, FactorizeConfig(energy=0.5, multiple=1, skip=("stem", "embedding")))
    assert split.replaced
    stages = split_stages(split.model)
    assert stages.numpy_head is None
    np.testing.assert_allclose(call(stages.head, features_of(stages, images())), call(split.model, images()), atol=1e-5)


def test_a_classifier_without_similarity_is_refused() -> None:
    assert not has_stages(plain_network())
    with pytest.raises(ModelError, match="0 PrototypeSimilarity layers") as caught:
        split_stages(plain_network())
    assert_one_line(caught.value)


def test_a_classifier_with_two_similarities_is_refused() -> None:
    twice = (PrototypeSimilarity([0, 1, 2], name="second"), layers.Softmax())
    with pytest.raises(ModelError, match="2 PrototypeSimilarity layers") as caught:
        split_stages(staged_network(head=twice))
    assert_one_line(caught.value)


def test_a_head_that_reads_the_embedding_too_is_refused() -> None:
    image = keras.Input((4,))
    embedding = layers.Dense(5)(image)
    both = layers.Concatenate()([embedding, PrototypeSimilarity([0, 1], name="similarity")(embedding)])
    with pytest.raises(ModelError, match="from the similarity features and nothing else") as caught:
        split_stages(keras.Model(image, layers.Dense(2, activation="softmax")(both)))
    assert_one_line(caught.value)
