"""From an encoder to a classifier: prototypes of its embeddings, similarity features, a head, and all of it as one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_converters.training import Examples, Progress, predict
from edge_sdk_runtime.similarity import Similarity, similarity_features

from .head import build_head, train_head
from .prototypes import PrototypeMethod, Prototypes, build_prototypes, class_prototypes, joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data import Prepared

__all__ = ["Embedded", "staged_classifier"]

_AT_ONCE_BYTES = 512 * 2**20
"""Embeddings that all together take more than this are made in parts and not kept."""


class Embedded:
    """The embeddings of labelled images: kept where they fit in memory, else made anew when they are needed.

    Args:
        encoder: Image → embedding `[batch, D]`.
        images: What is embedded.
    """

    def __init__(self, encoder: keras.Model, images: Prepared) -> None:
        self.encoder, self.images = encoder, images
        self._rows = max(1, _AT_ONCE_BYTES // (4 * int(encoder.output_shape[-1])))
        self._kept = predict(encoder, images.x) if len(images) <= self._rows else None

    def of_class(self, label: int) -> NDArray[np.float32]:
        """Embeddings of one class, `float32 [n, D]`."""
        members = self.images.y == label
        if self._kept is not None:
            return self._kept[members]
        width = int(self.encoder.output_shape[-1])
        return predict(self.encoder, self.images.x[members]) if members.any() else np.empty((0, width), np.float32)

    def prototypes(
        self, per_class: int, seed: int, measure: Similarity, method: PrototypeMethod | None = None
    ) -> Prototypes:
        """Prototypes of every class, as `build_prototypes` makes them."""
        if self._kept is not None:
            return build_prototypes(self._kept, self.images.y, per_class, seed, measure, method)
        labels = range(len(self.images.labels))
        return joined(
            [class_prototypes(self.of_class(label), label, per_class, seed, measure, method) for label in labels]
        )

    def features(self, vectors: NDArray[np.float32], measure: Similarity) -> NDArray[np.float32]:
        """Similarities of every image to every vector, `float32 [N, P]`."""
        if self._kept is not None:
            return similarity_features(self._kept, vectors, measure)
        parts = (self.images.x[start : start + self._rows] for start in range(0, len(self.images), self._rows))
        return np.concatenate([similarity_features(predict(self.encoder, part), vectors, measure) for part in parts])


def staged_classifier(
    train: Embedded,
    validation: Embedded,
    prototypes: Prototypes,
    measure: Similarity,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> keras.Model:
    """Train a head on similarity features, and put encoder, prototypes and head together.

    Args:
        train: What the head learns from; its encoder becomes the classifier's.
        validation: Decides which of the head's weights are kept.
        prototypes: What embeddings are compared with.
        measure: How.
        seed: Of the head's training.
        progress: Told after every epoch of the head.

    Returns:
        `uint8 [batch, H, W, C]` → probabilities, with encoder, similarity and head as nested parts.
    """
    head = build_head(len(prototypes.labels), len(train.images.labels))
    learnt, held_out = (part.features(prototypes.vectors, measure) for part in (train, validation))
    train_head(head, Examples(learnt, train.images.y), Examples(held_out, validation.images.y), seed, progress)
    return _assembled(train.encoder, prototypes, measure, head)


def _assembled(encoder: keras.Model, prototypes: Prototypes, measure: Similarity, head: keras.Model) -> keras.Model:
    compare = PrototypeSimilarity(list(prototypes.labels), measure.value, name="similarity")
    image = keras.Input(encoder.input_shape[1:], dtype="uint8", name="image")
    scores = head(compare(encoder(image)))
    compare.set_weights([prototypes.vectors])
    return keras.Model(image, scores, name="classifier")
