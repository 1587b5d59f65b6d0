"""What a staged bundle remembers of its training images, so that a device can teach it more and tell what is unknown.

Embeddings are computed by the runtime from the exported encoder, quantized or not, as the device will compute those of what it is
shown. The thresholds of unknown images are set on validation images, which the encoder has not learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime import Bundle
from edge_sdk_runtime.interpreters import interpreter_for
from edge_sdk_runtime.manifest import UnknownRule
from edge_sdk_runtime.memory import FeatureMemory, balanced_sample
from edge_sdk_runtime.pipelines import StagedPipeline, make_pipeline
from edge_sdk_runtime.unknown import WIDEST, ClassDistances

from .errors import ModelError
from .training import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RememberConfig", "Remembered", "remember", "unknown_rule"]

_LIMIT_BYTES = 1_000_000
"""The largest memory: embeddings that are images take kilobytes each, and then fewer are remembered."""
_VALIDATION = 2_000
"""Validation images that the thresholds are set on, at most."""
_LEAST = 1.0
"""The smallest threshold: a distance of 1 is the scatter in a single direction. Images that are all equal have none."""
_ENOUGH = 2
"""Images of a class that lie beyond its own threshold, at least: 58 validation images at the usual share."""


@dataclass(frozen=True)
class RememberConfig:
    """What may be remembered.

    Attributes:
        train: Model inputs, `uint8 [N, H, W, C]`, and class indices; some of them are remembered.
        validation: Likewise, of images that no training saw; the thresholds are set on them.
        per_class: How many images of each class are remembered, at least 2.
        flagged: Share of known images that may be taken for unknown, above 0 and below 1.
        seed: Of the choice.

    Raises:
        ModelError: A number is outside what it may be.
    """

    train: Examples
    validation: Examples
    per_class: int = 40
    flagged: float = 0.035
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_class < 2 or not 0 < self.flagged < 1:
            raise ModelError(
                "At least 2 images of each class are remembered, and a share between 0 and 1 may be flagged. "
                f"Received: {self.per_class} and {self.flagged}. Leave the memory out where none is wanted."
            )


@dataclass(frozen=True)
class Remembered:
    """What goes into the bundle.

    Attributes:
        memory: Embeddings of training images.
        unknown: The rule for unknown images; None where embeddings are too wide for it, or there are too few images.
    """

    memory: FeatureMemory
    unknown: UnknownRule | None


def remember(bundle: Bundle, config: RememberConfig) -> Remembered:
    """Embed some images with a bundle's own encoder, and set the thresholds.

    Args:
        bundle: With a staged form; nothing of its head is used.
        config: The images.

    Raises:
        UsageError: The encoder gives numbers that cannot be remembered.
    """
    pipeline = make_pipeline(bundle, "staged", interpreter_for(bundle.manifest.models_of("staged")), threads=1)
    assert isinstance(pipeline, StagedPipeline)
    try:
        width = len(pipeline.embed_input(config.train.x[0]))
        classes = len(bundle.manifest.labels)
        count = max(2, min(config.per_class, _LIMIT_BYTES // (2 * width * classes)))
        chosen = balanced_sample(config.train.y, count, config.seed)
        memory = FeatureMemory.rounded(_embedded(pipeline, config.train.x[chosen]), config.train.y[chosen])
        judged = balanced_sample(config.validation.y, max(1, _VALIDATION // classes), config.seed)
        held_out = _embedded(pipeline, config.validation.x[judged])
    finally:
        pipeline.close()
    counts = np.bincount(memory.labels, minlength=classes)
    if width > WIDEST or counts.min() < 2:
        return Remembered(memory, None)
    distances = ClassDistances(memory)(held_out)
    return Remembered(memory, unknown_rule(distances, config.flagged, config.validation.y[judged]))


def _embedded(pipeline: StagedPipeline, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.stack([pipeline.embed_input(image) for image in inputs])


def unknown_rule(
    distances: NDArray[np.floating], flagged: float, targets: NDArray[np.int64] | None = None
) -> UnknownRule:
    """The thresholds beyond which as many validation images lie as may be flagged.

    Every class has one of its own where it has images enough: tight classes then let less in that is strange. Of a few dozen images a
    far quantile is chance, and all classes have the same.

    Args:
        distances: Of validation images to every class, `[N, classes]`.
        flagged: Share of images that may be flagged, above 0 and below 1.
        targets: Their class indices, `[N]`; None for one threshold in any case.
    """
    classes = distances.shape[1]
    own = np.full(classes, _LEAST)
    if targets is not None and np.bincount(targets, minlength=classes).min() * flagged >= _ENOUGH:
        each = [np.quantile(distances[targets == label, label], 1 - flagged) for label in range(classes)]
        own = np.maximum(np.array(each, np.float64), _LEAST)
    scale = np.quantile((distances / own).min(axis=1).astype(np.float64), 1 - flagged)
    return UnknownRule(tuple(max(_LEAST, float(each * scale)) for each in own))
