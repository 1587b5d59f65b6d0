"""Which units go: one ranking over the whole network, within what every layer has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .channels import Analysis
    from .config import PruneConfig

__all__ = ["Spare", "choose_units"]


def choose_units(
    analysis: Analysis, scores: NDArray[np.float64], config: PruneConfig, count: int | None = None
) -> NDArray[np.bool_]:
    """Choose the units to remove.

    The lowest scores go until `count` of all units is reached, while every layer keeps what `config` has it keep.
    Where layers share all of their units or none, what remains is then rounded to a multiple of `config.multiple`;
    what rounding adds to one layer it takes from the next ones.

    Args:
        analysis: What can be removed.
        scores: `float64 [analysis.count]`, infinity for units that stay.
        config: Share, least width, and multiple.
        count: How many go, up to rounding; `config.fraction` of all where None.

    Returns:
        Which units go, `bool [analysis.count]`.
    """
    wanted_count = round((config.fraction or 0.0) * analysis.count) if count is None else count
    removed = _lowest(analysis, scores, Spare(analysis, config.least_channels), wanted_count)
    excess = 0.0
    for units in _families(analysis) if config.multiple > 1 else ():
        wanted = float(np.sum(~removed[units])) + excess
        least = max(config.least_channels(len(units)), int(np.isinf(scores[units]).sum()))
        width = _round_width(wanted, len(units), least, config.multiple)
        excess = float(np.clip(wanted - width, -config.multiple, config.multiple))
        order = units[np.argsort(scores[units], kind="stable")]
        removed[order] = np.arange(len(order)) < len(order) - width
    return removed


class Spare:
    """What every layer can still give up; `least` gives what a layer of so many channels has to keep."""

    def __init__(self, analysis: Analysis, least: Callable[[int], int]) -> None:
        self._makers: list[list[int]] = [[] for _ in range(analysis.count)]
        for index, producer in enumerate(analysis.producers):
            for unit in producer.units[producer.units >= 0].tolist():
                self._makers[unit].append(index)
        self._left = np.array([len(producer.units) - least(len(producer.units)) for producer in analysis.producers])

    def allows(self, unit: int) -> bool:
        """Whether every layer that makes the unit keeps enough channels without it."""
        makers = self._makers[unit]
        return all(self._left[maker] >= makers.count(maker) for maker in makers)

    def take(self, unit: int) -> None:
        """Count a unit as removed."""
        for maker in self._makers[unit]:
            self._left[maker] -= 1


def _lowest(analysis: Analysis, scores: NDArray[np.float64], spare: Spare, left: int) -> NDArray[np.bool_]:
    """Remove by ascending score; a unit whose layer would become too narrow stays."""
    removed = np.zeros(analysis.count, np.bool_)
    for unit in np.argsort(scores, kind="stable").tolist():
        if left == 0 or np.isinf(scores[unit]):
            break
        if spare.allows(unit):
            spare.take(unit)
            removed[unit] = True
            left -= 1
    return removed


def _families(analysis: Analysis) -> list[NDArray[np.int64]]:
    """Sets of units that one or more layers make completely, in whatever order, and no other layer makes a part of."""
    users: dict[int, set[int]] = {}
    for index, producer in enumerate(analysis.producers):
        for unit in producer.units.tolist():
            users.setdefault(unit, set()).add(index)
    families: dict[tuple[int, ...], NDArray[np.int64]] = {}
    for producer in analysis.producers:
        units = np.unique(producer.units)
        whole = units[0] >= 0 and len(units) == len(producer.units)
        if whole and _is_closed(units, [analysis.producers[user].units for user in _all_users(units, users)]):
            families.setdefault(tuple(units.tolist()), units)
    return list(families.values())


def _all_users(units: NDArray[np.int64], users: dict[int, set[int]]) -> set[int]:
    return set().union(*(users[unit] for unit in units.tolist()))


def _is_closed(units: NDArray[np.int64], others: Sequence[NDArray[np.int64]]) -> bool:
    return all(len(other) == len(units) and np.array_equal(np.sort(other), units) for other in others)


def _round_width(wanted: float, full: int, least: int, multiple: int) -> int:
    """The width nearest to what is wanted among the multiples that are allowed, and the full width."""
    first = -(-least // multiple) * multiple
    return min([*range(first, full, multiple), full], key=lambda width: (abs(width - wanted), width))
