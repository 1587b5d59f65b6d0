"""Units that are seldom active matter least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from ..calibration import evaluated
from ..readers import readers
from .criterion import UnitMeans, require_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...graph import Call
    from ..calibration import Calibration
    from ..channels import Analysis

__all__ = ["ActivationCount", "Activity", "measure_activity"]

_CARRIERS = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Concatenate,
    layers.Cropping2D,
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Permute,
    layers.Reshape,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
"""Layers that bring values to their reader without activating them; what is counted lies before them."""


class ActivationCount:
    """Share of all (image, position) at which a unit is active, counted where its last activation has made it.

    Hu et al., "Network Trimming" (2016): one minus their average percentage of zeros. A unit is active where its value is
    above what its activation makes of 0: above 0 for ReLU and its kin, for linear units and for sums, above ½ for the
    sigmoid. So what is counted is always how often the activation's input is positive.
    """

    needs_images = True
    estimates_loss = False
    refits = False

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit by the mean over the places that it is read from; see `ChannelCriterion.scores`."""
        return measure_activity(analysis, require_images(calibration, "activations").x).active


@dataclass(frozen=True, eq=False)
class Activity:
    """What units do over images.

    Attributes:
        active: Share of all (image, position) at which each unit is active, `float64 [count]`.
        mean: Mean value of each unit, `float64 [count]`.
    """

    active: NDArray[np.float64]
    mean: NDArray[np.float64]


def measure_activity(analysis: Analysis, x: NDArray[Any]) -> Activity:
    """Count activations.

    Args:
        analysis: What can be removed.
        x: Model inputs, `[N, …]`.

    Returns:
        Means over every place that a unit is read from, tied members included.
    """
    makers = {id(tensor): call for call in analysis.graph.calls for tensor in call.outputs}
    taps = _taps(analysis, makers)
    rests = [_rest(makers[id(tap)]) for tap in taps]
    active, mean = ([np.zeros(tap.shape[-1]) for tap in taps] for _ in range(2))
    for values in evaluated(analysis.graph, taps, x):
        for index, (each, rest) in enumerate(zip(values, rests, strict=True)):
            rows = each.reshape(len(each), -1, each.shape[-1])
            active[index] += (rows > rest).mean(axis=1, dtype=np.float64).sum(axis=0) / len(x)
            mean[index] += rows.mean(axis=1, dtype=np.float64).sum(axis=0) / len(x)
    return Activity(_by_unit(analysis, taps, active), _by_unit(analysis, taps, mean))


def _taps(analysis: Analysis, makers: dict[int, Call]) -> list[keras.KerasTensor]:
    """Every tensor that is read, as it was before it was pooled, flattened or joined to others."""
    found: dict[int, keras.KerasTensor] = {}
    waiting = [call.inputs[0] for reader in readers(analysis) for call in reader.calls]
    while waiting:
        tensor = waiting.pop()
        maker = makers.get(id(tensor))
        if maker is not None and isinstance(maker.layer, _CARRIERS):
            waiting += maker.inputs
        elif maker is not None and (analysis.units[id(tensor)] >= 0).any():
            found[id(tensor)] = tensor
    return list(found.values())


def _rest(maker: Call) -> float:
    """What the activation that made a tensor gives for 0."""
    activation = getattr(maker.layer, "activation", None)
    if activation is None or isinstance(maker.layer, layers.Softmax):
        return 0.0
    return float(keras.ops.convert_to_numpy(activation(keras.ops.zeros((1, 1))))[0, 0])


def _by_unit(
    analysis: Analysis, taps: Sequence[keras.KerasTensor], values: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Means over the channels of each unit, from one value per channel of every tensor."""
    units = UnitMeans(analysis.count)
    for tap, each in zip(taps, values, strict=True):
        units.add(analysis.units[id(tap)], each)
    return units.means()
