"""The VGG-style CIFAR-10 classifier that benchmarks compress.

Layout: [conv 3×3, batch norm, ReLU] with 32, 32, pool, 64, 64, pool, 128, 128, pool, flatten (2,048), dropout, dense 256, ReLU,
dropout, dense 10: 815,466 parameters, 39.2 million multiply-accumulates. The plain ancestor of all later
networks, with the dense top that made VGG large.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from .trained import kept

if TYPE_CHECKING:
    import keras

    from edge_sdk_converters.learning import LearningData

__all__ = ["build_vgg", "trained_vgg"]

_WIDTHS = (32, 64, 128)
_DENSE = 256


def build_vgg(shape: tuple[int, int, int], classes: int, widths: tuple[int, ...] = _WIDTHS) -> keras.Model:
    """An untrained network: `uint8 [batch, height, width, channels]` → probabilities."""
    import keras
    from keras import layers

    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scaling")(image)
    for stage, width in enumerate(widths, 1):
        for index in (1, 2):
            name = f"conv{stage}_{index}"
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.Dropout(0.3, seed=1, name="drop1")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(_DENSE, activation="relu", name="dense1")(x)
    x = layers.Dropout(0.3, seed=2, name="drop2")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="dense2")(x), name="vgg")


def trained_vgg(data: LearningData, classes: int, epochs: int, *, quick: bool = False, seed: int = 0) -> keras.Model:
    """The network, trained with the best validation weights, and kept between runs; small and not kept where `quick`."""

    def train() -> keras.Model:
        import keras

        from edge_sdk_converters.training import FitConfig, fit

        keras.utils.set_random_seed(seed)
        model = build_vgg(data.train.x.shape[1:], classes, (8, 16) if quick else _WIDTHS)
        fit(
            model, data.train, data.validation, FitConfig(epochs, 2e-3, seed=seed), augment=data.augment, progress=_tell
        )
        return model

    if quick:
        return train()
    settings = {"epochs": epochs, "seed": seed, "images": len(data.train.y), "widths": _WIDTHS, "rate": 2e-3}
    return kept("vgg", settings, train)


def _tell(done: int, planned: int, figures: dict[str, Any]) -> None:
    values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} vgg: epoch {done} of {planned}: {values}\n")
