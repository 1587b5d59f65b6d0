"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 24, then three blocks of [conv 3×3, max pool, conv 3×3] with 32, 96 and 128 filters, batch norm and ReLU after
each convolution, global average pooling, dense 64: 0.4 million parameters, 26 million multiply-accumulates. Pooling between the two
convolutions of a block is as in Jordan's "airbench" (arXiv 2404.00498). It learns as the SDK's own similarity encoder does, by cosines
to trainable class prototypes, here with smoothed labels and no margin.

Passes are computed in bfloat16, which takes two thirds of the time; weights are float32 throughout, and so is what is kept.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from .trained import kept

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

__all__ = ["CODE", "build_strong_encoder", "strong_encoder", "tuned_encoder"]

CODE = 2
"""Changes whenever a change of this file may change what is learnt: what was tuned from another encoder is not used."""

_WIDTHS = (32, 96, 128)
_EMBEDDING = 64
_EPOCHS = 48
_RATE = 0.1
_MOMENTUM = 0.9
_DECAY = 5e-3
_BATCH = 128
_SEED = 0
_SMOOTHING = 0.1
_ERASE = 0.25
"""Side of the patch that is hidden: without one, training images were told apart 8 points better than validation images."""


def build_strong_encoder(widths: tuple[int, ...] = _WIDTHS, embedding: int = _EMBEDDING) -> keras.Model:
    """An untrained encoder: `uint8 [batch, 32, 32, 3]` → `float32 [batch, embedding]`."""
    import keras
    from keras import layers

    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scaling")(image)
    x = _normalized(layers.Conv2D(24, 2, use_bias=False, name="stem")(x), "stem")
    for block, width in enumerate(widths, 1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"block{block}_a")(x)
        x = _normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}_a")
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"block{block}_b")(x)
        x = _normalized(x, f"block{block}_b")
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return keras.Model(image, layers.Dense(embedding, name="embedding", dtype="float32")(x), name="encoder")


def strong_encoder(data: LearningData, classes: int, *, quick: bool = False) -> keras.Model:
    """The encoder, trained and kept between runs; a third as wide and for one epoch where `quick`.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
        quick: For a run of seconds that shows only that the code runs.
    """
    if quick:
        return _trained(data, classes, (8, 16, 16), 1)
    settings = {
        "widths": _WIDTHS,
        "epochs": _EPOCHS,
        "rate": [_RATE, _MOMENTUM, _DECAY],
        "batch": _BATCH,
        "seed": _SEED,
        "images": len(data.train.y),
        "changes": [_ERASE, _SMOOTHING],
    }
    return kept("strong-encoder", settings, lambda: _trained(data, classes, _WIDTHS, _EPOCHS))


def tuned_encoder(
    start: keras.Model, train: Examples, validation: Examples, classes: int, epochs: int, seed: int
) -> keras.Model:
    """A copy of a trained encoder that learns on, from fewer classes, with smaller steps.

    Args:
        start: From `strong_encoder`; stays as it is.
        train: What is learnt from.
        validation: Decides which weights are kept.
        classes: Their number.
        epochs: Passes over `train`.
        seed: Of order and changes.
    """
    import keras

    keras.utils.set_random_seed(seed)
    encoder = _in_bfloat16(_WIDTHS)
    encoder.set_weights(start.get_weights())
    _learn(encoder, (train, validation), classes, epochs, _RATE / 5, seed)
    return _exact(encoder, _WIDTHS)


def _trained(data: LearningData, classes: int, widths: tuple[int, ...], epochs: int) -> keras.Model:
    import keras

    keras.utils.set_random_seed(_SEED)
    encoder = _in_bfloat16(widths)
    _learn(encoder, (data.train, data.validation), classes, epochs, _RATE, _SEED)
    return _exact(encoder, widths)


def _learn(
    encoder: keras.Model, parts: tuple[Examples, Examples], classes: int, epochs: int, rate: float, seed: int
) -> None:
    """Momentum, weight decay, smoothed labels, and changes that leave the light as it is."""
    from edge_sdk.learn.augment import Augmentation, augment
    from edge_sdk.learn.similarity_encoder import CosineMargin, train_encoder
    from edge_sdk_converters.training import FitConfig

    def change(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return augment(x, Augmentation(0.125, brightness=0, contrast=0, erase=_ERASE), rng)

    config = FitConfig(epochs, rate, _BATCH, seed=seed, weight_decay=_DECAY, momentum=_MOMENTUM)
    smooth = CosineMargin(margin=0, smoothing=_SMOOTHING)
    train_encoder(encoder, *parts, classes, config, margin=smooth, augment=change, progress=_tell)


def _in_bfloat16(widths: tuple[int, ...]) -> keras.Model:
    """An untrained encoder whose passes are computed in bfloat16."""
    import keras

    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        return build_strong_encoder(widths)
    finally:
        keras.mixed_precision.set_dtype_policy(policy)


def _exact(encoder: keras.Model, widths: tuple[int, ...]) -> keras.Model:
    """The same weights in an encoder that computes in float32."""
    exact = build_strong_encoder(widths)
    exact.set_weights(encoder.get_weights())
    return exact


def _normalized(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    from keras import layers

    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x))


def _tell(done: int, planned: int, figures: dict[str, float]) -> None:
    values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} strong encoder: epoch {done} of {planned}: {values}\n")


if __name__ == "__main__":
    from .sets import learning_set

    strong_encoder(learning_set("cifar10")[0], 10)
