"""What embeddings say about each other: nearest neighbours, and tables put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.similarity import Similarity, similarity_features

from ..errors import DataError
from .embedding_files import EmbeddingTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Duplicates", "Neighbour", "merge_tables", "most_alike", "nearest"]

_BLOCK = 1 << 16
"""Vectors compared at once, so that scratch memory does not grow with the table."""


class Duplicates(str, Enum):
    """What becomes of a label that several tables have."""

    APPEND = "append"
    """It keeps the vectors of all, those of earlier tables first; a vector that it has already is left out."""
    FIRST = "first"
    """It keeps those of the first table that has it."""
    LAST = "last"
    """It keeps those of the last table that has it."""
    REFUSE = "refuse"
    """The tables are not put together."""


@dataclass(frozen=True)
class Neighbour:
    """A vector of a table that is near to a query.

    Attributes:
        label: Its label.
        index: Its number within the label.
        similarity: To the query, by the measure asked for.
    """

    label: str
    index: int
    similarity: float


def nearest(
    table: EmbeddingTable, query: NDArray[np.float32], count: int = 5, measure: Similarity = Similarity.COSINE
) -> tuple[Neighbour, ...]:
    """The vectors most similar to a query, the most similar first; of equal ones the first in the table.

    Args:
        table: What to search.
        query: `float32 [D]`, finite.
        count: Most neighbours to give, 1 or more.
        measure: How two vectors are compared.

    Raises:
        DataError: The query is not as wide as the table, or not finite, or `count` is below 1.
    """
    if query.shape != (table.width,) or not np.isfinite(query).all() or count < 1:
        raise DataError(
            f"A query must be {table.width} finite numbers, as wide as the table, and ask for at least 1 neighbour. "
            f"Received: {list(query.shape)} for {count}. Embed it with the encoder that the table was built with."
        )
    similarities = np.concatenate(
        [
            similarity_features(query[None].astype(np.float32), table.vectors[start : start + _BLOCK], measure)[0]
            for start in range(0, len(table), _BLOCK)
        ]
    )
    indices = table.indices
    order = np.argsort(-similarities, kind="stable")[:count]
    return tuple(Neighbour(table.labels[place], indices[place], float(similarities[place])) for place in order)


def most_alike(table: EmbeddingTable, measure: Similarity = Similarity.COSINE) -> dict[str, tuple[str, float]]:
    """For each label the other label whose mean is most similar to its own, and how similar; nothing for a label alone.

    Args:
        table: Vectors of a few thousand labels at most: every label is compared with every other.
        measure: How two means are compared.
    """
    means = {label: np.mean(vectors, axis=0) for label, vectors in _by_label(table).items()}
    if len(means) < 2:
        return {}
    labels, vectors = list(means), np.stack(list(means.values()))
    similarities = similarity_features(vectors, vectors, measure)
    np.fill_diagonal(similarities, -np.inf)
    best = similarities.argmax(axis=1)
    return {
        label: (labels[other], float(similarities[place, other]))
        for place, (label, other) in enumerate(zip(labels, best, strict=True))
    }


def merge_tables(tables: Sequence[EmbeddingTable], duplicates: Duplicates = Duplicates.APPEND) -> EmbeddingTable:
    """Put tables together: labels in order of first appearance, the vectors of a label one after the other.

    Args:
        tables: At least one, of one width.
        duplicates: What becomes of a label that several have.

    Raises:
        DataError: Their widths differ, or they share a label and `duplicates` refuses that.
    """
    widths = [table.width for table in tables]
    if len(set(widths)) != 1:
        raise DataError(
            f"Embeddings can be put together where they have one width. Received: {', '.join(map(str, widths)) or 'nothing'}. "
            "Build them with the same encoder."
        )
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for table in tables:
        for label, vectors in _by_label(table).items():
            rows[label] = _together(label, rows.get(label), vectors, duplicates)
    labels = tuple(label for label, vectors in rows.items() for _ in vectors)
    return EmbeddingTable(labels, np.stack([vector for vectors in rows.values() for vector in vectors]))


def _by_label(table: EmbeddingTable) -> dict[str, list[NDArray[np.float32]]]:
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for label, vector in zip(table.labels, table.vectors, strict=True):
        rows.setdefault(label, []).append(vector)
    return rows


def _together(
    label: str,
    known: list[NDArray[np.float32]] | None,
    others: list[NDArray[np.float32]],
    duplicates: Duplicates,
) -> list[NDArray[np.float32]]:
    if known is None or duplicates is Duplicates.LAST:
        return others
    if duplicates is Duplicates.REFUSE:
        raise DataError(
            f"Embeddings must not share labels where duplicates are refused. Received: {label!r} twice. "
            "Rename it in one file, or choose append, first or last."
        )
    if duplicates is Duplicates.FIRST:
        return known
    have = {vector.tobytes() for vector in known}
    return known + [vector for vector in others if vector.tobytes() not in have]
