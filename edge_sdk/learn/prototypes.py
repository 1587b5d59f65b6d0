"""Prototypes (class embeddings): a few reference vectors per class, in the place of all its images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.similarity import EPSILON, Similarity

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PrototypeMethod", "Prototypes", "build_prototypes", "class_prototypes", "in_blocks", "joined"]

_NO_DIRECTION = 1e-6
"""Prototypes of unit vectors that are shorter than this point nowhere."""


class PrototypeMethod(str, Enum):
    """How reference vectors are made of a class's embeddings."""

    MEAN = "mean"
    """Their mean: one prototype per class."""
    KMEANS = "kmeans"
    """The centres of k-means within the class."""
    MEDOIDS = "medoids"
    """Embeddings of real images, by k-medoids within the class."""


@dataclass(frozen=True)
class Prototypes:
    """Reference vectors with the class of each.

    Attributes:
        vectors: `float32 [P, D]`.
        labels: Class index of each vector, P of them.
        samples: For medoids the place of each vector among the embeddings it was chosen from, P of them; otherwise empty.
    """

    vectors: NDArray[np.float32]
    labels: tuple[int, ...]
    samples: tuple[int, ...] = field(default=())


def build_prototypes(
    embeddings: NDArray[np.float32],
    targets: NDArray[np.int64],
    per_class: int = 1,
    seed: int = 0,
    measure: Similarity = Similarity.COSINE,
    method: PrototypeMethod | None = None,
) -> Prototypes:
    """Class means, centres of k-means within each class, or medoids.

    Embeddings are brought to unit length first: cosine similarity sees nothing else, and a mean of directions must not
    be a mean of lengths; for correlation their mean is taken away before. Euclidean distances are between the embeddings as
    they are, so their prototypes are too. Where a class has fewer distinct embeddings than prototypes, some prototypes are
    equal: every class has as many as asked for.

    Args:
        embeddings: `float32 [N, D]`, finite.
        targets: Class indices from 0 without gaps, `int64 [N]`.
        per_class: Prototypes per class, 1 or more.
        seed: Of k-means and of k-medoids.
        measure: How embeddings will be compared with the prototypes.
        method: How they are made; where None, the mean for one prototype and k-means for more.

    Raises:
        DataError: `per_class` is below 1, or above 1 for the mean; a class has fewer images than prototypes; an embedding is
            not finite; or a class has no direction, since its embeddings are all zero or cancel out.
    """
    parts = []
    for label in range(int(targets.max()) + 1):
        members = np.flatnonzero(targets == label)
        own = class_prototypes(embeddings[members], label, per_class, seed, measure, method)
        samples = tuple(int(members[sample]) for sample in own.samples)
        parts.append(Prototypes(own.vectors, own.labels, samples))
    return joined(parts)


def class_prototypes(
    embeddings: NDArray[np.float32],
    label: int,
    count: int = 1,
    seed: int = 0,
    measure: Similarity = Similarity.COSINE,
    method: PrototypeMethod | None = None,
) -> Prototypes:
    """The prototypes of one class, as `build_prototypes` makes them.

    Args:
        embeddings: Of the class's images, `float32 [n, D]`, finite.
        label: Class index.
        count: Prototypes, 1 to n.
        seed: As there.
        measure: As there.
        method: As there.

    Raises:
        DataError: As there.
    """
    method = method or (PrototypeMethod.MEAN if count == 1 else PrototypeMethod.KMEANS)
    _check(embeddings, label, count, method)
    compared = _compared(embeddings, measure)
    samples: NDArray[np.int64] = np.empty(0, np.int64)
    if method is PrototypeMethod.MEDOIDS:
        samples = _medoids(compared, count, seed)
        vectors = compared[samples]
    else:
        vectors = _centres(compared, count, seed)
    if measure is not Similarity.EUCLIDEAN and np.linalg.norm(vectors, axis=1).min() < _NO_DIRECTION:
        raise DataError(
            f"A prototype must have a direction under {measure.value} similarity. Received: class {label}, where "
            f"{len(embeddings)} embeddings are all zero or cancel out. Remove blank images, or use euclidean similarity."
        )
    return Prototypes(vectors.astype(np.float32), (label,) * count, tuple(map(int, samples)))


