"""Small weights matter least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from .criterion import UnitMeans, batch_norms, norm_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..calibration import Calibration
    from ..channels import Analysis

__all__ = ["L1Norm"]


class L1Norm:
    """Mean magnitude of a channel's weights, relative to its layer's mean so that layers compare.

    A batch normalisation directly behind the layer is folded in. Li et al., "Pruning Filters for Efficient ConvNets"
    (2017).
    """

    needs_images = False
    estimates_loss = False
    refits = False

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit by the mean over the layers that make it; see `ChannelCriterion.scores`."""
        del calibration
        followers, units = batch_norms(analysis), UnitMeans(analysis.count)
        for producer in analysis.producers:
            magnitude = _magnitudes(producer.layer)
            for norm in followers.get(id(producer.layer), ()):
                magnitude = magnitude * _folded_scale(norm)
            units.add(producer.units, magnitude / max(float(magnitude.mean()), np.finfo(np.float64).tiny))
        return units.means()


def _magnitudes(layer: keras.Layer) -> NDArray[np.float64]:
    """Mean magnitude of the weights of each output channel, `[channels]`."""
    pointwise = isinstance(layer, keras.layers.SeparableConv2D)
    kernel = np.abs(layer.get_weights()[1 if pointwise else 0], dtype=np.float64)
    axis = kernel.ndim - (2 if isinstance(layer, keras.layers.Conv2DTranspose) else 1)
    return kernel.mean(axis=tuple(other for other in range(kernel.ndim) if other != axis))


def _folded_scale(norm: keras.layers.BatchNormalization) -> NDArray[np.float64]:
    """What a batch normalisation multiplies each channel by, `[channels]`."""
    return (norm_weight(norm, "gamma") if norm.scale else 1.0) / np.sqrt(
        norm_weight(norm, "moving_variance") + norm.epsilon
    )
