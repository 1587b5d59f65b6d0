"""Whole-kernel sharing: few k×k kernels for the many of a convolution, found by k-means over kernels as vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import Init

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shared_kernels"]

_ROUNDS = 100


def shared_kernels(weights: NDArray[Any], count: int, init: Init = Init.LINEAR, seed: int = 0) -> NDArray[np.float32]:
    """Replace every spatial kernel by the nearest of a few shared ones; weights that are zero stay zero.

    Kernels of nothing but zeros take no part. The one-dimensional ways to begin k-means work along the direction in which
    the kernels differ most, their first principal component, and begin at real kernels.

    Son, Nah, Lee: "Clustering Convolutional Kernels to Compress Deep Neural Networks" (ECCV 2018).

    Args:
        weights: `[…, channels, channels]`, the axes before the last two being spatial.
        count: Shared kernels, 1 or more; fewer where there are fewer different ones.
        init: Where k-means begins.
        seed: Of random observations.

    Returns:
        `float32` of the same shape.
    """
    weights = np.asarray(weights, np.float32)
    spatial = math.prod(weights.shape[:-2])
    rows = weights.reshape(spatial, -1).T
    there = (rows != 0).any(axis=1)
    shared = np.zeros_like(rows)
    if there.any():
        shared[there] = _nearest(rows[there], count, init, seed)
    return np.where(weights == 0, np.float32(0), shared.T.reshape(weights.shape))


def _nearest(rows: NDArray[np.float32], count: int, init: Init, seed: int) -> NDArray[np.float32]:
    """The shared kernel of each kernel, `[N, spatial]`."""
    different, own, weight = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    if len(different) <= count:
        return rows
    from sklearn.cluster import KMeans

    starts = different[_starts(different.astype(np.float64), count, init, seed)]
    means = KMeans(count, init=starts, n_init=1, max_iter=_ROUNDS, random_state=seed)
    labels = means.fit(different, sample_weight=weight).labels_[own.ravel()]
    return _means_of_what_is_there(rows, labels, count)[labels]


def _means_of_what_is_there(rows: NDArray[np.float32], labels: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Centroids `[count, spatial]` that leave out zeros, and are not zero where a member is not."""
    sums, sizes = np.zeros((count, rows.shape[1])), np.zeros((count, rows.shape[1]))
    np.add.at(sums, labels, rows)
    np.add.at(sizes, labels, rows != 0)
    means = (sums / np.maximum(sizes, 1)).astype(np.float32)
    least = rows[rows != 0][np.abs(rows[rows != 0]).argmin()]
    return np.where((means == 0) & (sizes > 0), least, means)


def _starts(rows: NDArray[np.float64], count: int, init: Init, seed: int) -> NDArray[np.int64]:
    """Which kernels k-means begins at, `count` different ones."""
    if init is Init.FORGY:
        return np.random.default_rng(seed).choice(len(rows), count, replace=False)
    along = _first_component(rows)
    if init is Init.DENSITY:
        return np.argsort(along, kind="stable")[((np.arange(count) + 0.5) / count * len(rows)).astype(np.int64)]
    chosen = []
    for step in np.linspace(along.min(), along.max(), count):
        chosen.append(int(np.abs(along - step).argmin()))
        along[chosen[-1]] = np.inf
    return np.array(chosen)


def _first_component(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where every kernel lies along the direction of the greatest variance, `[N]`."""
    centred = rows - rows.mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    # An eigenvector's sign is the library's choice; the order of clusters must not depend on it.
    return np.asarray(centred @ (direction * np.sign(direction[np.abs(direction).argmax()])))
