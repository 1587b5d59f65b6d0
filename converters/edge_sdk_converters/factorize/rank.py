"""How many components of a matrix are worth keeping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["rank_for_energy"]


def rank_for_energy(singular_values: NDArray[np.floating], energy: float, *, multiple: int = 1) -> int:
    """Choose the smallest rank whose components hold a share of the matrix's energy.

    The relative squared error of the truncated matrix is then at most `1 - energy` (Eckart and Young, 1936).

    Args:
        singular_values: Singular values in descending order, `[n]`, n at least 1.
        energy: Share of the sum of their squares, above 0 to 1.
        multiple: The rank is rounded up to a multiple of this, but never above n.

    Returns:
        A rank from 1 to n.

    Raises:
        RecipeError: An argument is outside what it may be.
    """
    if len(singular_values) == 0:
        raise RecipeError("singular_values must hold at least one value. Received: none. Pass those of a matrix.")
    if not 0 < energy <= 1:
        raise RecipeError(f"energy must be above 0 and at most 1. Received: {energy}. Try 0.95.")
    if multiple < 1:
        raise RecipeError(f"multiple must be at least 1. Received: {multiple}. Use 1 for exact ranks.")
    held = np.cumsum(np.square(singular_values, dtype=np.float64))
    rank = int(np.searchsorted(held, energy * held[-1])) + 1
    return min(math.ceil(rank / multiple) * multiple, len(singular_values))
