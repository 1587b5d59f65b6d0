"""Channels that a batch normalisation scales down matter least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .criterion import UnitMeans, batch_norms, norm_weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..calibration import Calibration
    from ..channels import Analysis

__all__ = ["BatchNormScale"]


class BatchNormScale:
    """Magnitude of the scale of the batch normalisations directly behind; units without one never go.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017).
    """

    needs_images = False
    estimates_loss = False
    refits = False

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit by the mean of its scales; see `ChannelCriterion.scores`."""
        del calibration
        followers, units = batch_norms(analysis), UnitMeans(analysis.count)
        for producer in analysis.producers:
            for norm in followers.get(id(producer.layer), ()):
                if norm.scale:
                    units.add(producer.units, norm_weight(norm, "gamma"))
        return units.means()
