"""The samples nearest to the centres of k-means: typical ones, from every region that is populated.

Mini-batch k-means of Sculley, "Web-Scale K-Means Clustering" (WWW 2010), as scikit-learn has it. With as many centres as samples
are wanted, each gives its nearest one; where there are fewer, or some are empty, each gives its second nearest, and so on.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from .base import Told

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["nearest_to_centres"]

_MOST_CENTRES = 4096
_BATCH = 4096
_EPOCHS = 10
_TRIED = 4
"""Vectors among which the first centres are looked for, as a multiple of the centres."""
_ROWS_AT_ONCE = 4096


def nearest_to_centres(
    vectors: NDArray[np.float32], k: int, told: Told | None = None, *, centres: int | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Choose the vectors nearest to centres.

    Args:
        vectors: `float32 [N, D]`.
        k: How many, 1 to N.
        told: Told how many passes over the vectors are done.
        centres: How many centres; None for k, at most 4,096.
        seed: Of the first centres and the batches.

    Returns:
        `int64 [k]`, different positions: the nearest of every centre first, by the size of the clusters.
    """
    fitted = _fit(vectors, min(k, centres or _MOST_CENTRES), seed, told)
    owners, distances = _assigned(vectors, fitted)
    order = np.lexsort((np.arange(len(vectors)), distances, owners))
    sizes = np.bincount(owners, minlength=len(fitted))
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(len(vectors)) - starts[owners[order]]
    in_turn = np.lexsort((owners[order], -sizes[owners[order]], ranks))
    return order[in_turn][:k].astype(np.int64, copy=False)


def _fit(vectors: NDArray[np.float32], centres: int, seed: int, told: Told | None) -> NDArray[np.float32]:
    """Centres `[centres, D]`, after several passes in mini-batches of shuffled vectors."""
    from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(seed)
    few = vectors[np.sort(rng.choice(len(vectors), min(len(vectors), _TRIED * centres), replace=False))]
    first, _ = kmeans_plusplus(few, centres, random_state=seed, n_local_trials=2)
    model = MiniBatchKMeans(centres, init=first, n_init=1, reassignment_ratio=0.0, random_state=seed)
    batch = max(_BATCH, centres)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than centres: some stay empty
        for epoch in range(_EPOCHS):
            order = rng.permutation(len(vectors))
            for start in range(0, len(order), batch):
                some = order[start : start + batch]
                if start and len(some) < centres:
                    continue  # scikit-learn refuses fewer vectors than centres; the next pass brings others
                model.partial_fit(vectors[some])
            if told is not None:
                told(epoch + 1, _EPOCHS)
    fitted: NDArray[np.float32] = model.cluster_centers_.astype(np.float32, copy=False)
    return fitted


def _assigned(
    vectors: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Nearest centre of each vector, the lower of equals, and the square of its distance but for what is the same for all."""
    owners, distances = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    lengths = np.einsum("ij,ij->i", centres, centres)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        squares = lengths - 2 * vectors[rows] @ centres.T
        owners[rows] = squares.argmin(axis=1)
        differences = vectors[rows] - centres[owners[rows]]
        distances[rows] = np.einsum("ij,ij->i", differences, differences)
    return owners, distances
