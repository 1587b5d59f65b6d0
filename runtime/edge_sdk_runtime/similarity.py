"""Similarity of an embedding to every prototype: the features that the head classifies.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020), section 3.4,
compares an encoded image with the stored embeddings of each class by vector products; cosine and a bounded Euclidean form
stand beside the plain product here. With D the embedding's width and P the number of prototypes, the work is P · D
multiply-accumulates.
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
        UsageError: The widths differ, or the prototypes are not what `CompiledSimilarity` takes.
    """
    compiled = CompiledSimilarity(prototypes, measure)
    if embeddings.ndim != 2 or embeddings.shape[1] != prototypes.shape[1]:
        raise UsageError(
            f"Embeddings must be [N, {prototypes.shape[1]}], as wide as the prototypes. "
            f"Received: {list(embeddings.shape)}. Use the encoder that the prototypes were built with."
        )
    features = np.empty((len(embeddings), len(prototypes)), np.float32)
    for embedding, row in zip(embeddings.astype(np.float32, copy=False), features, strict=True):
        compiled.into(embedding, row)
    return features


class CompiledSimilarity:
    """The comparison with a fixed table of prototypes, all that does not depend on the embedding done beforehand.

    An instance reuses its scratch memory and is therefore for one thread at a time.

    Args:
        prototypes: `float32 [P, D]`.
        measure: How two vectors are compared.

    Raises:
        UsageError: The table is not a finite two-dimensional array of numbers with at least one row and column, or there is
            no such measure.
    """

    def __init__(self, prototypes: NDArray[np.float32], measure: Similarity) -> None:
        if measure not in list(Similarity):
            raise UsageError(
                f"measure must be one of {', '.join(repr(known.value) for known in Similarity)}. "
                f"Received: {measure!r}. Choose one of them."
            )
        if prototypes.ndim != 2 or prototypes.size == 0 or not np.isfinite(prototypes).all():
            raise UsageError(
                "Prototypes must be a finite float32 [P, D] table with P and D at least 1. "
                f"Received: {prototypes.dtype} {list(prototypes.shape)}. Build them again."
            )
        table = np.array(prototypes, np.float32, order="C")  # a copy: its owner may go on using the array
        if measure == Similarity.COSINE:
            table = table / np.sqrt(np.maximum((table * table).sum(axis=1, keepdims=True), np.float32(EPSILON)))
        self.width = int(table.shape[1])
        self._table = table
        self._differences = np.empty_like(table) if measure == Similarity.EUCLIDEAN else None
        self._compare = {
            Similarity.COSINE: self._cosine,
            Similarity.DOT: self._dot,
            Similarity.EUCLIDEAN: self._euclidean,
        }[Similarity(measure)]

    def into(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Compare one embedding with every prototype.

        Args:
            embedding: `float32 [D]`.
            out: `float32 [P]`, C-contiguous; every element is written.
        """
        self._compare(embedding, out)

    def _cosine(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.dot(self._table, embedding, out=out)
        out *= 1.0 / max(float(embedding.dot(embedding)), EPSILON) ** 0.5

    def _dot(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.dot(self._table, embedding, out=out)

    def _euclidean(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        # Not |p|² - 2 e·p + |e|²: where e is near p its terms cancel, and a vector of length 100 would be 0.95 similar to itself.
        differences = np.subtract(self._table, embedding, out=self._differences)
        np.einsum("pd,pd->p", differences, differences, out=out)
        np.sqrt(out, out=out)
        out += 1.0
        np.reciprocal(out, out=out)
