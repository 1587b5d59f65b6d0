"""LeNet-300-100 and LeNet-5 on MNIST, the networks that Deep Compression and its successors publish their figures for.

LeNet-300-100: dense 300, dense 100, dense 10 on 784 pixels, 266,610 weights. LeNet-5 in the layout of Caffe: convolution 5×5 to 20
channels and to 50 without padding, each with maximum pooling, dense 500, dense 10, 431,080 weights.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["build_lenet_5", "build_lenet_300_100", "shifted", "tell", "trained_lenet_5", "trained_lenet_300_100"]

_DROPOUT = 0.3


def build_lenet_300_100(shape: tuple[int, int, int], classes: int, widths: tuple[int, int] = (300, 100)) -> keras.Model:
    """An untrained network: `uint8 [batch, height, width, channels]` → probabilities."""
    import keras
    from keras import layers

    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Flatten(name="flat")(layers.Rescaling(1 / 255, name="scale")(image))
    for index, width in enumerate(widths, 1):
        x = layers.Dense(width, activation="relu", name=f"f{index}")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="f3")(x), name="lenet_300_100")


def build_lenet_5(
    shape: tuple[int, int, int], classes: int, widths: tuple[int, int, int] = (20, 50, 500), kernel: int = 5
) -> keras.Model:
    """An untrained network, likewise; the dropout before the scores helps training and is nothing in the exported file."""
    import keras
    from keras import layers

    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for index, width in enumerate(widths[:2], 1):
        x = layers.Conv2D(width, kernel, name=f"c{index}")(x)
        x = layers.MaxPooling2D(padding="same", name=f"p{index}")(x)
    x = layers.Dense(widths[2], activation="relu", name="f1")(layers.Flatten(name="flat")(x))
    x = layers.Dropout(_DROPOUT, seed=1, name="drop")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="f2")(x), name="lenet_5")


def shifted(data: LearningData, copies: int, farthest: float = 0.08, seed: int = 0) -> LearningData:
    """The training images and moved copies of them, made once, so that a teacher is asked once about each.

    Args:
        data: What to learn from.
        copies: Moved copies of every image, beside the image itself.
        farthest: Farthest move along each axis, as a fraction of that side.
        seed: Of the moves.
    """
    from edge_sdk.learn.augment import Augmentation, augment
    from edge_sdk_converters.training import Examples

    moves = Augmentation(shift=farthest, flip=False, brightness=0.0, contrast=0.0)
    rng = np.random.default_rng(seed)
    x = np.concatenate([data.train.x, *(augment(data.train.x, moves, rng) for _ in range(copies))])
    return replace(data, train=Examples(x, np.tile(data.train.y, copies + 1)), augment=None)


def trained_lenet_5(data: LearningData, epochs: int, *, quick: bool = False, seed: int = 0) -> keras.Model:
    """LeNet-5 trained on images moved anew in every epoch; kept between runs, a small one where `quick`."""

    def train() -> keras.Model:
        import keras

        from edge_sdk_converters.training import FitConfig, fit

        keras.utils.set_random_seed(seed)
        sizes: dict[str, Any] = {"widths": (6, 8, 24), "kernel": 3} if quick else {}
        model = build_lenet_5(data.train.x.shape[1:], 10, **sizes)
        config = FitConfig(epochs, 2e-3, 128, seed=seed)
        fit(model, data.train, data.validation, config, augment=_moved, progress=tell("lenet-5: train"))
        return model

    return train() if quick else kept("lenet-5", {"epochs": epochs, "seed": seed, "dropout": _DROPOUT}, train)


def trained_lenet_300_100(
    data: LearningData, teacher: keras.Model, epochs: int, copies: int, *, seed: int = 0
) -> keras.Model:
    """LeNet-300-100 taught by another network on moved copies; kept between runs."""

    def train() -> keras.Model:
        import keras

        from edge_sdk_converters.recover.apply import recover
        from edge_sdk_converters.recover.config import RecoverConfig

        keras.utils.set_random_seed(seed)
        model = build_lenet_300_100(data.train.x.shape[1:], 10)
        more = shifted(data, copies, seed=seed)
        config = RecoverConfig(epochs, min_steps=0, learning_rate=2e-3, distillation=0.7, batch_size=128)
        told = tell("lenet-300-100: train")
        recover(model, teacher, more.train, more.validation, config, seed=seed, progress=told)
        return model

    return kept("lenet-300-100", {"epochs": epochs, "copies": copies, "seed": seed}, train)


def tell(what: str) -> Any:
    """What prints a line after every epoch."""

    def line(done: int, planned: int, figures: dict[str, float]) -> None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}: epoch {done} of {planned}: {values}\n")

    return line


def _moved(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    from edge_sdk.learn.augment import Augmentation, augment

    return augment(x, Augmentation(shift=0.08, flip=False, brightness=0.0, contrast=0.0), rng)
