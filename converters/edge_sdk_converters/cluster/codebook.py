"""Few values for many: k-means over the weights of a tensor, in one dimension and therefore exact and quick.

Lloyd's algorithm needs no distances where points lie on a line: sorted once, the clusters are runs between the midpoints of
neighbouring values, and running sums give their means. An iteration costs a search per value instead of one per weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .config import Init

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["binary_values", "codebook", "shared_values"]

_ROUNDS = 300
"""Most iterations; of weights it takes tens."""


def shared_values(weights: NDArray[Any], count: int, init: Init = Init.LINEAR, seed: int = 0) -> NDArray[np.float32]:
    """Replace every weight by the nearest of a few shared values; zeros stay zero.

    Args:
        weights: Of any shape, floating point and finite.
        count: Shared values beside zero, 1 or more; fewer where there are fewer different weights.
        init: Where k-means begins.
        seed: Of random observations.

    Returns:
        `float32` of the same shape with at most `count` different values beside zero.
    """
    flat = np.asarray(weights, np.float32).ravel()
    there = flat != 0
    values = codebook(flat[there], count, init, seed)
    result = np.zeros_like(flat)
    if len(values):
        result[there] = values[np.searchsorted(_midpoints(values), flat[there])]
    return result.reshape(np.shape(weights))


def binary_values(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Replace every weight by ±a of its sign, a being their mean magnitude; zeros stay zero.

    Of all a, this one has the least squared error (Rastegari et al., "XNOR-Net", arXiv 1603.05279, section 3.1).

    Args:
        weights: Of any shape.
    """
    magnitudes = np.abs(np.asarray(weights, np.float64))
    there = magnitudes != 0
    mean = np.float32(magnitudes[there].mean()) if there.any() else np.float32(0)
    return np.where(there, np.copysign(mean, weights), 0).astype(np.float32)


def codebook(values: NDArray[Any], count: int, init: Init = Init.LINEAR, seed: int = 0) -> NDArray[np.float32]:
    """The shared values of a set of weights, by k-means.

    Args:
        values: Weights without zeros, `[N]`.
        count: Shared values, 1 or more; fewer come back where there are fewer different weights.
        init: Where k-means begins.
        seed: Of random observations.

    Returns:
        `float32`, ascending, none of them zero.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    different = np.unique(ordered)
    if len(different) <= count:
        return different.astype(np.float32)
    found = _lloyd(ordered, _starts(ordered, different, count, init, seed))
    return np.unique(_without_zero(found, different).astype(np.float32))


def _starts(
    ordered: NDArray[np.float64], different: NDArray[np.float64], count: int, init: Init, seed: int
) -> NDArray[np.float64]:
    """Where k-means begins, ascending."""
    if init is Init.FORGY:
        return np.sort(np.random.default_rng(seed).choice(different, count, replace=False))
    if init is Init.LINEAR:
        return np.linspace(ordered[0], ordered[-1], count)
    steps = (np.arange(count) + 0.5) / count
    return np.asarray(ordered[(steps * len(ordered)).astype(np.int64)])


def _lloyd(ordered: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Assign and average until nothing changes."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(ordered, _midpoints(centroids), side="right"), [len(ordered)]])
        sizes = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(sizes, 1)
        moved = np.where(sizes > 0, means, centroids)
        if not sizes.all():
            moved = np.sort(_relocated(ordered, moved, edges))
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _relocated(
    ordered: NDArray[np.float64], centroids: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Empty clusters begin again at the points that are farthest from their own centroids, which lie at a run's ends."""
    sizes = np.diff(edges)
    used = np.flatnonzero(sizes)
    ends = np.unique(np.concatenate([edges[used], edges[used + 1] - 1]))
    own = np.searchsorted(edges[1:], ends, side="right")
    order = np.argsort(-np.abs(ordered[ends] - centroids[own]), kind="stable")
    empty = np.flatnonzero(sizes == 0)[: len(ends)]
    moved = centroids.copy()
    moved[empty] = ordered[ends[order[: len(empty)]]]
    return moved


def _midpoints(centroids: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((centroids[1:] + centroids[:-1]) / 2)


def _without_zero(centroids: NDArray[np.float64], different: NDArray[np.float64]) -> NDArray[np.float64]:
    """A centroid of zero would be taken for a pruned weight; the weight that is nearest to it takes its place."""
    nearest = different[np.abs(different).argmin()]
    return np.where(centroids.astype(np.float32) == 0, nearest, centroids)
