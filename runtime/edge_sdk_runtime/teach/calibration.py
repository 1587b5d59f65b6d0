"""Thresholds of unknown images after a class came or went: what is taught is known from then on, the rest is told as before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..memory import FeatureMemory
from ..scatter import EQUAL
from ..unknown import ClassDistances
from .knowledge import Knowledge
from .settings import SETTINGS, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["calibrated", "own_distances"]


def calibrated(
    before: Knowledge, after: Knowledge, taught: Iterable[str] = (), settings: Settings = SETTINGS
) -> Knowledge:
    """Thresholds for a new memory.

    Classes scatter differently once others are remembered, so every old threshold grows or shrinks as the distances of its
    class's own examples do. A taught class gets the distance within which its examples lie when each is held out, and at least
    what is usual for so few.

    Args:
        before: With thresholds for its labels, or none where unknown images are not told.
        after: With another memory, and perhaps other labels.
        taught: Labels of the classes with new examples.
        settings: How many of those are to be known.
    """
    if not before.thresholds:
        return after
    old = own_distances(before.memory, settings.equal)
    new = own_distances(after.memory, settings.equal)
    thresholds = {}
    for index, label in enumerate(before.labels):
        usual = float(np.median(old[before.memory.labels == index]))
        now = new[after.memory.labels == after.class_index(label)] if label in after.labels else new[:0]
        thresholds[label] = before.thresholds[index] * (
            float(np.median(now)) / usual if len(now) and usual > 0 else 1.0
        )
    ordinary = float(np.median([thresholds[label] for label in after.labels if label in thresholds]))
    for label in taught:
        own = new[after.memory.labels == after.class_index(label)]
        few = ordinary * (1 + 1 / len(own)) ** 0.5  # the mean of n examples is off by a scatter of one n-th
        farthest = float(np.quantile(own, settings.known, method="higher")) if len(own) > 1 else 0.0
        thresholds[label] = max(thresholds.get(label, few), farthest)
    return after._replace(thresholds=tuple(thresholds[label] for label in after.labels))


def own_distances(memory: FeatureMemory, equal: float = EQUAL) -> NDArray[np.float64]:
    """Distance of every remembered example to its class, as it would be had it not been remembered.

    Taking an example out moves its class's mean and narrows the scatter; the Sherman–Morrison formula says by how much, without
    doing it example by example.

    Args:
        memory: The memory.
        equal: The part of the scatter that is taken to be equal in all directions.

    Returns:
        `float64 [M]`; of the only example of a class the distance is 0, since nothing is left of the class.
    """
    distances = ClassDistances(memory, equal)
    width = memory.embeddings.shape[1]
    counts = np.bincount(memory.labels)[memory.labels]
    left = counts / np.maximum(counts - 1, 1)
    free = max(1, len(memory.labels) - len(np.unique(memory.labels)))
    residuals = distances.placed(memory.embeddings) - distances.means[memory.labels]
    total = np.zeros(len(memory.labels))
    for part in (residuals[:, :width], residuals[:, width:]):
        squares = (part.astype(np.float64) ** 2).sum(axis=1)
        leverage = np.minimum(left * squares / free, 0.99)
        total += left**2 * squares / (1 - leverage)
    return np.sqrt(total)
