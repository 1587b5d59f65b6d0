"""How many units have to go for a budget, found by bisection over one ranking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import BudgetError, RecipeError
from ..source import accuracy
from .rebuild import mask, shrink
from .select import choose_units
from .sizes import count_pruned_macs, count_pruned_parameters, savings

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..budget import Budget
    from ..training import Examples
    from .channels import Analysis
    from .config import PruneConfig

__all__ = ["ModelMeter", "choose_within", "priced"]

_STEPS = 64
"""Where a network has to be built for every step, this share of the ranking is as fine as the search gets."""


class ModelMeter(Protocol):
    """What measures latency; `edge_sdk_converters.latency.LatencyMeter` does."""

    def model_ns(self, model: keras.Model) -> float:
        """Median time of one image through a model, nanoseconds."""
        ...


@dataclass(frozen=True)
class _Limit:
    """One limit of a budget: what share of the network remains without some units, and how much may."""

    name: str
    most: float
    share: Callable[[NDArray[np.bool_]], float]


def choose_within(
    analysis: Analysis,
    scores: NDArray[np.float64],
    config: PruneConfig,
    budget: Budget,
    validation: Examples | None = None,
    meter: ModelMeter | None = None,
) -> NDArray[np.bool_]:
    """Choose the units to remove for a budget.

    The lowest scores go, as few as meet every limit on parameters, multiply-accumulates and latency; where only
    `accuracy_drop` is limited, as many as stay within it. Parameters and multiply-accumulates are met exactly; limits that
    take a built network to measure are met with a 64th of the ranking more than needed at most.

    Args:
        analysis: What can be removed.
        scores: `float64 [analysis.count]`, infinity for units that stay.
        config: Least width and multiple.
        budget: The limits.
        validation: What accuracy is measured on; needed for `accuracy_drop`.
        meter: Measures latency; needed for `latency`.

    Returns:
        Which units go, `bool [analysis.count]`.

    Raises:
        BudgetError: The budget cannot be met; says which limit binds and the best that was reached.
        RecipeError: `accuracy_drop` is limited without validation images.
    """

    def removed(count: int) -> NDArray[np.bool_]:
        return choose_units(analysis, scores, config, count)

    limits = _limits(analysis, budget, meter)
    chosen = removed(_fewest(limits, removed, analysis.count, config)) if limits else None
    if budget.accuracy_drop is None:
        return np.zeros(analysis.count, np.bool_) if chosen is None else chosen
    lost = _accuracy_lost(analysis, validation)
    if chosen is None:
        return removed(_most(lambda count: lost(removed(count)) <= (budget.accuracy_drop or 0.0), analysis.count))
    if (drop := lost(chosen)) > budget.accuracy_drop:
        others = ", ".join(f"{limit.name} = {limit.most}" for limit in limits)
        raise BudgetError(
            f"accuracy_drop must leave room for the budget's other limits ({others}). Received: accuracy_drop = "
            f"{budget.accuracy_drop}, where {drop:.4f} is the best reached. Raise it to that, or loosen the others."
        )
    return chosen


def priced(
    analysis: Analysis, scores: NDArray[np.float64], budget: Budget, estimates_loss: bool
) -> NDArray[np.float64]:
    """Set scores against what removal saves of what the budget limits.

    A score that is a loss is divided by the saving, so that the ranking is by loss per weight or multiply-accumulate. Other
    scores only compare channels; they are divided by the root of the parameters saved where parameters are limited, and
    left alone otherwise. Chosen by measurement: a VGG on CIFAR-10 at 40 % of its parameters, before any recovery, has 73 %
    instead of 13 % accuracy by L1 norm that way; at 60 % of its multiply-accumulates 36 % instead of 11 % by Taylor, while
    the other criteria do better unpriced.

    Args:
        analysis: What can be removed.
        scores: `float64 [analysis.count]`.
        budget: The limits.
        estimates_loss: Whether a score is a loss that removal causes.

    Returns:
        The scores to rank by, `float64 [analysis.count]`.
    """
    if budget.parameters is not None:
        return scores / savings(analysis, count_pruned_parameters) ** (1.0 if estimates_loss else 0.5)
    return scores / savings(analysis, count_pruned_macs) if estimates_loss else scores


def _limits(analysis: Analysis, budget: Budget, meter: ModelMeter | None) -> list[_Limit]:
    """The limits on shares, those that are quick to measure first."""

    def limit(name: str, cost: Callable[[NDArray[np.bool_]], float]) -> list[_Limit]:
        most = getattr(budget, name)
        if most is None:
            return []
        whole = cost(np.zeros(analysis.count, np.bool_))
        return [_Limit(name, most, lambda removed: cost(removed) / whole)]

    def latency(removed: NDArray[np.bool_]) -> float:
        return meter.model_ns(shrink(analysis, removed)) if meter else 0.0

    return [
        *limit("parameters", lambda removed: count_pruned_parameters(analysis, removed)),
        *limit("macs", lambda removed: count_pruned_macs(analysis, removed)),
        *(limit("latency", latency) if meter else []),
    ]


def _fewest(limits: list[_Limit], removed: Callable[[int], NDArray[np.bool_]], count: int, config: PruneConfig) -> int:
    """The least number of units whose removal meets every limit."""

    def meets(number: int) -> bool:
        units = removed(number)
        return all(limit.share(units) <= limit.most for limit in limits)

    if meets(0):
        return 0
    if not meets(count):
        raise BudgetError(_unreachable(limits, removed(count), config))
    built = any(limit.name == "latency" for limit in limits)
    return _bisect(lambda number: not meets(number), count, max(1, count // _STEPS) if built else 1)[1]


def _most(holds: Callable[[int], bool], count: int) -> int:
    """The greatest number of units for which something holds that holds for none."""
    return count if holds(count) else _bisect(holds, count, max(1, count // _STEPS))[0]


def _bisect(holds: Callable[[int], bool], count: int, resolution: int) -> tuple[int, int]:
    """Two numbers at most `resolution` apart, at the first of which something holds, and at the second not."""
    low, high = 0, count
    while high - low > resolution:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _accuracy_lost(analysis: Analysis, validation: Examples | None) -> Callable[[NDArray[np.bool_]], float]:
    if validation is None or not len(validation.y):
        raise RecipeError(
            "accuracy_drop in a budget needs validation images. Received: none. Pass data, or limit macs instead."
        )
    before = accuracy(mask(analysis, np.zeros(analysis.count, np.bool_)), validation)
    return lambda removed: before - accuracy(shrink(analysis, removed), validation)


def _unreachable(limits: list[_Limit], removed: NDArray[np.bool_], config: PruneConfig) -> str:
    binding = max(limits, key=lambda limit: limit.share(removed) / limit.most)
    return (
        f"A budget must be reachable with {config.min_channels} channels in every layer, multiples of {config.multiple}, and "
        f"at most {config.layer_fraction:.0%} of a layer gone. "
        f"Received: {binding.name} = {binding.most}, where {binding.share(removed):.4f} is the best reached. "
        "Raise it to that, lower min_channels and multiple, or raise layer_fraction."
    )
