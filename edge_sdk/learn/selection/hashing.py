"""Numbers that look random and depend on a sample's index and the seed alone, whichever machine computes them.

The mixing function is SplitMix64 of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hashed"]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def hashed(indices: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A permutation of all 64-bit numbers, chosen by the seed: different indices never share a number.

    Args:
        indices: `int64 [N]`.
        seed: 0 or greater.

    Returns:
        `uint64 [N]`.
    """
    offset = int(_mixed(np.array([(seed + 1) * _GOLDEN & _MASK], np.uint64))[0])
    return _mixed(indices.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(offset))


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
