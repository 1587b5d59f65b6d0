"""How a network is fine-tuned after a pass, as plain data that needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import RecipeError
from ..steps import steps_per_epoch

__all__ = ["RecoverConfig"]


@dataclass(frozen=True)
class RecoverConfig:
    """How a network is fine-tuned after a pass.

    Attributes:
        epochs: Most passes over the training data, 1 or more.
        min_steps: Optimisation steps that are planned at least, by more epochs where the data is small; 0 for no such floor.
        learning_rate: Adam's, at the start.
        distillation: Weight of the teacher against the labels, 0 (labels alone) to 1 (teacher alone).
        temperature: Softens both sides' probabilities, above 0.
        patience: Epochs without a better validation loss after which it stops; 0 never stops early.
        batch_size: Examples per step, 1 or more.
    """

    epochs: int = 6
    min_steps: int = 600
    learning_rate: float = 2e-3
    distillation: float = 0.5
    temperature: float = 2.0
    patience: int = 0
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0 or self.min_steps < 0:
            raise RecipeError(
                "epochs and batch_size must be at least 1, patience and min_steps at least 0. "
                f"Received: {self.epochs}, {self.batch_size}, {self.patience}, {self.min_steps}. "
                "Leave recover out for no recovery."
            )
        if not 0 <= self.distillation <= 1:
            raise RecipeError(f"distillation must be between 0 and 1. Received: {self.distillation}. Try 0.5.")
        if not (0 < self.temperature < math.inf and 0 < self.learning_rate < math.inf):  # NaN is neither
            raise RecipeError(
                "temperature and learning_rate must be above 0 and finite. "
                f"Received: {self.temperature} and {self.learning_rate}. Try 2.0 and 0.001."
            )

    def epochs_for(self, images: int) -> int:
        """Epochs for a training set of that many images: `epochs`, or as many as `min_steps` takes."""
        return max(self.epochs, math.ceil(self.min_steps / steps_per_epoch(images, self.batch_size)))
