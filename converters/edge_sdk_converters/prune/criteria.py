"""How much each removable unit matters: one criterion per class, lowest score goes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import keras
import numpy as np

from .config import Criterion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .channels import Analysis

__all__ = ["CRITERIA", "BatchNormScale", "ChannelCriterion", "L1Norm"]


class ChannelCriterion(Protocol):
    """A way to judge units. Implementations must give comparable scores across layers."""

    def scores(self, analysis: Analysis) -> NDArray[np.float64]:
        """Judge every unit.

        Args:
            analysis: What can be removed, with the layers and their weights.

        Returns:
            `float64 [analysis.count]`; the lowest goes first, infinity never goes.
        """
        ...


class L1Norm:
    """Mean magnitude of a channel's weights, relative to its layer's mean so that layers compare.

    A batch normalisation directly behind the layer is folded in. Li et al., "Pruning Filters for Efficient ConvNets"
    (2017).
    """

    def scores(self, analysis: Analysis) -> NDArray[np.float64]:
        """Judge every unit by the mean over the layers that make it; see `ChannelCriterion.scores`."""
        followers = _batch_norms(analysis)
        total, times = np.zeros(analysis.count), np.zeros(analysis.count)
        for producer in analysis.producers:
            magnitude = _magnitudes(producer.layer)
            for norm in followers.get(id(producer.layer), ()):
                magnitude = magnitude * _folded_scale(norm)
            magnitude = magnitude / max(float(magnitude.mean()), np.finfo(np.float64).tiny)
            removable = producer.units >= 0
            np.add.at(total, producer.units[removable], magnitude[removable])
            np.add.at(times, producer.units[removable], 1)
        return total / times


class BatchNormScale:
    """Magnitude of the scale of the batch normalisations directly behind; units without one never go.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017).
    """

    def scores(self, analysis: Analysis) -> NDArray[np.float64]:
        """Judge every unit by the mean of its scales; see `ChannelCriterion.scores`."""
        followers = _batch_norms(analysis)
        total, times = np.zeros(analysis.count), np.zeros(analysis.count)
        for producer in analysis.producers:
            removable = producer.units >= 0
            for norm in followers.get(id(producer.layer), ()):
                if norm.scale:
                    np.add.at(total, producer.units[removable], _weight(norm, "gamma")[removable])
                    np.add.at(times, producer.units[removable], 1)
        return np.where(times > 0, total / np.maximum(times, 1), np.inf)


CRITERIA: Mapping[Criterion, ChannelCriterion] = {Criterion.L1: L1Norm(), Criterion.BATCH_NORM: BatchNormScale()}
"""The criterion behind each name."""


def _batch_norms(analysis: Analysis) -> dict[int, list[keras.layers.BatchNormalization]]:
    """By `id` of a producing layer, the batch normalisations that take its output and nothing before them does."""
    makers = {id(call.outputs[0]): call.layer for call in analysis.graph.calls if len(call.outputs) == 1}
    found: dict[int, list[keras.layers.BatchNormalization]] = {}
    for call in analysis.graph.calls:
        maker = makers.get(id(call.inputs[0])) if call.inputs else None
        if isinstance(call.layer, keras.layers.BatchNormalization) and maker is not None:
            norms = found.setdefault(id(maker), [])
            norms += [] if any(norm is call.layer for norm in norms) else [call.layer]
    return found


def _magnitudes(layer: keras.Layer) -> NDArray[np.float64]:
    """Mean magnitude of the weights of each output channel, `[channels]`."""
    pointwise = isinstance(layer, keras.layers.SeparableConv2D)
    kernel = np.abs(layer.get_weights()[1 if pointwise else 0], dtype=np.float64)
    axis = kernel.ndim - (2 if isinstance(layer, keras.layers.Conv2DTranspose) else 1)
    return kernel.mean(axis=tuple(other for other in range(kernel.ndim) if other != axis))


def _folded_scale(norm: keras.layers.BatchNormalization) -> NDArray[np.float64]:
    """What a batch normalisation multiplies each channel by, `[channels]`."""
    return (_weight(norm, "gamma") if norm.scale else 1.0) / np.sqrt(_weight(norm, "moving_variance") + norm.epsilon)


def _weight(norm: keras.layers.BatchNormalization, name: str) -> NDArray[np.float64]:
    """Magnitudes of one of the layer's weights, `[channels]`."""
    values = {weight.name: value for weight, value in zip(norm.weights, norm.get_weights(), strict=True)}
    return np.abs(values[name], dtype=np.float64)
