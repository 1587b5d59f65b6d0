"""What the strong encoder of the ImageEm benchmarks and its teachers have in common: image and embedding, dtype, changes, reports."""

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

__all__ = [
    "MOVED",
    "changed",
    "convolved",
    "embedded",
    "exact",
    "in_bfloat16",
    "in_halves",
    "normalized",
    "scaled",
    "tell",
]

MOVED = 0.125
"""Farthest move of an image along each side, as a fraction of it."""
_EMBEDDING = 64


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


def in_halves(model: keras.Model) -> keras.Model:
    """The network with each batch in two halves, which two threads compute side by side: nearly twice as fast as one after the other.

    Threads that share every single operation gain far less where operations are small. Statistics of batches are those of halves.

    Args:
        model: One input, one output; an even number of images at a time. Both share their weights.
    """
    import keras
    from keras import layers, ops

    image = model.inputs[0]
    whole = keras.Input(image.shape[1:], dtype=image.dtype, name="batch")
    shapes = [image.shape[1:]] * 2
    halves = layers.Lambda(lambda images: ops.split(images, 2), output_shape=shapes, name="halves")(whole)
    return keras.Model(whole, layers.Concatenate(axis=0, name="joined")([model(half) for half in halves]))


def exact(trained: keras.Model, untrained: keras.Model) -> keras.Model:
    """The second network with the weights of the first, which is the same but for its dtype."""
    untrained.set_weights(trained.get_weights())
    return untrained


def scaled() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The image, `uint8 [batch, 32, 32, 3]`, and its values from -1 to 1."""
    import keras
    from keras import layers

    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    return image, layers.Rescaling(1 / 127.5, -1.0, name="scaling")(image)


def embedded(x: keras.KerasTensor) -> keras.KerasTensor:
    """The embedding of 64, in float32."""
    from keras import layers

    return layers.Dense(_EMBEDDING, name="embedding", dtype="float32")(x)


def convolved(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Convolution 3×3 of the same size."""
    from keras import layers

    return layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)


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
