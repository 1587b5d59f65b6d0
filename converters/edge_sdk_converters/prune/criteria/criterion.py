"""What a criterion is, and what most of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import keras
import numpy as np

from ...errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..calibration import Calibration
    from ..channels import Analysis

__all__ = ["ChannelCriterion", "UnitMeans", "batch_norms", "norm_weight", "require_images"]


class ChannelCriterion(Protocol):
    """A way to judge units. Implementations must give comparable scores across layers.

    Attributes:
        needs_images: Whether it judges by images; without them it refuses.
        estimates_loss: Whether a score is the loss that removal of this unit causes, so that scores may be added up.
        refits: Whether the readers of what stays are to be rescaled to make up for what goes.
    """

    needs_images: bool
    estimates_loss: bool
    refits: bool

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit.

        Args:
            analysis: What can be removed, with the layers and their weights.
            calibration: Images to judge by; None is enough where `needs_images` is false.

        Returns:
            `float64 [analysis.count]`; the lowest goes first, infinity never goes.

        Raises:
            RecipeError: The criterion needs images and there are none.
        """
        ...


class UnitMeans:
    """Means over all the channels that make up each unit."""

    def __init__(self, count: int) -> None:
        self._total, self._times = np.zeros(count), np.zeros(count)

    def add(self, units: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        """Take in one value per channel.

        Args:
            units: The unit of each channel, `int64 [channels]`, -1 for one that does not count.
            values: `[channels]`.
        """
        removable = units >= 0
        np.add.at(self._total, units[removable], values[removable])
        np.add.at(self._times, units[removable], 1)

    def means(self) -> NDArray[np.float64]:
        """The mean of each unit, `float64 [count]`; infinity for one without any value."""
        return np.where(self._times > 0, self._total / np.maximum(self._times, 1), np.inf)


def require_images(calibration: Calibration | None, criterion: str) -> Calibration:
    """The images, or a refusal where there are none.

    Raises:
        RecipeError: There are none.
    """
    if calibration is None:
        raise RecipeError(
            f"criterion '{criterion}' judges by images. Received: none. Pass data to prune, or choose criterion 'l1'."
        )
    return calibration


def batch_norms(analysis: Analysis) -> dict[int, list[keras.layers.BatchNormalization]]:
    """By `id` of a producing layer, the batch normalisations that take its output and nothing before them does."""
    makers = {id(call.outputs[0]): call.layer for call in analysis.graph.calls if len(call.outputs) == 1}
    found: dict[int, list[keras.layers.BatchNormalization]] = {}
    for call in analysis.graph.calls:
        maker = makers.get(id(call.inputs[0])) if call.inputs else None
        if isinstance(call.layer, keras.layers.BatchNormalization) and maker is not None:
            norms = found.setdefault(id(maker), [])
            norms += [] if any(norm is call.layer for norm in norms) else [call.layer]
    return found


def norm_weight(norm: keras.layers.BatchNormalization, name: str) -> NDArray[np.float64]:
    """Magnitudes of one of a batch normalisation's weights, `float64 [channels]`."""
    values = {weight.name: value for weight, value in zip(norm.weights, norm.get_weights(), strict=True)}
    return np.abs(values[name], dtype=np.float64)
