"""What every layer becomes under a budget: limits on counts and time by allocation, a limit on accuracy by bisection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BudgetError
from .allocate import Choice, allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import keras

    from ..budget import Budget
    from .menu import Menu, Option

__all__ = ["Bench", "Selection", "Whole", "search"]

Selection = tuple["Option | None", ...]
"""What takes the place of every layer; None leaves it."""

_ROUNDS = 6
"""Halvings of the range of multiply-accumulates, down to about a hundredth of it."""

_REPEATS = 4
"""How often a latency that was predicted but not measured is asked for again, lower each time."""


@dataclass(frozen=True)
class Whole:
    """The model that came in, in whose shares a budget is written.

    Attributes:
        macs: Multiply-accumulates of one image.
        parameters: Weights.
        ns: Measured nanoseconds; None where time plays no part.
    """

    macs: int
    parameters: int
    ns: float | None = None


@dataclass(frozen=True, eq=False)
class Bench:
    """How selections are tried out; fields that a budget does not need may stay None.

    Attributes:
        build: Makes the model of a selection.
        accuracy: Accuracy of a model on the validation images, 0 to 1.
        latency: Measured time of a model as a share of the original's.
    """

    build: Callable[[Selection], keras.Model]
    accuracy: Callable[[keras.Model], float] | None = None
    latency: Callable[[keras.Model], float] | None = None


def search(
    menus: Sequence[Menu], budget: Budget, whole: Whole, bench: Bench, accuracy_before: float = 0.0
) -> Selection:
    """Choose what every layer becomes, all layers at once.

    The sum of the layers' relative output errors is kept as low as the limits allow. A limit on accuracy asks for the
    fewest multiply-accumulates within it, found by bisection over built models; a limit on latency is checked on the built
    model, and asked for more strictly where the sum over layers promised too much.

    Args:
        menus: What every layer could become.
        budget: The limits.
        whole: What their shares are of.
        bench: Tries selections out: `accuracy` where the budget limits it, `latency` likewise.
        accuracy_before: Accuracy of the original.

    Returns:
        One entry per menu.

    Raises:
        BudgetError: The limits cannot be met; says which one binds, and the best that was reached.
    """
    limits = {
        name: share
        for name, share in (("parameters", budget.parameters), ("macs", budget.macs), ("latency", budget.latency))
        if share is not None
    }
    trials = _Trials(menus, whole, bench, accuracy_before, budget.accuracy_drop)
    selection = trials.best(limits)
    if budget.latency is None or bench.latency is None:
        return selection
    measured = reached = bench.latency(bench.build(selection))
    for _ in range(_REPEATS):
        if measured <= budget.latency:
            return selection
        limits["latency"] *= 0.98 * budget.latency / measured
        try:
            selection = trials.best(limits)
        except BudgetError:
            break
        measured = bench.latency(bench.build(selection))
        reached = min(reached, measured)
    if measured <= budget.latency:
        return selection
    raise BudgetError(
        f"The limit on latency cannot be met by factorization. Received: at most {budget.latency:.3g} of the original, where the "
        f"least measured is {reached:.3g}. Allow more, or prune first."
    )


@dataclass(frozen=True, eq=False)
class _Trials:
    menus: Sequence[Menu]
    whole: Whole
    bench: Bench
    accuracy_before: float
    drop: float | None

    def best(self, limits: Mapping[str, float]) -> Selection:
        """The selection within the limits that loses least, or within the accuracy that costs least."""
        return self.selection(limits) if self.drop is None else self._most_compressed(limits, self.drop)

    def selection(self, limits: Mapping[str, float]) -> Selection:
        choices = [[_choice_of(menu, offer, self.whole) for offer in menu.offers] for menu in self.menus]
        chosen = allocate([[self._rest()], *choices], limits)[1:]
        return tuple(menu.offers[index] for menu, index in zip(self.menus, chosen, strict=True))

    def _most_compressed(self, limits: Mapping[str, float], drop: float) -> Selection:
        """Bisect over the share of multiply-accumulates that remains; only selections that were tried are returned."""
        high = limits.get("macs", 1.0)
        best = self.selection({**limits, "macs": high})
        if (reached := self._accuracy(best)) < self.accuracy_before - drop:
            raise BudgetError(
                f"The limit on accuracy_drop cannot be met together with {', '.join(limits)}. Received: at most {drop:.3g}, where "
                f"the least reached is {self.accuracy_before - reached:.3g}. Allow more of either, or give the pass data for calibration."
            )
        low = self._share(tuple(_smallest(menu) for menu in self.menus))
        if (smallest := self._within({**limits, "macs": low}, drop)) is not None:
            return smallest
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            found = self._within({**limits, "macs": middle}, drop)
            low, high, best = (middle, high, best) if found is None else (low, middle, found)
        return best

    def _within(self, limits: Mapping[str, float], drop: float) -> Selection | None:
        """The selection within the limits, unless there is none or it loses too much."""
        try:
            selection = self.selection(limits)
        except BudgetError:  # fewer multiply-accumulates than another limit leaves room for
            return None
        return selection if self._accuracy(selection) >= self.accuracy_before - drop else None

    def _accuracy(self, selection: Selection) -> float:
        if not any(selection) or self.bench.accuracy is None:
            return self.accuracy_before
        return self.bench.accuracy(self.bench.build(selection))

    def _share(self, selection: Selection) -> float:
        saved = sum(
            menu.subject.macs - option.macs for menu, option in zip(self.menus, selection, strict=True) if option
        )
        return 1 - saved / max(self.whole.macs, 1)

    def _rest(self) -> Choice:
        """What no menu changes."""
        subjects = [menu.subject for menu in self.menus]
        return _choice(
            0.0,
            self.whole,
            self.whole.macs - sum(subject.macs for subject in subjects),
            self.whole.parameters - sum(subject.parameters for subject in subjects),
            (self.whole.ns or 0.0) - sum(menu.ns or 0.0 for menu in self.menus),
        )


def _smallest(menu: Menu) -> Option | None:
    return min(filter(None, menu.offers), key=lambda option: option.macs, default=None)


def _choice_of(menu: Menu, offer: Option | None, whole: Whole) -> Choice:
    if offer is None:
        return _choice(0.0, whole, menu.subject.macs, menu.subject.parameters, menu.ns or 0.0)
    return _choice(offer.error, whole, offer.macs, offer.parameters, offer.ns or 0.0)


def _choice(error: float, whole: Whole, macs: int, parameters: int, ns: float) -> Choice:
    """Costs in shares of the whole."""
    shares = {"macs": macs / max(whole.macs, 1), "parameters": parameters / max(whole.parameters, 1)}
    return Choice(error, {**shares, "latency": ns / whole.ns} if whole.ns else shares)
