"""From frames to the embeddings that a class is learnt from, by the bundle's own preprocessing and encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import length_hint
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pipelines import StagedPipeline

__all__ = ["Examples", "Told", "embed_frames"]

Told = Callable[[str, int, int], None]
"""Told what is being done, and how far: done, planned; 0 where nobody knows how much there is to do."""


class Examples(NamedTuple):
    """What there is to learn one class from.

    Attributes:
        embeddings: `float32 [N, D]`, all different, none zero.
        images: Number of frames that came.
        repeated: Those of them whose embedding was there already; identical images say nothing new.
        blank: Those whose embedding is zero, which resembles nothing.
        embed_ns: Nanoseconds that preprocessing and encoding took.
    """

    embeddings: NDArray[np.float32]
    images: int
    repeated: int
    blank: int
    embed_ns: int

    def part(self, rows: NDArray[np.bool_]) -> Examples:
        """Some of them."""
        return self._replace(embeddings=self.embeddings[rows])


def embed_frames(
    pipeline: StagedPipeline, label: str, frames: Iterable[NDArray[np.uint8]], told: Told | None = None
) -> Examples:
    """Embed the frames of one class.

    Args:
        pipeline: The bundle's staged form.
        label: The class, to name it in an error.
        frames: `uint8 [height, width, 3]`, BGR, of any sizes; each is read when it is needed and then let go.
        told: Told after every frame.

    Raises:
        UsageError: There is no frame, none of them shows anything to the encoder, or an embedding is not finite.
        FrameError: An array is no frame.
    """
    rows: list[NDArray[np.float32]] = []
    nanoseconds, planned = 0, length_hint(frames, 0)
    for frame in frames:
        begun = perf_counter_ns()
        rows.append(pipeline.embed(frame))
        nanoseconds += perf_counter_ns() - begun
        if told:
            told(f"{label}: embed", len(rows), planned)
    if not rows:
        raise UsageError(f"A class needs at least one image. Received: none for {label!r}. Add images of it.")
    return _examples(label, np.stack(rows), nanoseconds)


def _examples(label: str, embeddings: NDArray[np.float32], nanoseconds: int) -> Examples:
    if not np.isfinite(embeddings).all():
        raise UsageError(
            f"Embeddings must be finite. Received: NaN or infinity for an image of {label!r}. Make the bundle again."
        )
    shown = embeddings[embeddings.any(axis=1)]
    if not len(shown):
        raise UsageError(
            f"An image must show something. Received: {len(embeddings)} of {label!r} whose embedding is zero, as a black one's may be. "
            "Add images of the object."
        )
    first = np.sort(np.unique(shown, axis=0, return_index=True)[1])
    return Examples(shown[first], len(embeddings), len(shown) - len(first), len(embeddings) - len(shown), nanoseconds)
