"""What passes may learn from, and what they are told when they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .training import Augment, Examples

if TYPE_CHECKING:
    import keras

__all__ = ["LearningData", "PassContext", "Told"]

Told = Callable[[str, int, int], None]
"""Told what is being done, and how far: done, planned."""


@dataclass(frozen=True)
class LearningData:
    """Preprocessed images that passes may learn from; held-out test images are not among them.

    Attributes:
        train: Images and class indices for fine-tuning and calibration.
        validation: Decides when to stop, and what a pass's accuracy is measured on.
        augment: Changes each training batch, or None.
    """

    train: Examples
    validation: Examples
    augment: Augment | None = None


@dataclass(frozen=True)
class PassContext:
    """What surrounds a pass.

    Attributes:
        data: What it may learn from and measure itself on.
        teacher: The classifier that came in, for distillation; it stays untouched.
        seed: Of everything random.
        told: Told what is being done, or None.
    """

    data: LearningData
    teacher: keras.Model
    seed: int = 0
    told: Told | None = None
