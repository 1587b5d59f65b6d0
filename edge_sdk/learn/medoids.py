"""k-medoids: clusters whose centres are among the points themselves.

Alternating, after Park and Jun, "A simple and fast algorithm for K-medoids clustering" (2009): every point joins its nearest medoid,
every cluster takes the member that is nearest to all others. The dissimilarity is the squared distance, for unit vectors twice
one minus the cosine; under it the best member is the one next to the cluster's mean, so a step costs N·k·D and no table of all
pairs is made. Starts are drawn as for k-means++ (Arthur and Vassilvitskii, 2007).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["k_medoids"]

_STARTS = 4
_STEPS = 100


def k_medoids(points: NDArray[np.float32], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose the points that stand for all.

    Args:
        points: `float32 [N, D]`, finite.
        count: How many to choose, 1 to the number of distinct points.
        seed: Of the starts; the best of four is kept.

    Returns:
        Ascending indices, `int64 [count]`.
    """
    rng = np.random.default_rng(seed)
    exact = points.astype(np.float64)
    found = [_settled(exact, _start(exact, count, rng)) for _ in range(1 if count == 1 else _STARTS)]
    return np.sort(min(found, key=lambda medoids: float(_distances(exact, exact[medoids]).min(axis=1).sum())))


def _start(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Distinct points, each drawn with a chance that grows with its squared distance to those before."""
    chosen = [int(rng.integers(len(points)))]
    nearest = _distances(points, points[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(rng.choice(len(points), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, _distances(points, points[chosen[-1:]])[:, 0])
    return np.array(chosen, np.int64)


def _settled(points: NDArray[np.float64], medoids: NDArray[np.int64]) -> NDArray[np.int64]:
    for _ in range(_STEPS):
        owners = _distances(points, points[medoids]).argmin(axis=1)
        moved = np.array([_middle(points, np.flatnonzero(owners == own), medoids[own]) for own in range(len(medoids))])
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return medoids


def _middle(points: NDArray[np.float64], members: NDArray[np.int64], now: np.int64) -> np.int64:
    """The member next to the cluster's mean; the present medoid where none is nearer, so that a tie ends the search."""
    distances = _distances(points[members], points[members].mean(axis=0, keepdims=True))[:, 0]
    best = members[distances.argmin()]
    own = distances[np.flatnonzero(members == now)]
    return now if len(own) and own[0] <= distances.min() else best


def _distances(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances, `float64 [N, M]`, exactly 0 between equal points."""
    result = np.empty((len(points), len(others)))
    for column, other in enumerate(others):
        differences = points - other
        np.einsum("nd,nd->n", differences, differences, out=result[:, column])
    return result
