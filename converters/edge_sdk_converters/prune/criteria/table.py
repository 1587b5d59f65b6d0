"""The criterion behind each name."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import Criterion
from .activations import ActivationCount
from .batch_norm import BatchNormScale
from .criterion import ChannelCriterion
from .l1 import L1Norm
from .taylor import FirstOrderTaylor
from .thinet import ThiNet

__all__ = ["CRITERIA"]

CRITERIA: Mapping[Criterion, ChannelCriterion] = {
    Criterion.L1: L1Norm(),
    Criterion.BATCH_NORM: BatchNormScale(),
    Criterion.TAYLOR: FirstOrderTaylor(),
    Criterion.ACTIVATIONS: ActivationCount(),
    Criterion.THINET: ThiNet(),
}
"""The criterion behind each name."""
