"""From labelled images to a staged classifier: encoder, prototypes, similarity features, head, in that order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras

from edge_sdk_converters.keras_file import ModelCard
from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_converters.steps import steps_per_epoch
from edge_sdk_converters.training import Augment, Examples, FitConfig, Progress, predict
from edge_sdk_runtime import Color, PreprocessSpec, Similarity, similarity_features

from ..data import Prepared, Splits, prepare
from .augment import Augmentation, augment
from .encoder import build_encoder
from .head import build_head, train_head
from .prototypes import Prototypes, build_prototypes
from .similarity_encoder import train_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TrainConfig", "Trained", "augmentation_for", "default_spec", "examples", "train_classifier"]

_BATCH = 64

Told = Callable[[str, int, int], None]
"""Told what is being done, and how far: done, planned."""


@dataclass(frozen=True)
class TrainConfig:
    """How a classifier is trained.

    Attributes:
        epochs: Passes of the encoder over the training images; None chooses by their number.
        learning_rate: Adam's, at the start.
        embedding: Width of the embedding.
        width: Filters of the encoder's first stage.
        prototypes: Prototypes per class.
        similarity: How embeddings and prototypes are compared.
        seed: Of everything random.
    """

    epochs: int | None = None
    learning_rate: float = 2e-3
    embedding: int = 64
    width: int = 24
    prototypes: int = 1
    similarity: Similarity = Similarity.COSINE
    seed: int = 0

    def epochs_for(self, images: int) -> int:
        """The epochs asked for, else as many as show the encoder about 800,000 images, between 15 and 60."""
        return self.epochs or max(15, min(60, 800_000 // (steps_per_epoch(images, _BATCH) * _BATCH)))


@dataclass(frozen=True)
class Trained:
    """A trained classifier.

    Attributes:
        model: `uint8 [batch, H, W, C]` → probabilities, with encoder, similarity and head as nested parts.
        card: What travels with it.
        train: The training images as the model saw them.
        validation: The validation images.
    """

    model: keras.Model
    card: ModelCard
    train: Prepared
    validation: Prepared


def train_classifier(splits: Splits, spec: PreprocessSpec, config: TrainConfig, told: Told | None = None) -> Trained:
    """Train encoder, prototypes and head, and put them together.

    Args:
        splits: Labelled images; the test part is not looked at.
        spec: What is done to every image.
        config: Sizes, epochs, seed.
        told: Told what is being done.

    Raises:
        DataError: The images cannot be learnt from.
    """
    keras.utils.set_random_seed(config.seed)
    train, validation = (prepare(part, spec, _part(told, "images")) for part in (splits.train, splits.validation))
    classes = len(splits.labels)
    encoder = build_encoder(spec, embedding=config.embedding, width=config.width)
    fit_config = FitConfig(config.epochs_for(len(train)), config.learning_rate, _BATCH, seed=config.seed)
    train_encoder(
        encoder,
        examples(train),
        examples(validation),
        classes,
        fit_config,
        augment=augmentation_for(splits.flips),
        progress=_epochs(told, "encoder"),
    )
    embeddings, held_out = predict(encoder, train.x), predict(encoder, validation.x)
    prototypes = build_prototypes(embeddings, train.y, config.prototypes, config.seed, config.similarity)
    head = build_head(len(prototypes.labels), classes)
    features = partial(similarity_features, prototypes=prototypes.vectors, measure=config.similarity)
    train_head(
        head,
        Examples(features(embeddings), train.y),
        Examples(features(held_out), validation.y),
        config.seed,
        _epochs(told, "head"),
    )
    card = ModelCard(splits.labels, spec, splits.name, splits.seed, splits.flips, splits.limit)
    return Trained(_assemble(encoder, prototypes, config.similarity, head), card, train, validation)


def augmentation_for(flips: bool) -> Augment:
    """The changes that keep a photograph's class: small shifts, brightness and contrast, and mirroring where it does too."""
    augmentation = Augmentation(flip=flips)

    def change(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return augment(x, augmentation, rng)

    return change


def examples(prepared: Prepared) -> Examples:
    """Prepared images as training takes them."""
    return Examples(prepared.x, prepared.y)


def default_spec(splits: Splits, size: int | None) -> PreprocessSpec:
    """The native preprocessing of a named set, else a centred square of `size` pixels in colour (96 where None)."""
    if splits.spec and size is None:
        return splits.spec
    color = splits.spec.color if splits.spec else Color.RGB
    return PreprocessSpec(size or 96, size or 96, color=color)


def _assemble(encoder: keras.Model, prototypes: Prototypes, similarity: Similarity, head: keras.Model) -> keras.Model:
    compare = PrototypeSimilarity(list(prototypes.labels), similarity.value, name="similarity")
    image = keras.Input(encoder.input_shape[1:], dtype="uint8", name="image")
    scores = head(compare(encoder(image)))
    compare.set_weights([prototypes.vectors])
    return keras.Model(image, scores, name="classifier")


def _part(told: Told | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, planned: told(what, done, planned)) if told else None


def _epochs(told: Told | None, what: str) -> Progress | None:
    return (lambda done, planned, _: told(what, done, planned)) if told else None
