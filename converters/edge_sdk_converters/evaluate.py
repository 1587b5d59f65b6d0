"""A bundle measured with the runtime, as a device would run it: accuracy, and latency per stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_sdk_runtime import Bundle, Classifier, LatencySummary

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Evaluation", "Frames", "embed", "evaluate"]


class Frames(Protocol):
    """Frames that may be decoded on access: what a list of arrays offers, and no more."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """`uint8 [height, width, 3]`, BGR; IndexError past the end."""


@dataclass(frozen=True)
class Evaluation:
    """What a bundle makes of labelled frames.

    Attributes:
        labels: Class names.
        targets: True class indices, `int64 [N]`.
        predictions: Most probable class indices, `int64 [N]`.
        latency: Percentiles per stage and in `total`, after warm-up, on this machine.
    """

    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    predictions: NDArray[np.int64]
    latency: dict[str, LatencySummary]

    @property
    def accuracy(self) -> float:
        """Share of frames classified rightly, 0 to 1."""
        return float((self.predictions == self.targets).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts `int64 [true class, predicted class]`."""
        counts = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(counts, (self.targets, self.predictions), 1)
        return counts


def evaluate(
    bundle: Bundle,
    frames: Frames,
    targets: NDArray[np.int64],
    *,
    form: str | None = None,
    interpreter: str | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Classify labelled frames with the runtime.

    Args:
        bundle: An opened bundle.
        frames: `uint8 [height, width, 3]`, BGR, one per target and at least one.
        targets: Class indices, `int64 [N]`.
        form: `"staged"` or `"fused"`; the bundle's own default where None.
        interpreter: Name of the interpreter; the first available where None.
        threads: Threads the interpreter may use.
        progress: Told how many frames are done, of how many.
    """
    predictions = np.empty(len(targets), np.int64)
    with Classifier(bundle, form=form, interpreter=interpreter, threads=threads) as classifier:
        classifier.warm_up(20)
        for i in range(len(targets)):
            predictions[i] = classifier.classify(frames[i]).class_index
            if progress:
                progress(i + 1, len(targets))
        return Evaluation(bundle.manifest.labels, targets, predictions, classifier.summary())


def embed(bundle: Bundle, frames: Frames) -> NDArray[np.float32]:
    """Embeddings of frames by a staged bundle's encoder.

    Returns:
        `float32 [N, D]`.

    Raises:
        UsageError: The bundle holds no staged form.
    """
    with Classifier(bundle, form="staged") as classifier:
        return np.stack(
            [classifier.pipeline.trace(frame)["embed"] for frame in (frames[i] for i in range(len(frames)))]
        ).astype(np.float32)
