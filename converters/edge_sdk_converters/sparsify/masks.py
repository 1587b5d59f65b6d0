"""Which weights go: those of the smallest magnitude (Han et al., "Learning both Weights and Connections", 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RecipeError
from .config import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pattern import Pattern

__all__ = ["magnitude_masks"]


def magnitude_masks(
    weights: Sequence[NDArray[Any]],
    sparsity: float,
    scope: Scope = Scope.GLOBAL,
    pattern: Pattern | None = None,
    axes: Sequence[int | None] | None = None,
) -> list[NDArray[np.bool_]]:
    """Choose the weights that stay.

    Smallest magnitudes go first, of equal ones the earlier, so zeros stay zeros when more goes later. The number that goes is
    exact to one weight, except where the rules below leave fewer to take. Without a pattern every kernel keeps its
    largest weight, since a layer of zeros cuts the network; with one, every group keeps its largest N, and from
    `pattern.sparsity` on the pattern holds everywhere.

    Args:
        weights: Kernels of any shapes.
        sparsity: Share of the weights that goes, 0 to below 1.
        scope: Whether that is the share of each kernel, or of all together under one threshold.
        pattern: Which weights may go at all; None for every one.
        axes: For each kernel the axis that a product sums over, or None where it sums over no channels; as in `Pattern`.
            Not needed without a pattern: the last but one of each by default.

    Returns:
        For each kernel an array of its shape, True where a weight stays.

    Raises:
        RecipeError: `sparsity` is outside [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise RecipeError(f"sparsity must be at least 0 and below 1. Received: {sparsity}. Try 0.8.")
    magnitudes = [np.abs(each) for each in weights]
    summed = [-2] * len(weights) if axes is None else axes
    kept = [
        _largest(each) if pattern is None else pattern.keepers(each, axis)
        for each, axis in zip(magnitudes, summed, strict=True)
    ]
    if scope is Scope.LAYER:
        return [~_smallest([each], [stays], sparsity)[0] for each, stays in zip(magnitudes, kept, strict=True)]
    return [~gone for gone in _smallest(magnitudes, kept, sparsity)]


def _largest(magnitudes: NDArray[Any]) -> NDArray[np.bool_]:
    stays = np.zeros(magnitudes.shape, bool)
    if stays.size:
        stays.flat[int(magnitudes.argmax())] = True
    return stays


def _smallest(
    magnitudes: Sequence[NDArray[Any]], kept: Sequence[NDArray[np.bool_]], sparsity: float
) -> list[NDArray[np.bool_]]:
    """The share `sparsity` of several kernels under one threshold, of what is not kept anyway."""
    free = [~each.ravel() for each in kept]
    values = np.concatenate([each.ravel()[may] for each, may in zip(magnitudes, free, strict=True)] or [np.zeros(0)])
    count = min(round(sparsity * sum(each.size for each in magnitudes)), values.size)
    chosen = np.split(_first(values, count), np.cumsum([int(may.sum()) for may in free])[:-1])
    gone = []
    for may, those, each in zip(free, chosen, magnitudes, strict=True):
        may[may] = those
        gone.append(may.reshape(each.shape))
    return gone


def _first(values: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """True at the `count` smallest values, the earlier of equal ones; without sorting millions of them."""
    if count == 0:
        return np.zeros(values.size, bool)
    threshold = np.partition(values, count - 1)[count - 1]
    below = values < threshold
    ties = np.flatnonzero(values == threshold)[: count - int(below.sum())]
    below[ties] = True
    return below
