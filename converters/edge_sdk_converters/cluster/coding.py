"""What shared weights cost to store: the first-order entropy of their indices, and their codebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["coded_bytes", "distinct_values", "entropy_bits"]

_VALUE_BYTES = 4
"""Of a shared value: float32."""


def entropy_bits(symbols: NDArray[Any]) -> float:
    """Least bits of a code that gives every symbol of a stream a code word by how often it occurs: N · H.

    Shannon, "A Mathematical Theory of Communication" (1948). No code that looks at one symbol at a time needs less.

    Args:
        symbols: Of any shape and dtype.
    """
    counts = np.unique_counts(symbols).counts
    shares = counts / max(counts.sum(), 1)
    return float(-(counts * np.log2(shares)).sum()) + 0.0


def distinct_values(weights: NDArray[Any]) -> int:
    """Different values beside zero."""
    return int(np.count_nonzero(np.unique(weights)))


def coded_bytes(weights: NDArray[Any]) -> int:
    """Bytes that a tensor takes when coded: its values' indices at their first-order entropy, zero among them, and the values.

    Scattered zeros cost the same this way as positions of what is not zero do, coded on their own.

    Args:
        weights: Of any shape.
    """
    return math.ceil(entropy_bits(weights) / 8) + _VALUE_BYTES * distinct_values(weights)
