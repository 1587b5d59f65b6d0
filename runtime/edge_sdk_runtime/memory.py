"""The feature memory: embeddings of a few examples of every class, kept in the bundle.

With it a device can learn anew without the images: the head is retrained on what is remembered together with what is new, so
that the old classes are not forgotten (rehearsal, as in Rebuffi et al., "iCaRL", arXiv 1611.07725), and images that resemble
nothing remembered are told to be unknown.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import BundleCorruptError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bundle import Bundle

__all__ = ["MEMORY", "FeatureMemory", "balanced_sample"]

MEMORY = "memory.npz"
"""The member's name in a bundle."""


class FeatureMemory(NamedTuple):
    """Remembered embeddings with the class of each.

    Attributes:
        embeddings: `float32 [M, D]`; float16 holds each number exactly, as the bundle does.
        labels: Class indices, `int64 [M]`.
    """

    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def rounded(cls, embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> FeatureMemory:
        """A memory of what float16 keeps of embeddings.

        Args:
            embeddings: `float32 [M, D]`.
            labels: Class indices, `int64 [M]`.

        Raises:
            UsageError: A number is not finite, or larger than 65,504, the largest that float16 holds.
        """
        with np.errstate(over="ignore"):  # told below
            halves = embeddings.astype(np.float16)
        if not np.isfinite(halves).all():
            raise UsageError(
                "Embeddings to remember must be finite numbers of at most 65504. "
                f"Received: {float(np.abs(embeddings).max())} as the largest. Scale the encoder's output down."
            )
        return cls(halves.astype(np.float32), labels.astype(np.int64))

    @classmethod
    def of(cls, bundle: Bundle) -> FeatureMemory:
        """Read a bundle's memory.

        Raises:
            BundleCorruptError: It is missing or no memory of this bundle's classes.
        """
        form = bundle.manifest.staged
        name = form.memory if form and form.memory else MEMORY
        arrays = bundle.read_arrays(name)
        embeddings, labels = arrays.get("embeddings", np.empty(0)), arrays.get("labels", np.empty(0))
        fits = embeddings.ndim == 2 and labels.shape == embeddings.shape[:1] and labels.dtype.kind in "iu"
        if not fits or not np.isfinite(embeddings).all() or not _indices(labels, len(bundle.manifest.labels)):
            raise BundleCorruptError(
                f"{name} must hold finite embeddings [M, D] and a class index for each. "
                f"Received: {list(embeddings.shape)} and {list(labels.shape)}. Write the bundle again."
            )
        return cls(embeddings.astype(np.float32), labels.astype(np.int64))

    def to_bytes(self) -> bytes:
        """The member: an uncompressed .npz file of `embeddings`, `float16 [M, D]`, and `labels`, `int64 [M]`."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {"embeddings": self.embeddings.astype(np.float16), "labels": self.labels}
        np.savez(file, **arrays)  # no allow_pickle: NumPy 1 would store it as one more array
        return file.getvalue()

    def part(self, rows: NDArray[np.bool_]) -> FeatureMemory:
        """Some of it: what `rows`, `bool [M]`, says."""
        return FeatureMemory(self.embeddings[rows], self.labels[rows])

    def at_most(self, count: int, seed: int = 0) -> FeatureMemory:
        """What is remembered, of each class at most `count` examples; see `balanced_sample`."""
        chosen = balanced_sample(self.labels, count, seed)
        return FeatureMemory(self.embeddings[chosen], self.labels[chosen])

    def joined(self, other: FeatureMemory) -> FeatureMemory:
        """Both, this one first."""
        return FeatureMemory(
            np.concatenate((self.embeddings, other.embeddings)), np.concatenate((self.labels, other.labels))
        )

    def without(self, label: int) -> FeatureMemory:
        """All but one class, whose place the classes after it move up to fill."""
        kept = self.part(self.labels != label)
        return kept._replace(labels=kept.labels - (kept.labels > label))


def balanced_sample(labels: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose examples of every class at random, as many of each.

    A choice of those nearest to their class's mean, or of cluster centres, told unknown images no better: what counts is that
    the examples scatter as their class does.

    Args:
        labels: Class indices, `int64 [N]`.
        count: How many of each class, at least 1; all where it has not more.
        seed: Of the choice.

    Returns:
        Ascending indices, `int64 [at most classes · count]`.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [order[labels[order] == label][:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def _indices(labels: NDArray[np.generic], classes: int) -> bool:
    return bool(labels.size and labels.min() >= 0 and labels.max() < classes)
