"""What the strong encoder of the ImageEm benchmarks and its teachers have in common: dtype, changes to images, how they report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.training import Augment, Progress

__all__ = ["MOVED", "changed", "exact", "in_bfloat16", "normalized", "tell"]

MOVED = 0.125
"""Farthest move of an image along each side, as a fraction of it."""


def in_bfloat16(build: Callable[[], keras.Model]) -> keras.Model:
    """A network whose passes are computed in bfloat16, which takes two thirds of the time; its weights are float32.

    Args:
        build: Makes it, untrained; layers that name a dtype keep it.
    """
    import keras

    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        return build()
    finally:
        keras.mixed_precision.set_dtype_policy(policy)


def exact(trained: keras.Model, untrained: keras.Model) -> keras.Model:
    """The second network with the weights of the first, which is the same but for its dtype."""
    untrained.set_weights(trained.get_weights())
    return untrained


def normalized(x: keras.KerasTensor, name: str, *, relu: bool = True) -> keras.KerasTensor:
    """Batch normalisation, and ReLU unless something is added first."""
    from keras import layers

    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def changed(how: Augmentation) -> Augment:
    """Augmentation as training takes it."""
    from edge_sdk.learn.augment import augment

    def change(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return augment(x, how, rng)

    return change


def tell(what: str) -> Progress:
    """Reports every epoch of what is named, with the time of day."""

    def report(done: int, planned: int, figures: dict[str, float]) -> None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}: epoch {done} of {planned}: {values}\n")

    return report
