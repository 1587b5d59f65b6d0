"""Similarity of an embedding to every prototype: the features that the head classifies.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020), section 3.4,
compares an encoded image with the stored embeddings of each class by vector products; cosine and a bounded Euclidean form
stand beside the plain product here. With D the embedding's width and P the number of prototypes, the work is one
`[P, D] · [D]` product.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from .errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EPSILON", "CompiledSimilarity", "Similarity", "similarity_features"]

EPSILON = 1e-12
"""Smallest squared norm that is divided by: a zero vector is similar to nothing (cosine 0), never NaN."""


class Similarity(str, Enum):
    """How an embedding e is compared with a prototype p."""

    COSINE = "cosine"
    """e·p / (|e| |p|), in [-1, 1]."""
    DOT = "dot"
    """e·p, unbounded."""
    EUCLIDEAN = "euclidean"
    """1 / (1 + |e - p|), in (0, 1]."""


def similarity_features(
    embeddings: NDArray[np.float32], prototypes: NDArray[np.float32], measure: Similarity
) -> NDArray[np.float32]:
    """Similarities of many embeddings to all prototypes.

    Args:
        embeddings: `float32 [N, D]`.
        prototypes: `float32 [P, D]`.
        measure: How two vectors are compared.

    Returns:
        `float32 [N, P]`.

    Raises:
        UsageError: The widths differ.
    """
    compiled = CompiledSimilarity(prototypes, measure)
    if embeddings.ndim != 2 or embeddings.shape[1] != prototypes.shape[1]:
        raise UsageError(
            f"Embeddings must be [N, {prototypes.shape[1]}], as wide as the prototypes. "
            f"Received: {list(embeddings.shape)}. Use the encoder that the prototypes were built with."
        )
    features = np.empty((len(embeddings), len(prototypes)), np.float32)
    for embedding, row in zip(embeddings, features, strict=True):
        compiled.into(embedding, row)
    return features


class CompiledSimilarity:
    """The comparison with a fixed table of prototypes, all that does not depend on the embedding done beforehand.

    Args:
        prototypes: `float32 [P, D]`.
        measure: How two vectors are compared.

    Raises:
        UsageError: The table is not a finite two-dimensional float array with at least one row and column.
    """

    def __init__(self, prototypes: NDArray[np.float32], measure: Similarity) -> None:
        if prototypes.ndim != 2 or prototypes.size == 0 or not np.isfinite(prototypes).all():
            raise UsageError(
                "Prototypes must be a finite float32 [P, D] table with P and D at least 1. "
                f"Received: {prototypes.dtype} {list(prototypes.shape)}. Build them again."
            )
        table = np.ascontiguousarray(prototypes, dtype=np.float32)
        if measure is Similarity.COSINE:
            table = table / np.sqrt(np.maximum((table * table).sum(axis=1, keepdims=True), np.float32(EPSILON)))
        self.width = int(table.shape[1])
        self._table = table
        self._squares = (table * table).sum(axis=1)
        self._finish = {
            Similarity.COSINE: self._finish_cosine,
            Similarity.DOT: self._finish_dot,
            Similarity.EUCLIDEAN: self._finish_euclidean,
        }[measure]

    def into(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Compare one embedding with every prototype.

        Args:
            embedding: `float32 [D]`.
            out: `float32 [P]`, C-contiguous; every element is written.
        """
        np.dot(self._table, embedding, out=out)
        self._finish(embedding, out)

    @staticmethod
    def _finish_cosine(embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        out *= 1.0 / max(float(embedding.dot(embedding)), EPSILON) ** 0.5

    @staticmethod
    def _finish_dot(_embedding: NDArray[np.float32], _out: NDArray[np.float32]) -> None:
        return

    def _finish_euclidean(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        # |e - p|² = |p|² - 2 e·p + |e|², from products that are there already; rounding may leave it just below zero.
        out *= -2.0
        out += self._squares
        out += float(embedding.dot(embedding))
        np.maximum(out, 0.0, out=out)
        np.sqrt(out, out=out)
        out += 1.0
        np.reciprocal(out, out=out)
