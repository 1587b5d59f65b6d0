"""The ranks of all layers at once: from every layer's options, the selection of least summed error within the limits.

A multiple-choice knapsack. Moves along the options' lower convex hull, the least error per unit of what is still over its
limit first, are optimal for one limit wherever they land on it (Sinha, Zoltners, "The Multiple-Choice Knapsack Problem",
1979); several limits count in units of what each is over by (Toyoda, "A Simplified Algorithm for Obtaining Approximate
Solutions to Zero-One Programming Problems", 1975). What room is left is then given back where it buys the most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BudgetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Choice", "allocate", "lower_hull"]

_SLACK = 1e-9
"""Relative room for rounding when a limit is checked."""


@dataclass(frozen=True)
class Choice:
    """One way to do a layer's work.

    Attributes:
        error: What it loses, at least 0; sums over layers.
        costs: What it needs by name, such as multiply-accumulates; sums over layers.
    """

    error: float
    costs: Mapping[str, float]


def allocate(menus: Sequence[Sequence[Choice]], limits: Mapping[str, float]) -> list[int]:
    """Select one choice per layer so that every limit is met, at the least summed error that is found.

    The result is deterministic; of equal moves the first layer's first choice is taken.

    Args:
        menus: Choices of every layer, at least one each; the costs that `limits` name are given in all of them.
        limits: Most that a cost may sum to.

    Returns:
        The index of the selected choice for every layer.

    Raises:
        BudgetError: No selection meets the limits; says which limit binds, and the best that was reached.
    """
    problem = _Problem.of(menus, limits)
    selected = problem.most_exact()
    while problem.excess(selected) > 0:
        move = problem.best_saving(selected)
        if move is None:
            raise BudgetError(_why_not(menus, limits, problem, selected))
        selected[move[0]] = move[1]
    while (move := problem.best_return(selected)) is not None:
        selected[move[0]] = move[1]
    return selected


def lower_hull(costs: Sequence[float], errors: Sequence[float]) -> list[int]:
    """The points on the lower left convex hull: those that some price of cost against error makes the best.

    Args:
        costs: Of every point.
        errors: Of every point.

    Returns:
        Their indices by ascending cost, errors strictly falling.
    """
    hull: list[int] = []
    for index in sorted(range(len(costs)), key=lambda each: (costs[each], errors[each])):
        if hull and errors[index] >= errors[hull[-1]]:
            continue
        while len(hull) > 1 and _above(hull[-2], hull[-1], index, costs, errors):
            hull.pop()
        hull.append(index)
    return hull


def _above(first: int, middle: int, last: int, costs: Sequence[float], errors: Sequence[float]) -> bool:
    """Whether the middle point lies on or above the line between the other two."""
    across = (costs[last] - costs[first]) * (errors[middle] - errors[first])
    return across >= (costs[middle] - costs[first]) * (errors[last] - errors[first])


@dataclass(frozen=True, eq=False)
class _Problem:
    """The menus as arrays, costs in units of their limit, padded with choices that nobody takes."""

    errors: NDArray[np.float64]
    """`[layers, choices]`, infinite where a layer has fewer."""
    costs: NDArray[np.float64]
    """`[layers, choices, limits]`."""

    @classmethod
    def of(cls, menus: Sequence[Sequence[Choice]], limits: Mapping[str, float]) -> _Problem:
        width = max((len(menu) for menu in menus), default=0)
        errors, costs = np.full((len(menus), width), np.inf), np.zeros((len(menus), width, len(limits)))
        for layer, menu in enumerate(menus):
            errors[layer, : len(menu)] = [choice.error for choice in menu]
            costs[layer, : len(menu)] = [
                [choice.costs[name] / most for name, most in limits.items()] for choice in menu
            ]
        return cls(errors, costs)

    def most_exact(self) -> list[int]:
        return [int(index) for index in np.argmin(self.errors, axis=1)] if self.errors.size else []

    def used(self, selected: Sequence[int]) -> NDArray[np.float64]:
        """Every cost in units of its limit, `[limits]`."""
        return np.asarray(self.costs[np.arange(len(selected)), selected].sum(axis=0))

    def excess(self, selected: Sequence[int]) -> float:
        return float(np.maximum(self.used(selected) - 1 - _SLACK, 0).sum())

    def best_saving(self, selected: Sequence[int]) -> tuple[int, int] | None:
        """The move that takes off the most of what is over its limit, for the error it adds."""
        used, moved, added = self._moves(selected)
        over = np.maximum(used - 1, 0)
        gain = over.sum() - np.maximum(moved - 1, 0).sum(axis=2)
        useful = (gain > _SLACK * over.sum()) & np.isfinite(added)
        if not useful.any():
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.where(added <= 0, -gain, np.where(useful, added / gain, np.inf))
        return _first_least(np.where(useful, price, np.inf))

    def best_return(self, selected: Sequence[int]) -> tuple[int, int] | None:
        """The move that takes off the most error and stays within the limits."""
        if not selected:
            return None
        _, moved, added = self._moves(selected)
        allowed = (moved <= 1 + _SLACK).all(axis=2) & (added < 0)
        return _first_least(np.where(allowed, added, np.inf)) if allowed.any() else None

    def _moves(self, selected: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """What is used, what would be after every move `[layers, choices, limits]`, and the error that it would add."""
        rows = np.arange(len(selected))
        used = self.used(selected)
        moved = used + self.costs - self.costs[rows, selected][:, None]
        return used, moved, self.errors - self.errors[rows, selected][:, None]


def _first_least(prices: NDArray[np.float64]) -> tuple[int, int]:
    layer, choice = np.unravel_index(int(np.argmin(prices)), prices.shape)
    return int(layer), int(choice)


def _why_not(
    menus: Sequence[Sequence[Choice]], limits: Mapping[str, float], problem: _Problem, selected: Sequence[int]
) -> str:
    alone = {name: sum(min(choice.costs[name] for choice in menu) for menu in menus) for name in limits}
    binding = [name for name in limits if alone[name] > limits[name] * (1 + _SLACK)]
    if binding:
        best, verb = {name: alone[name] for name in binding}, "cannot be met"
    else:
        used = dict(zip(limits, problem.used(selected), strict=True))
        best = {name: share * limits[name] for name, share in used.items() if share > 1 + _SLACK}
        verb = "cannot be met together with the other limits"
    wanted = ", ".join(f"{name} {limits[name]:.3g}" for name in best)
    reached = ", ".join(f"{name} {value:.3g}" for name, value in best.items())
    return (
        f"The limit on {' and '.join(best)} {verb} by factorization. Received: at most {wanted}, where the least reached is "
        f"{reached}. Allow more, lower min_saving or multiple, or prune first."
    )
