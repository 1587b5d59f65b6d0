"""An encoder serves other people's images, with their own class embeddings or with those that came with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.image_sets import Splits
from edge_sdk.learn import transfer as module
from edge_sdk.learn.embedding_files import EmbeddingTable
from edge_sdk.learn.prototypes import PrototypeMethod, Prototypes
from edge_sdk.learn.train import Trained
from edge_sdk.learn.transfer import (
    KnownEncoder,
    PrototypePlan,
    class_table,
    load_encoder,
    table_prototypes,
    train_on_encoder,
)
from edge_sdk_converters.keras_file import save_keras
from edge_sdk_converters.stages import split_stages
from edge_sdk_converters.training import predict
from edge_sdk_runtime import Similarity


@pytest.fixture(scope="module")
def known(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> KnownEncoder:
    path = tmp_path_factory.mktemp("model") / "digits.keras"
    save_keras(path, trained.model, trained.card)
    return load_encoder(path)


def test_public_names() -> None:
    names = ["KnownEncoder", "PrototypePlan", "class_table", "load_encoder", "table_prototypes", "train_on_encoder"]
    assert sorted(module.__all__) == names


def test_the_encoder_is_that_of_the_classifier(known: KnownEncoder, trained: Trained) -> None:
    assert (known.width, known.spec, known.similarity) == (16, trained.card.preprocess, Similarity.COSINE)
    expected = predict(split_stages(trained.model).encoder, trained.validation.x)
    np.testing.assert_allclose(predict(known.encoder, trained.validation.x), expected, atol=1e-6)


def test_class_embeddings_are_handed_out_by_label(known: KnownEncoder, digits: Splits) -> None:
    table = class_table(known, digits, PrototypePlan(2, PrototypeMethod.MEDOIDS))
    assert table.counts == dict.fromkeys(digits.labels, 2) and table.width == 16


def test_the_head_learns_from_the_embeddings_of_other_classes(known: KnownEncoder, digits: Splits) -> None:
    """Only similarity to the odd digits, and still the even ones are told apart."""
    table = class_table(known, digits, PrototypePlan())
    odd = EmbeddingTable(tuple(f"odd {label}" for label in table.labels[1::2]), table.vectors[1::2])
    told: list[str] = []
    learnt = train_on_encoder(known, digits, PrototypePlan(), table=odd, told=lambda what, *_: told.append(what))
    stages = split_stages(learnt.model)
    np.testing.assert_array_equal(stages.prototypes, odd.vectors)
    assert stages.prototype_labels == (1, 3, 5, 7, 9)
    even = learnt.validation.y % 2 == 0
    found = predict(learnt.model, learnt.validation.x[even]).argmax(axis=1)
    assert (found == learnt.validation.y[even]).mean() > 0.4  # chance is 0.1
    assert list(dict.fromkeys(told)) == ["images", "head"]
    assert learnt.card.labels == digits.labels


def test_vectors_belong_to_the_class_of_their_label_else_to_the_most_similar() -> None:
    means = Prototypes(np.eye(3, dtype=np.float32), (0, 1, 2))
    table = EmbeddingTable(("c", "lynx"), np.array([[1, 0, 0], [0.1, 0.9, 0]], np.float32))
    assert table_prototypes(table, means, ("a", "b", "c"), Similarity.COSINE).labels == (2, 1)


def test_embeddings_of_another_width_are_refused(known: KnownEncoder, digits: Splits) -> None:
    table = EmbeddingTable(("cat",), np.ones((1, 15), np.float32))
    with pytest.raises(DataError, match=r"as wide as the encoder's, 16\. Received: 15"):
        train_on_encoder(known, digits, PrototypePlan(), table=table)


def test_models_without_an_encoder_are_refused(trained: Trained, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1))
    plain = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(image)))
    save_keras(tmp_path / "plain.keras", plain, dataclasses.replace(trained.card))
    with pytest.raises(DataError, match=r"plain\.keras without such a comparison"):
        load_encoder(tmp_path / "plain.keras")
    with pytest.warns(DeprecationWarning, match="copy keyword"):
        plain.save(tmp_path / "foreign.keras")
    with pytest.raises(DataError, match=r"foreign\.keras without a card"):
        load_encoder(tmp_path / "foreign.keras")
