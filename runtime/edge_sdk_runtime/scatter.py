"""How embeddings of one class scatter around their mean: what tells one class from another, and what belongs to none.

The scatter is one for all classes, pooled from the remembered examples, as in Fisher's linear discriminant analysis. Few
examples say little about so many directions; so half of it is taken to be equal in all of them (Ledoit and Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", 2004).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .memory import FeatureMemory

__all__ = ["EQUAL", "class_means", "unit", "unscattered", "whitening"]

EQUAL = 0.5
"""The part of the scatter that is taken to be equal in all directions; see `benchmarks/teaching_choice.py`."""
_FINEST = 1e-4
"""Least scatter, as a share of the embeddings' mean square: a hundredth of their length, finer than any camera repeats itself."""
_TINY = 1e-12


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Vectors, `[…, D]`, at length 1; zero vectors stay zero."""
    exact = vectors.astype(np.float64)
    exact /= np.maximum(np.linalg.norm(exact, axis=-1, keepdims=True), _TINY)
    return exact


def class_means(vectors: NDArray[np.floating], labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Mean of every class, `float64 [classes, D]`; zero for one without vectors.

    Args:
        vectors: `[M, D]`.
        labels: Class indices, `int64 [M]`.
        classes: Number of classes.
    """
    members = (labels == np.arange(classes)[:, np.newaxis]).astype(np.float64)
    means: NDArray[np.float64] = members @ vectors
    means /= np.maximum(members.sum(axis=1, keepdims=True), 1)
    return means


def whitening(vectors: NDArray[np.floating], labels: NDArray[np.int64], equal: float = EQUAL) -> NDArray[np.float64]:
    """A matrix W by which vectors scatter equally in all directions: |x W - m W| is the Mahalanobis distance of x and m.

    Args:
        vectors: `[M, D]`; D³ operations are spent.
        labels: Class indices, `int64 [M]`.
        equal: The part of the scatter that is taken to be equal in all directions, above 0 and at most 1.

    Returns:
        `float64 [D, D]`.
    """
    return np.linalg.inv(np.linalg.cholesky(_covariance(*_residuals(vectors, labels), equal))).T


def unscattered(directions: NDArray[np.floating], memory: FeatureMemory, equal: float = EQUAL) -> NDArray[np.float64]:
    """Directions turned away from those in which the unit embeddings of every class scatter: Σ⁻¹ d.

    Args:
        directions: `[k, D]`, for instance class means.
        memory: What the scatter is taken from.
        equal: As for `whitening`.

    Returns:
        `float64 [k, D]`, each as long as it was.
    """
    residuals, level = _residuals(unit(memory.embeddings), memory.labels)
    exact = directions.astype(np.float64)
    if residuals.shape[1] <= len(residuals):
        turned = np.linalg.solve(_covariance(residuals, level, equal), exact.T).T
    else:  # Woodbury's identity: M examples scatter in M directions at most, however wide they are
        scaled = residuals * (1 - equal) ** 0.5
        inner = equal * level * np.eye(len(scaled)) + scaled @ scaled.T
        turned = exact - np.linalg.solve(inner, scaled @ exact.T).T @ scaled
    turned = unit(turned)
    turned *= np.linalg.norm(exact, axis=1, keepdims=True)
    return turned


def _covariance(residuals: NDArray[np.float64], level: float, equal: float) -> NDArray[np.float64]:
    covariance: NDArray[np.float64] = (1 - equal) * residuals.T @ residuals
    covariance[np.diag_indices_from(covariance)] += equal * level
    return covariance


def _residuals(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """Differences from the class means, scaled so that RᵀR is the covariance, and its mean over all directions."""
    exact = vectors.astype(np.float64)
    classes = int(labels.max()) + 1
    free = max(1, len(exact) - len(np.unique(labels)))
    residuals = (exact - class_means(exact, labels, classes)[labels]) / free**0.5
    level = float((residuals * residuals).sum()) / exact.shape[1]
    return residuals, max(level, _FINEST * float((exact * exact).mean()), _TINY)
