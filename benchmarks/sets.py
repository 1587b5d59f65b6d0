"""Image sets as benchmarks learn from them: training, validation and test images under their native preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

__all__ = ["learning_set", "said_beside"]


def learning_set(name: str, limit: int | None = None) -> tuple[LearningData, Examples]:
    """A named set's training and validation images, and its test images apart.

    Args:
        name: As `edge-sdk demo --data` takes it.
        limit: The most images of each class, None for all.
    """
    from edge_sdk.data import load_images, prepare
    from edge_sdk.learn.train import augmentation_for, examples
    from edge_sdk_converters.learning import LearningData

    splits = load_images(name, limit=limit)
    assert splits.spec is not None, "named sets have a native size"
    train, validation, test = (
        examples(prepare(part, splits.spec)) for part in (splits.train, splits.validation, splits.test)
    )
    return LearningData(train, validation, augmentation_for(splits.flips)), test


def said_beside(*names: str) -> list[str]:
    """What must be said beside figures on named sets, as they were read here.

    Args:
        names: As `learning_set` takes them.
    """
    from edge_sdk.data import load_images

    return [note for note in (load_images(name, limit=20).note for name in names) if note]
