"""From labelled images to a staged classifier: encoder, prototypes, similarity features, head, in that order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import keras

from edge_sdk_converters.keras_file import ModelCard
from edge_sdk_converters.steps import steps_per_epoch
from edge_sdk_converters.training import Augment, Examples, FitConfig, Progress
from edge_sdk_runtime import Color, PreprocessSpec, Similarity

from ..data import Prepared, Splits, prepare
from ..errors import DataError
from .augment import Augmentation, augment
from .autoencoder import Autoencoder, AutoencoderConfig
from .autoencoder_layouts import layout_named
from .backbone import encoder_from
from .code_encoder import code_encoder, code_prototypes, train_autoencoders
from .detail import check_detail, with_detail
from .encoder import build_encoder, flattened_encoder
from .kinds import EncoderKind, Weights
from .prototypes import PrototypeMethod, Prototypes
from .similarity_encoder import CosineMargin, train_encoder
from .staging import Embedded, staged_classifier
from .two_phase import FirstPhase

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
        epochs: Passes of the encoder over the training images, at most that many for autoencoders; None chooses by their number.
        learning_rate: Adam's, at the start.
        embedding: Width of the embedding; of each class's code for autoencoders whose layout leaves it open.
        width: Filters of the encoder's first stage, for the SDK's own network.
        prototypes: Prototypes per class.
        similarity: How embeddings and prototypes are compared; cosine for the codes of autoencoders.
        seed: Of everything random.
        encoder: Where embeddings come from.
        backbone: A network of keras.applications in the place of the SDK's own; None for that one.
        weights: What the backbone begins with.
        layout: Of autoencoders: "auto", or the name of a published one.
        method: How prototypes are made; where None, the mean for one per class and k-means for more.
        margin: Scale and margin of the learned encoder's loss.
        first: Training images that the learned encoder begins with; None for all of them from the beginning.
        detail: Principal components of a middle layer that stand beside the learned embedding, for a classifier that a device will
            be taught more classes; 0 for none. See `with_detail`.

    Raises:
        DataError: A choice has no meaning beside another.
    """

    epochs: int | None = None
    learning_rate: float = 2e-3
    embedding: int = 64
    width: int = 24
    prototypes: int = 1
    similarity: Similarity = Similarity.COSINE
    seed: int = 0
    encoder: EncoderKind = EncoderKind.LEARNED
    backbone: str | None = None
    weights: Weights = Weights.NONE
    layout: str = "auto"
    method: PrototypeMethod | None = None
    margin: CosineMargin = field(default_factory=CosineMargin)
    first: FirstPhase | None = None
    detail: int = 0

    def __post_init__(self) -> None:
        idle = {
            "backbone": self.backbone is not None and self.encoder is not EncoderKind.LEARNED,
            "weights": self.weights is not Weights.NONE and self.backbone is None,
            "first": self.first is not None and self.encoder is not EncoderKind.LEARNED,
            "detail": self.detail != 0 and self.encoder is not EncoderKind.LEARNED,
            "layout": self.layout != "auto" and self.encoder is not EncoderKind.AUTOENCODER,
            "similarity": self.similarity is not Similarity.COSINE and self.encoder is EncoderKind.AUTOENCODER,
        }
        for name in (each for each, meaningless in idle.items() if meaningless):
            raise DataError(
                "backbone, first and detail are for the learned encoder, weights for a backbone, layout for autoencoders, whose codes "
                f"are compared by cosine similarity. Received: {name}={getattr(self, name)!s} with the {self.encoder.value} encoder. "
                "Leave it out."
            )

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
        autoencoders: One per class, where embeddings are their codes.
    """

    model: keras.Model
    card: ModelCard
    train: Prepared
    validation: Prepared
    autoencoders: tuple[Autoencoder, ...] = ()


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
    learnt = _LEARN[config.encoder](train, validation, spec, config, splits.flips, told)
    embedded, held_out = (Embedded(learnt.encoder, part) for part in (train, validation))
    prototypes = learnt.prototypes or embedded.prototypes(
        config.prototypes, config.seed, config.similarity, config.method
    )
    progress = _epochs(told, "head")
    model = staged_classifier(embedded, held_out, prototypes, config.similarity, seed=config.seed, progress=progress)
    card = ModelCard(splits.labels, spec, splits.name, splits.seed, splits.flips, splits.limit)
    return Trained(model, card, train, validation, learnt.autoencoders)


@dataclass(frozen=True)
class _Learnt:
    """An encoder, and what else came of learning it; prototypes only where they are not those of its embeddings."""

    encoder: keras.Model
    prototypes: Prototypes | None = None
    autoencoders: tuple[Autoencoder, ...] = ()


def _similarity(
    train: Prepared, validation: Prepared, spec: PreprocessSpec, config: TrainConfig, flips: bool, told: Told | None
) -> _Learnt:
    if config.backbone is None:
        encoder = build_encoder(spec, embedding=config.embedding, width=config.width)
    else:
        encoder = encoder_from(config.backbone, spec, embedding=config.embedding, weights=config.weights)
    if config.detail:
        check_detail(encoder, len(train), config.detail)
    fit_config = FitConfig(config.epochs_for(len(train)), config.learning_rate, _BATCH, seed=config.seed)
    train_encoder(
        encoder,
        examples(train),
        examples(validation),
        len(train.labels),
        fit_config,
        margin=config.margin,
        augment=augmentation_for(flips),
        progress=_epochs(told, "encoder"),
        first=config.first,
    )
    return _Learnt(with_detail(encoder, train.x, width=config.detail, seed=config.seed) if config.detail else encoder)


def _codes(
    train: Prepared, validation: Prepared, spec: PreprocessSpec, config: TrainConfig, flips: bool, told: Told | None
) -> _Learnt:
    del flips  # a mirrored image would be another target
    layout = layout_named(config.layout, spec, config.embedding)
    own = AutoencoderConfig(layout, config.epochs_for(len(train)), learning_rate=1e-3, seed=config.seed)
    autoencoders = train_autoencoders(train, validation, [own] * len(train.labels), told)
    encoders = [autoencoder.encoder for autoencoder in autoencoders]
    prototypes = code_prototypes(encoders, train, config.prototypes, config.seed, config.method)
    return _Learnt(code_encoder(encoders), prototypes, autoencoders)


def _flattened(
    train: Prepared, validation: Prepared, spec: PreprocessSpec, config: TrainConfig, flips: bool, told: Told | None
) -> _Learnt:
    del train, validation, config, flips, told  # there is nothing to learn
    return _Learnt(flattened_encoder(spec))


_LEARN = {EncoderKind.LEARNED: _similarity, EncoderKind.AUTOENCODER: _codes, EncoderKind.FLATTENED: _flattened}


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


def _part(told: Told | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, planned: told(what, done, planned)) if told else None


def _epochs(told: Told | None, what: str) -> Progress | None:
    return (lambda done, planned, _: told(what, done, planned)) if told else None
