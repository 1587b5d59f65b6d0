"""How many steps an epoch has: one place for the training loop and for those who plan its epochs."""

from __future__ import annotations

import math

__all__ = ["repeats_per_epoch", "steps_per_epoch"]

_MIN_STEPS = 20
"""With fewer steps between two looks at the validation images, looking takes longer than learning."""


def repeats_per_epoch(images: int, batch_size: int) -> int:
    """How often an epoch shows every image: once, or more often where there are few.

    Args:
        images: Number of training images, 1 or more.
        batch_size: Images per step.
    """
    return math.ceil(_MIN_STEPS * batch_size / images) if images <= (_MIN_STEPS - 1) * batch_size else 1


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Optimisation steps between two looks at the validation images.

    Args:
        images: Number of training images, 1 or more.
        batch_size: Images per step.
    """
    return math.ceil(images * repeats_per_epoch(images, batch_size) / batch_size)
