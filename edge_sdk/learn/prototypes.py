"""Prototypes (class embeddings): a few reference vectors per class, in the place of all its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime import Similarity

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Prototypes", "build_prototypes"]


@dataclass(frozen=True)
class Prototypes:
    """Reference vectors with the class of each.

    Attributes:
        vectors: `float32 [P, D]`.
        labels: Class index of each vector, P of them.
    """

    vectors: NDArray[np.float32]
    labels: tuple[int, ...]


def build_prototypes(
    embeddings: NDArray[np.float32],
    targets: NDArray[np.int64],
    per_class: int = 1,
    seed: int = 0,
    measure: Similarity = Similarity.COSINE,
) -> Prototypes:
    """Class means, or the centres of k-means within each class.

    Embeddings are brought to unit length first: cosine similarity sees nothing else, and a mean of directions must not
    be a mean of lengths. Euclidean distances are between the embeddings as they are, so their prototypes are too.

    Args:
        embeddings: `float32 [N, D]`.
        targets: Class indices from 0 without gaps, `int64 [N]`.
        per_class: Prototypes per class, 1 or more: 1 gives the mean.
        seed: Of k-means.
        measure: How embeddings will be compared with the prototypes.

    Raises:
        DataError: `per_class` is below 1, or a class has fewer images than prototypes.
    """
    if per_class < 1:
        raise DataError(f"Prototypes per class must be at least 1. Received: {per_class}. Use 1 for the class mean.")
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    compared = embeddings if measure is Similarity.EUCLIDEAN else embeddings / np.maximum(lengths, 1e-12)
    vectors, labels = [], []
    for label in range(int(targets.max()) + 1):
        members = compared[targets == label]
        if len(members) < per_class:
            raise DataError(
                f"A class needs at least as many images as prototypes. Received: class {label} with {len(members)} images for "
                f"{per_class} prototypes. Add images, or ask for fewer."
            )
        vectors.append(_centres(members, per_class, seed))
        labels += [label] * per_class
    return Prototypes(np.concatenate(vectors).astype(np.float32), tuple(labels))


def _centres(members: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    if count == 1:
        mean: NDArray[np.float32] = members.mean(axis=0, keepdims=True)
        return mean
    from sklearn.cluster import KMeans

    centres: NDArray[np.float32] = KMeans(count, n_init=4, random_state=seed).fit(members).cluster_centers_
    return centres
