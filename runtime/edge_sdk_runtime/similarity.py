"""Similarity of an embedding to every prototype: the features that the head classifies.

Choudhury, Mehrotra, Vanusha, "Imageem: Pre-Trained Encoded Vector Embeddings for Image Modelling" (2020), section 3.4,
compares an encoded image with the stored embeddings of each class by vector products; cosine, Pearson's correlation and a
bounded Euclidean form stand beside the plain product here. With D the embedding's width and P the number of prototypes, the
work is P · D multiply-accumulates.
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
"""Smallest squared norm that is divided by: a zero vector is similar to nothing (cosine 0), never NaN.

For the correlation also the share of its squared length that a vector must keep when its mean is taken away; what is left of a
constant vector below that is rounding, and it correlates with nothing (0).
"""

_BLOCK = 1 << 18
"""Numbers of the largest intermediate array when many embeddings are compared: 1 MiB, which stays in a processor's cache."""


class Similarity(str, Enum):
    """How an embedding e is compared with a prototype p."""

    COSINE = "cosine"
    """e·p / (|e| |p|), in [-1, 1]."""
    DOT = "dot"
    """e·p, unbounded."""
    EUCLIDEAN = "euclidean"
    """1 / (1 + |e - p|), in (0, 1]."""
    CORRELATION = "correlation"
    """Pearson's: the cosine of both vectors, each with its own mean taken away, in [-1, 1]."""


def similarity_features(
    embeddings: NDArray[np.float32], prototypes: NDArray[np.float32], measure: Similarity
) -> NDArray[np.float32]:
    """Similarities of many embeddings to all prototypes.

    They are compared in blocks: beside the result, memory does not grow with their number.

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
    rows = compiled.block
    for start in range(0, len(embeddings), rows):
        block = embeddings[start : start + rows].astype(np.float32, copy=False)
        compiled.rows_into(block, features[start : start + rows])
    return features


class CompiledSimilarity:
    """The comparison with a fixed table of prototypes, all that does not depend on the embedding done beforehand.

    An instance reuses its scratch memory and is therefore for one thread at a time.

    Args:
        prototypes: `float32 [P, D]`.
        measure: How two vectors are compared.

    Attributes:
        width: D, the width of the embeddings.
        block: Embeddings that `rows_into` is best given at a time: as many as keep its intermediate arrays small.

    Raises:
        UsageError: The table is not a finite two-dimensional array of numbers with at least one row and column, or there is
            no such measure.
    """

    def __init__(self, prototypes: NDArray[np.float32], measure: Similarity) -> None:
        _check(prototypes, measure)
        table = _table(prototypes, measure)
        euclidean = measure == Similarity.EUCLIDEAN
        self.width = int(table.shape[1])
        self.block = max(1, _BLOCK // (table.size if euclidean else max(table.shape)))
        self._table = table
        self._scratch = np.empty(table.shape if euclidean else self.width, np.float32)
        self._compare, self._compare_rows = {
            Similarity.COSINE: (self._cosine, self._cosine_rows),
            Similarity.DOT: (self._dot, self._dot_rows),
            Similarity.EUCLIDEAN: (self._euclidean, self._euclidean_rows),
            Similarity.CORRELATION: (self._correlation, self._correlation_rows),
        }[Similarity(measure)]

    def into(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Compare one embedding with every prototype.

        Args:
            embedding: `float32 [D]`.
            out: `float32 [P]`, C-contiguous; every element is written.
        """
        self._compare(embedding, out)

    def rows_into(self, embeddings: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Compare several embeddings with every prototype, within float32's rounding as `into` does one by one.

        Args:
            embeddings: `float32 [N, D]`.
            out: `float32 [N, P]`; every element is written.
        """
        self._compare_rows(embeddings, out)

    def _cosine(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.dot(self._table, embedding, out=out)
        out *= 1.0 / max(float(embedding.dot(embedding)), EPSILON) ** 0.5

    def _cosine_rows(self, embeddings: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.matmul(embeddings, self._table.T, out=out)
        out /= np.sqrt(np.maximum(_squares(embeddings), np.float32(EPSILON)))

    def _dot(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.dot(self._table, embedding, out=out)

    def _dot_rows(self, embeddings: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        np.matmul(embeddings, self._table.T, out=out)

    def _euclidean(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        # Not |p|² - 2 e·p + |e|²: where e is near p its terms cancel, and a vector of length 100 would be 0.95 similar to itself.
        differences = np.subtract(self._table, embedding, out=self._scratch)
        np.einsum("pd,pd->p", differences, differences, out=out)
        _as_similarities(out)

    def _euclidean_rows(self, embeddings: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        differences = self._table - embeddings[:, np.newaxis]
        np.einsum("npd,npd->np", differences, differences, out=out)
        _as_similarities(out)

    def _correlation(self, embedding: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        mean = float(np.add.reduce(embedding, dtype=np.float64)) / self.width
        centred = np.subtract(embedding, mean, out=self._scratch)
        square = float(centred.dot(centred))
        constant = square <= EPSILON * float(embedding.dot(embedding))
        np.dot(self._table, centred, out=out)
        out *= 0.0 if constant else 1.0 / max(square, EPSILON) ** 0.5

    def _correlation_rows(self, embeddings: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        self._cosine_rows(_centred(embeddings), out)


def _check(prototypes: NDArray[np.float32], measure: Similarity) -> None:
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


def _table(prototypes: NDArray[np.float32], measure: Similarity) -> NDArray[np.float32]:
    """A copy, since its owner may go on using the array, brought to the length and mean that the measure sees."""
    table = np.array(prototypes, np.float32, order="C")
    if measure == Similarity.CORRELATION:
        table = _centred(table)
    if measure in (Similarity.COSINE, Similarity.CORRELATION):
        table = table / np.sqrt(np.maximum((table * table).sum(axis=1, keepdims=True), np.float32(EPSILON)))
    return table


def _as_similarities(squares: NDArray[np.float32]) -> None:
    """Squared distances become 1 / (1 + distance), in place."""
    np.sqrt(squares, out=squares)
    squares += 1.0
    np.reciprocal(squares, out=squares)


def _centred(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows with their means taken away; zeros in the place of what rounding leaves of a constant row."""
    centred: NDArray[np.float32] = vectors - vectors.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    centred[_squares(centred)[:, 0] <= EPSILON * _squares(vectors)[:, 0]] = 0
    return centred


def _squares(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared lengths of rows, `[N, 1]`."""
    squares: NDArray[np.float32] = np.einsum("nd,nd->n", vectors, vectors)[:, np.newaxis]
    return squares
