"""What a head learns from: features and targets, checked, weighted by class, and brought to one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Examples", "Scaling", "balanced_weights", "checked", "checked_weights"]

_VARIES = 1e-6
"""Deviation, as a share of the mean, below which a feature is constant; what float32 leaves of one is about a tenth of it."""

_LEAST = 1e-3
"""Least deviation, as a share of the mean, that a feature is divided by. Interpreters agree on features within about 1e-6: multiplied by
tens of thousands, that would be seen in the scores."""


def balanced_weights(targets: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Class weights under which every class that has examples counts as much as any other.

    Args:
        targets: Class indices, `int64 [N]`.
        classes: Number of classes.

    Returns:
        `float32 [classes]`: inversely proportional to a class's number of examples and 1 on their average; 0 where it has none.

    Raises:
        UsageError: There are no examples, or a target is no class index.
    """
    counts = np.bincount(_checked_targets(targets, classes), minlength=classes)
    shares = len(targets) / np.count_nonzero(counts) / np.maximum(counts, 1)
    return np.where(counts > 0, shares, 0).astype(np.float32)


@dataclass(frozen=True)
class Examples:
    """What a network is shown.

    Attributes:
        x: Standardised features, `float32 [N, P]`.
        y: Class indices, `int64 [N]`.
        weights: How much each counts, `float32 [N]`; 1 where None.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Scaling:
    """Features brought to mean 0 and deviation 1; one that hardly varies to less and a constant one to 0: nothing is concluded from it.

    Attributes:
        mean: Of every feature, `float64 [P]`.
        deviation: Likewise, at least a share of the mean; 0 for a constant feature.
        inverse: What features are multiplied by, 0 for a constant one.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> Scaling:
        """The scaling that features `[N, P]` ask for."""
        mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        constant = deviation <= _VARIES * np.abs(mean)
        deviation = np.where(constant, 0, np.maximum(deviation, _LEAST * np.abs(mean)))
        return cls(mean, deviation, np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features standardised, `float32 [N, P]`, a new array."""
        scaled = np.subtract(features, self.mean, dtype=np.float32)
        scaled *= self.inverse.astype(np.float32)
        return scaled

    def folded(
        self, kernel: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A first layer of standardised features as one of features as they are.

        Args:
            kernel: `[P, out]`.
            bias: `[out]`.

        Returns:
            Kernel and bias that give the same for the features themselves.
        """
        scaled = kernel.astype(np.float64) * self.inverse[:, np.newaxis]
        return scaled.astype(np.float32), (bias - self.mean @ scaled).astype(np.float32)


def checked(
    features: NDArray[Any], targets: NDArray[Any], classes: int, what: str, width: int | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Features as floating-point numbers and targets as indices.

    Args:
        features: Should be finite, `[N, P]`.
        targets: Should be class indices, `[N]`.
        classes: Number of classes.
        what: What they are for, to begin an error with.
        width: P, where it is known.

    Raises:
        UsageError: They are none.
    """
    if features.ndim != 2 or 0 in features.shape or features.shape[1] != (width or features.shape[1]):
        raise UsageError(
            f"{what} needs features [N, {width or 'P'}] of at least one example. Received: {list(features.shape)}. "
            "Compute them with similarity_features."
        )
    if not (finite := np.isfinite(features).all(axis=1)).all():
        raise UsageError(
            f"Features must be finite. Received: NaN or infinity in row {int(np.argmin(finite))}. Leave that example out."
        )
    if targets.shape != features.shape[:1]:
        raise UsageError(
            f"{what} needs one target per example, [{len(features)}]. Received: {list(targets.shape)}. Pass class indices."
        )
    kind = features.dtype if features.dtype == np.float64 else np.float32
    return features.astype(kind, copy=False), _checked_targets(targets, classes)


def _checked_targets(targets: NDArray[Any], classes: int) -> NDArray[np.int64]:
    if not (targets.ndim == 1 and targets.size and np.issubdtype(targets.dtype, np.integer)):
        raise UsageError(
            f"Targets must be integers [N], at least one. Received: {targets.dtype} {list(targets.shape)}. Pass class indices."
        )
    if targets.min() < 0 or targets.max() >= classes:
        raise UsageError(
            f"Targets must be class indices from 0 to {classes - 1}. "
            f"Received: {targets.min()} to {targets.max()}. Count the classes, or number them from 0."
        )
    return targets.astype(np.int64, copy=False)


def checked_weights(weights: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Class weights as `float32 [classes]`.

    Raises:
        UsageError: They are none: another number of them, a negative one or NaN, or all 0.
    """
    if weights.shape != (classes,) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise UsageError(
            f"Class weights must be [{classes}], none negative or NaN and one above 0. "
            f"Received: {list(weights.shape)}{f' from {weights.min()} to {weights.max()}' if weights.size else ''}. "
            "Use balanced_weights."
        )
    return weights.astype(np.float32, copy=False)
