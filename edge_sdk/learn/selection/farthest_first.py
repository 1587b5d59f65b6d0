"""Farthest-first traversal: each next sample is the one farthest from all chosen so far.

Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance" (1985): no sample is farther from the choice than twice what
the best choice of that size allows. It covers everything, outliers first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .base import Told

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["farthest_first"]

_TOLD_EVERY = 64


def farthest_first(vectors: NDArray[np.float32], k: int, told: Told | None = None) -> NDArray[np.int64]:
    """Choose vectors far from each other, beginning with the one nearest to the mean.

    Args:
        vectors: `float32 [N, D]`.
        k: How many, 1 to N.
        told: Told how many are chosen.

    Returns:
        `int64 [k]`, different positions in order of choice; of equally far ones the first.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.einsum("ij,ij->i", centred, centred)
    nearest = np.full(len(vectors), np.inf, np.float32)
    chosen = np.empty(k, np.int64)
    latest = int(lengths.argmin())
    for step in range(k):
        chosen[step] = latest
        squares = centred @ centred[latest]
        squares *= -2
        squares += lengths
        squares += lengths[latest]
        np.maximum(squares, 0, out=squares)  # rounding
        np.minimum(nearest, squares, out=nearest)
        nearest[latest] = -1  # never again, not even among identical vectors
        latest = int(nearest.argmax())
        if told is not None and (step % _TOLD_EVERY == 0 or step == k - 1):
            told(step + 1, k)
    return chosen