def joined(parts: list[Prototypes]) -> Prototypes:
    """Prototypes of several classes as one table.

    Args:
        parts: At least one, of one width.
    """
    labels = tuple(label for part in parts for label in part.labels)
    samples = tuple(sample for part in parts for sample in part.samples)
    return Prototypes(np.concatenate([part.vectors for part in parts]).astype(np.float32), labels, samples)


def in_blocks(parts: list[Prototypes]) -> Prototypes:
    """Prototypes of classes that have embeddings of their own: each in its class's block of a wider vector, zero elsewhere.

    The cosine of such a vector with the unit embeddings of all classes side by side is the similarity under the class's own
    encoder, divided by the square root of the number of classes.

    Args:
        parts: One per class, in the order of the blocks.

    Returns:
        Vectors of a width that is the sum of the parts'.
    """
    ends = np.cumsum([part.vectors.shape[1] for part in parts])
    placed = []
    for part, end in zip(parts, ends, strict=True):
        wide = np.zeros((len(part.vectors), int(ends[-1])), np.float32)
        wide[:, end - part.vectors.shape[1] : end] = part.vectors
        placed.append(Prototypes(wide, part.labels, part.samples))
    return joined(placed)


def _check(embeddings: NDArray[np.float32], label: int, count: int, method: PrototypeMethod) -> None:
    if count < 1:
        raise DataError(f"Prototypes per class must be at least 1. Received: {count}. Use 1 for the class mean.")
    if count > 1 and method is PrototypeMethod.MEAN:
        raise DataError(f"A class has one mean. Received: {count} prototypes per class. Use kmeans or medoids.")
    if len(embeddings) < count:
        raise DataError(
            f"A class needs at least as many images as prototypes. Received: class {label} with {len(embeddings)} images for "
            f"{count} prototypes. Add images, or ask for fewer."
        )
    if not np.isfinite(embeddings).all():
        raise DataError(
            f"Embeddings must be finite numbers. Received: NaN or infinity in class {label}. Train the encoder again."
        )


def _compared(embeddings: NDArray[np.float32], measure: Similarity) -> NDArray[np.float32]:
    """What the measure sees of embeddings."""
    if measure is Similarity.EUCLIDEAN:
        return embeddings
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if measure is Similarity.CORRELATION:
        embeddings = embeddings - embeddings.mean(axis=1, keepdims=True)
        left = np.linalg.norm(embeddings, axis=1, keepdims=True)
        embeddings = np.where(
            left > lengths * EPSILON**0.5, embeddings, np.float32(0)
        )  # of a constant only rounding is left
        lengths = left
    return embeddings / np.maximum(lengths, 1e-12)


def _centres(members: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    if count == 1:
        mean: NDArray[np.float32] = members.mean(axis=0, keepdims=True)
        return mean
    distinct = _distinct(members)
    if len(distinct) <= count:  # each is a centre; k-means would warn that it finds no more
        return members[np.resize(distinct, count)]
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # embeddings that rounding makes equal share a centre
        centres: NDArray[np.float32] = KMeans(count, n_init=4, random_state=seed).fit(members).cluster_centers_
    return centres


def _medoids(members: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    from .medoids import k_medoids

    distinct = _distinct(members)
    return np.resize(distinct, count) if len(distinct) <= count else k_medoids(members, count, seed)


def _distinct(members: NDArray[np.float32]) -> NDArray[np.int64]:
    """Ascending indices of the first of each different row."""
    return np.sort(np.unique(members, axis=0, return_index=True)[1]).astype(np.int64)
