"""Whether an image shows anything that the bundle has seen examples of.

A network gives every image to some class, however little it resembles any. What belongs to none lies far from every class's
mean, measured by how the classes scatter: the Mahalanobis distance with a shared covariance, as in Lee et al., "A Simple Unified
Framework for Detecting Out-of-Distribution Samples" (arXiv 1807.03888). It is taken of embeddings as they are and of embeddings
at length 1, and both squares are added: the first sees what is too faint or too strong, the second what points elsewhere. Means
and scatter are those of the feature memory. The classes that a bundle was made with have one threshold, those that it was taught
have thresholds of their own. `benchmarks/teaching_choice.py` compares this with what else could be done, `benchmarks/teaching.py`
has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import BundleCorruptError
from .memory import FeatureMemory
from .scatter import EQUAL, class_means, unit, whitening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bundle import Bundle

__all__ = ["WIDEST", "ClassDistances", "CompiledUnknown"]

WIDEST = 256
"""Widest embedding of which distances are taken: their cost grows with its square."""

_TINY = 1e-12


class ClassDistances:
    """Distances of embeddings to classes, made ready: 2 · D · (D + classes) multiply-accumulates for one.

    Args:
        memory: The feature memory; every class has examples in it.
        equal: As for `whitening`.

    Attributes:
        whitening: `float32 [D, 2 · D]`, for embeddings as they are and at length 1, side by side.
        means: `float32 [classes, 2 · D]`, of the classes' examples after that.
    """

    def __init__(self, memory: FeatureMemory, equal: float = EQUAL) -> None:
        parts = [memory.embeddings.astype(np.float64), unit(memory.embeddings)]
        matrices = [whitening(part, memory.labels, equal) for part in parts]
        classes = int(memory.labels.max()) + 1
        means = [
            class_means(part @ matrix, memory.labels, classes) for part, matrix in zip(parts, matrices, strict=True)
        ]
        self.whitening = np.concatenate(matrices, axis=1).astype(np.float32)
        self.means = np.concatenate(means, axis=1).astype(np.float32)

    def placed(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings, `float32 [N, D]`, where distances are taken, `float32 [N, 2 · D]`."""
        width = embeddings.shape[1]
        places = embeddings @ self.whitening
        places[:, width:] /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32(_TINY))
        return places

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance of every embedding, `float32 [N, D]`, to every class, `float32 [N, classes]`."""
        places = self.placed(embeddings)
        distances = [np.linalg.norm(places - mean, axis=1) for mean in self.means]
        return np.stack(distances, axis=1).astype(np.float32)


class CompiledUnknown:
    """The rule for one embedding at a time, with nothing allocated that stays.

    An instance reuses its memory and is therefore for one thread at a time.

    Args:
        distances: To the classes.
        thresholds: Per class, the largest distance of its images, above 0.
    """

    def __init__(self, distances: ClassDistances, thresholds: tuple[float, ...]) -> None:
        width = distances.whitening.shape[0]
        self._whitening = np.ascontiguousarray(distances.whitening.T)
        self._middle = distances.means.mean(axis=0)
        means = distances.means - self._middle  # squares of what lies around the origin lose the least to rounding
        self._means, self._lengths = -2 * means, (means * means).sum(axis=1)
        self._scales = 1 / np.array(thresholds, np.float32) ** 2
        self._place = np.empty(2 * width, np.float32)
        self._unit_place = self._place[width:]
        self._squares = np.empty(len(means), np.float32)

    @classmethod
    def of(cls, bundle: Bundle, width: int) -> CompiledUnknown | None:
        """A bundle's rule; None where it has none.

        Args:
            bundle: The bundle.
            width: D, as the encoder gives it.

        Raises:
            BundleCorruptError: Its memory is missing, damaged, of another width, or lacks a class.
        """
        rule = bundle.manifest.unknown
        if rule is None:
            return None
        memory = FeatureMemory.of(bundle)
        classes = len(np.unique(memory.labels))
        if memory.embeddings.shape[1] != width or width > WIDEST or classes != len(rule.thresholds):
            raise BundleCorruptError(
                f"To tell unknown images, embeddings of all {len(rule.thresholds)} classes must be remembered, {width} and at most "
                f"{WIDEST} wide. Received: {classes} classes, {memory.embeddings.shape[1]} wide. Write the bundle again."
            )
        return cls(ClassDistances(memory), rule.thresholds)

    def strangeness(self, embedding: NDArray[np.float32]) -> float:
        """The smallest squared distance to a class, that class's own threshold being 1; above 1 an embedding is unknown.

        Args:
            embedding: `float32 [D]`.
        """
        place = np.dot(self._whitening, embedding, out=self._place)
        self._unit_place *= 1 / max(float(embedding.dot(embedding)) ** 0.5, _TINY)
        np.subtract(place, self._middle, out=place)
        # |p - m|² as |p|² - 2 m·p + |m|²: differences from every mean, or min() at the end, would take kilobytes for iterators.
        squares = np.dot(self._means, place, out=self._squares)
        np.add(squares, self._lengths, out=squares)
        np.add(squares, place.dot(place), out=squares)
        np.multiply(squares, self._scales, out=squares)
        return float(squares[squares.argmin()])
