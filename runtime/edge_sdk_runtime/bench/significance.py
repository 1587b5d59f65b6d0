"""Whether two samples of latencies differ by more than chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["RankTest", "mann_whitney"]


class RankTest(NamedTuple):
    """A Mann–Whitney U test.

    Attributes:
        u: In how many of all pairs the first sample's value is the larger one; ties count half.
        p_value: How often chance alone would give a U at least as far from the middle, 0 to 1.
    """

    u: float
    p_value: float


def mann_whitney(first: ArrayLike, second: ArrayLike) -> RankTest:
    """Test whether values of one sample tend to be larger than those of another; neither has to be normally distributed.

    Two-sided, by the normal approximation with corrections for ties and continuity (Mann and Whitney, "On a Test of Whether
    one of Two Random Variables is Stochastically Larger than the Other", 1947; the correction for ties as in Lehmann,
    "Nonparametrics", section 1.4). It is good from about eight values each on.

    Args:
        first: Numbers, at least one.
        second: Numbers, at least one.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    pooled = np.concatenate([a, b])
    _, places, ties = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[places]
    u = float(ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2)
    pairs, total = float(len(a) * len(b)), float(len(pooled))
    tied = float((ties.astype(np.float64) ** 3 - ties).sum())
    variance = pairs / 12 * (total + 1 - tied / (total * (total - 1)))
    if variance <= 0:  # every value is the same
        return RankTest(u, 1.0)
    distance = max(0.0, abs(u - pairs / 2) - 0.5)
    return RankTest(u, math.erfc(distance / math.sqrt(2 * variance)))
