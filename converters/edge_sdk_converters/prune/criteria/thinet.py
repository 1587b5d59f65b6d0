"""Units that the next layer hardly misses matter least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..contributions import contributions
from .criterion import require_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..calibration import Calibration
    from ..channels import Analysis
    from ..contributions import Contributions

__all__ = ["ThiNet", "removal_order"]


class ThiNet:
    """Greedy reconstruction: what the readers' output loses when a unit goes after all those that it misses less.

    Luo et al., "ThiNet" (2017), algorithm 1: the set to remove grows by the unit that adds least to Σ(Σ_removed x̂)² over
    sampled outputs, x̂ being what a channel contributes to one. A unit's score is the share of the output's energy that is
    lost up to its removal, summed over all layers that read it, so that layers compare and tied units count wherever they
    are read. The paper goes layer by layer with fine-tuning between; here all layers are judged on the network as it is.
    """

    needs_images = True
    estimates_loss = False  # what goes before is in it
    refits = True

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit; see `ChannelCriterion.scores`."""
        images = require_images(calibration, "thinet")
        scores = np.full(analysis.count, np.inf)
        for family in _families(contributions(analysis, images), analysis.count):
            units = np.unique(np.concatenate([each.units for each in family]))
            order, errors = removal_order(_joint(family, units))
            scores[units[order]] = errors
        return scores


def removal_order(gram: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The order in which greedy reconstruction removes units.

    Args:
        gram: Σ x̂ᵢ·x̂ⱼ over sampled outputs, `[count, count]`.

    Returns:
        The units in order, `int64 [count]`, and the largest error up to each removal, `float64 [count]`, ascending.
    """
    count = len(gram)
    crossed, error = np.zeros(count), 0.0
    candidates = np.diag(gram).copy()
    order, errors = np.empty(count, np.int64), np.empty(count)
    for step in range(count):
        order[step] = best = int(np.argmin(candidates))
        error += float(candidates[best])
        errors[step] = error
        crossed += gram[best]
        candidates = np.where(np.isinf(candidates), np.inf, np.diag(gram) + 2 * crossed)
        candidates[best] = np.inf
    return order, np.maximum.accumulate(errors)


def _families(found: Sequence[Contributions], count: int) -> list[list[Contributions]]:
    """Readers that share units, directly or through others, have to be judged together."""
    labels = np.arange(count)
    for each in found:
        labels[np.isin(labels, labels[each.units])] = labels[each.units].min()
    families: dict[int, list[Contributions]] = {}
    for each in found:
        families.setdefault(int(labels[each.units[0]]), []).append(each)
    return list(families.values())


def _joint(family: Sequence[Contributions], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of the readers' contributions, each relative to the energy of its output, `[count, count]`."""
    joint = np.zeros((len(units), len(units)))
    for each in family:
        rows = np.searchsorted(units, each.units)
        energy = max(float(each.gram.sum()), np.finfo(np.float64).tiny)
        joint[np.ix_(rows, rows)] += each.gram[:-1, :-1] / energy
    return joint
