"""A classifier on somebody else's encoder: nothing is learnt but the head, on similarity to class embeddings.

The embeddings are those of one's own classes, or a table that came with the encoder: the vectors of other classes describe an
image too, and the head learns what similarity to a lynx says about a cat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_converters.graph import flatten
from edge_sdk_converters.keras_file import ModelCard, load_keras
from edge_sdk_converters.stages import has_stages, split_stages
from edge_sdk_runtime.preprocess import PreprocessSpec
from edge_sdk_runtime.similarity import Similarity, similarity_features

from ..data import Splits, prepare
from ..errors import DataError
from .embedding_files import EmbeddingTable
from .prototypes import PrototypeMethod, Prototypes
from .staging import Embedded, staged_classifier
from .train import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KnownEncoder", "PrototypePlan", "class_table", "load_encoder", "table_prototypes", "train_on_encoder"]

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class KnownEncoder:
    """An encoder that is trained already.

    Attributes:
        encoder: `uint8 [batch, H, W, C]` → `float32 [batch, D]`.
        card: What travels with its model: preprocessing, and how the images it learnt from were split.
        similarity: How its embeddings are compared.
    """

    encoder: keras.Model
    card: ModelCard
    similarity: Similarity

    @property
    def width(self) -> int:
        """Numbers of an embedding, D."""
        return int(self.encoder.output_shape[-1])

    @property
    def spec(self) -> PreprocessSpec:
        """What is done to an image before it sees it."""
        return self.card.preprocess


@dataclass(frozen=True)
class PrototypePlan:
    """How class embeddings are made.

    Attributes:
        per_class: Vectors per class.
        method: Mean, k-means or medoids; where None, the mean for one per class and k-means for more.
        seed: Of k-means and k-medoids.
    """

    per_class: int = 1
    method: PrototypeMethod | None = None
    seed: int = 0


def load_encoder(path: str | Path) -> KnownEncoder:
    """Take the encoder out of a classifier that `edge-sdk train` wrote.

    Args:
        path: Its `.keras` file.

    Raises:
        DataError: The file holds a model without stages, or says nothing of preprocessing.
        ModelError: The file holds no Keras model.
    """
    model, card = load_keras(path)
    flat = flatten(model) if card else model
    if card is None or not has_stages(flat):
        raise DataError(
            "An encoder must come from a classifier that compares embeddings with prototypes, with its card. "
            f"Received: {path} without {'a card' if card is None else 'such a comparison'}. Train one with edge-sdk train."
        )
    stages = split_stages(flat)
    return KnownEncoder(stages.encoder, card, stages.similarity)


def class_table(known: KnownEncoder, splits: Splits, plan: PrototypePlan, told: Told | None = None) -> EmbeddingTable:
    """Class embeddings of labelled images, to be handed out.

    Args:
        known: The encoder.
        splits: Labelled images; only the training images are embedded, so that the others can still be measured on.
        plan: How many vectors, and how they are made.
        told: Told what is being done.

    Raises:
        DataError: A class has fewer images than vectors, or no direction.
    """
    progress = partial(told, "images") if told else None
    embedded = Embedded(known.encoder, prepare(splits.train, known.spec, progress))
    prototypes = embedded.prototypes(plan.per_class, plan.seed, known.similarity, plan.method)
    return EmbeddingTable(tuple(splits.labels[label] for label in prototypes.labels), prototypes.vectors)


def train_on_encoder(
    known: KnownEncoder,
    splits: Splits,
    plan: PrototypePlan,
    *,
    table: EmbeddingTable | None = None,
    told: Told | None = None,
) -> Trained:
    """Train a head on similarity to class embeddings; the encoder stays as it is.

    Args:
        known: The encoder, with its own preprocessing.
        splits: Labelled images; the test part is not looked at.
        plan: How prototypes are made where there is no table; its seed is the head's too.
        table: Vectors to compare with in the place of prototypes of these images; its labels need not be theirs.
        told: Told what is being done.

    Raises:
        DataError: The table is not as wide as the encoder's embeddings, or the images cannot be learnt from.
    """
    if table is not None and table.width != known.width:
        raise DataError(
            f"Class embeddings must be as wide as the encoder's, {known.width}. Received: {table.width}. "
            "Use the file that was built with this encoder."
        )
    keras.utils.set_random_seed(plan.seed)
    progress = partial(told, "images") if told else None
    train, validation = (prepare(part, known.spec, progress) for part in (splits.train, splits.validation))
    embedded, held_out = (Embedded(known.encoder, part) for part in (train, validation))
    own = embedded.prototypes(
        1 if table else plan.per_class, plan.seed, known.similarity, None if table else plan.method
    )
    prototypes = table_prototypes(table, own, splits.labels, known.similarity) if table else own
    model = staged_classifier(
        embedded, held_out, prototypes, known.similarity, seed=plan.seed, progress=_epochs(told) if told else None
    )
    card = ModelCard(splits.labels, known.spec, splits.name, splits.seed, splits.flips, splits.limit)
    return Trained(model, card, train, validation)


def table_prototypes(
    table: EmbeddingTable, means: Prototypes, labels: tuple[str, ...], measure: Similarity
) -> Prototypes:
    """The vectors of a table as prototypes: each of the class of its label, else of the class whose mean is most like it.

    Args:
        table: The vectors.
        means: One prototype per class, in the order of the labels.
        labels: Class names.
        measure: How two vectors are compared.
    """
    nearest: NDArray[np.int64] = similarity_features(table.vectors, means.vectors, measure).argmax(axis=1)
    known = {label: index for index, label in enumerate(labels)}
    classes = (known.get(label, int(near)) for label, near in zip(table.labels, nearest, strict=True))
    return Prototypes(table.vectors, tuple(classes))


def _epochs(told: Told) -> Callable[[int, int, dict[str, float]], None]:
    return lambda done, planned, _: told("head", done, planned)
