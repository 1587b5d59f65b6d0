"""The networks and trainings of the LightLayers tables, one cell at a time; finished cells are kept between runs.

Jha et al., "LightLayers: Parameter Efficient Dense and Convolutional Layers for Image Classification". The layouts are those
that give exactly the published parameter counts, all 28 of them: on 28×28×1 images three blocks of 8, 16 and 32 filters; on
32×32×3 images three *residual* blocks of 16, 32 and 64 with a 1×1 convolution on the shortcut (the text speaks of four blocks
from 8 to 64, which gives other counts). The light networks end in a LightDense of rank 8, the others in a plain dense layer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.named_sets import NAMED_SETS
from edge_sdk_runtime.files import write_atomically

from .trained import cache

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CIFAR",
    "GRAY",
    "TABLES",
    "Cell",
    "Method",
    "Published",
    "Result",
    "Setting",
    "build_network",
    "keep_result",
    "kept_result",
    "missing",
    "run_cell",
]

CODE = "1"
"""Changes whenever a change of this file may change an accuracy: kept cells of another version are not used."""

_BATCH = 64
_HEAD_RANK = 8


class Method(str, Enum):
    """What the convolutions of a network are."""

    CONV = "Conv2D"
    SEPARABLE = "SeparableConv2D"
    LIGHT = "Light"


@dataclass(frozen=True)
class Setting:
    """What the rows of one table have in common.

    Attributes:
        data: Name of the image set.
        side: Height and width of the images in pixels; others are resized.
        channels: 1 grey, 3 RGB.
        classes: Number of classes.
        filters: Of each block.
        residual: Whether blocks have a shortcut.
        learning_rate: Adam's; it stays as it is.
        epochs: Passes over all training images.
        limit: The most images of each class, None for all.
        seed: Of weights and order.
    """

    data: str
    side: int
    channels: int
    classes: int
    filters: tuple[int, ...]
    residual: bool
    learning_rate: float
    epochs: int
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Published:
    """One published row: method, rank (0 where there is none), parameters, test accuracy where it was given."""

    method: Method
    k: int
    parameters: int
    accuracy: float | None

    @property
    def name(self) -> str:
        """As the table calls it."""
        return f"{self.method.value} k={self.k}" if self.k else self.method.value


@dataclass(frozen=True)
class Cell:
    """One training: everything that decides its accuracy."""

    setting: Setting
    method: Method
    k: int


@dataclass(frozen=True)
class Result:
    """What came out of a training.

    Attributes:
        parameters: Weights of the network.
        accuracy: On all test images, measured once, after the last epoch.
        seconds: Wall time of the training.
        note: What must be said beside figures on this data.
    """

    parameters: int
    accuracy: float
    seconds: float
    note: str


GRAY = Setting("mnist", 28, 1, 10, (8, 16, 32), residual=False, learning_rate=1e-3, epochs=10)
CIFAR = Setting("cifar10", 32, 3, 10, (16, 32, 64), residual=True, learning_rate=1e-4, epochs=20)


_METHODS = ((Method.CONV, 0), (Method.SEPARABLE, 0), *((Method.LIGHT, k) for k in range(1, 7)))


def _rows(parameters: tuple[int, ...], accuracies: tuple[float | None, ...]) -> tuple[Published, ...]:
    """One column of counts and one of accuracies, in the order of the published rows."""
    return tuple(
        Published(*method, count, accuracy)
        for method, count, accuracy in zip(_METHODS, parameters, accuracies, strict=False)
    )


_GRAY_PARAMETERS = (18818, 3611, 2649, 4392, 6135, 7878, 9621, 11364)

TABLES: tuple[tuple[Setting, tuple[Published, ...]], ...] = (
    (GRAY, _rows(_GRAY_PARAMETERS, (0.9887, 0.9338, 0.9418, 0.9749, 0.9775, 0.9720, None, None))),
    (
        replace(GRAY, data="fashion_mnist"),
        _rows(_GRAY_PARAMETERS, (0.9147, 0.8725, 0.7890, 0.8452, 0.8695, 0.8623, 0.8820, 0.8733)),
    ),
    (
        CIFAR,
        _rows(
            (76794, 14440, 5937, 9592, 13247, 16902, 20557), (0.6882, 0.5953, 0.3686, 0.4596, 0.4937, 0.5319, 0.5576)
        ),
    ),
    (
        replace(CIFAR, data="cifar100", classes=100),
        _rows(
            (82644, 20290, 6747, 10402, 14057, 17712, 21367), (0.3262, 0.2207, 0.0275, 0.0398, 0.0559, 0.0551, 0.0589)
        ),
    ),
)
"""Every published row."""


def build_network(setting: Setting, method: Method, k: int = 0) -> keras.Model:
    """The network of one row, untrained.

    Args:
        setting: Images, filters and classes.
        method: What its convolutions are.
        k: Rank of light convolutions.

    Returns:
        `uint8 [batch, side, side, channels]` → probabilities `[batch, classes]`; pixels are scaled to 0..1 inside.
    """
    import keras
    from keras import layers

    from edge_sdk_converters.light import LightDense

    keras.utils.clear_session()
    keras.utils.set_random_seed(setting.seed)
    image = keras.Input((setting.side, setting.side, setting.channels), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    for filters in setting.filters:
        y = layers.ReLU()(_convolved(x, filters, 3, method, k))
        y = _convolved(y, filters, 3, method, k)
        if setting.residual:
            y = layers.Add()([y, _convolved(x, filters, 1, method, k)])
        x = layers.MaxPooling2D()(layers.ReLU()(y))
    x = layers.GlobalAveragePooling2D()(x)
    head = (
        LightDense(setting.classes, _HEAD_RANK, activation="softmax")
        if method is Method.LIGHT
        else layers.Dense(setting.classes, activation="softmax")
    )
    return keras.Model(image, head(x))


def _convolved(x: keras.KerasTensor, filters: int, size: int, method: Method, k: int) -> keras.KerasTensor:
    """Convolution and batch normalisation."""
    from keras import layers

    from edge_sdk_converters.light import LightConv2D

    if method is Method.LIGHT:
        x = LightConv2D(filters, size, k)(x)
    else:
        kind = layers.Conv2D if method is Method.CONV else layers.SeparableConv2D
        x = kind(filters, size, padding="same")(x)
    return layers.BatchNormalization()(x)


def run_cell(cell: Cell) -> Result:
    """Train the network of one row with the published settings.

    All training images are learnt from; the test images are looked at once, after the last epoch.

    Raises:
        DataError: The images cannot be loaded.
    """
    from edge_sdk_converters.training import predict

    images = _images(cell.setting)
    model = build_network(cell.setting, cell.method, cell.k)
    begun = time.perf_counter()
    _train(model, images, cell.setting)
    seconds = time.perf_counter() - begun
    accuracy = float((predict(model, images.test_x).argmax(axis=1) == images.test_y).mean())
    return Result(int(model.count_params()), accuracy, seconds, images.note)


def keep_result(cell: Cell, result: Result) -> None:
    """Spare a later run the training."""
    write_atomically(_path(cell), json.dumps(asdict(result)).encode())


def kept_result(cell: Cell) -> Result | None:
    """What an earlier run got for the same cell, or None."""
    path = _path(cell)
    return Result(**json.loads(path.read_bytes())) if path.exists() else None


def missing(setting: Setting) -> str:
    """Why the images of a table cannot be had here; empty where they can. Only CIFAR-100 may be missing."""
    from edge_sdk.errors import DataError

    try:
        return "" if setting.data in NAMED_SETS else _cifar100().note
    except DataError as error:
        return str(error)


def _path(cell: Cell) -> Path:
    digest = hashlib.sha256(json.dumps([CODE, asdict(cell)], sort_keys=True).encode()).hexdigest()[:12]
    return cache() / f"light-{cell.setting.data}-{cell.method.value}-{cell.k}-{digest}.json"


def _train(model: keras.Model, images: _Images, setting: Setting) -> None:
    import keras

    # Compiled by XLA, an epoch takes three to nine times as long on a processor.
    model.compile(
        keras.optimizers.Adam(setting.learning_rate), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False
    )
    model.fit(images.x, images.y, batch_size=_BATCH, epochs=setting.epochs, verbose=0)


@dataclass(frozen=True, eq=False)
class _Images:
    """All training images, `uint8 [N, side, side, channels]` and class indices, and all test images likewise."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]
    note: str


def _images(setting: Setting) -> _Images:
    if setting.data == "cifar100":
        return _cifar100()
    return _named(setting.data, setting.side, setting.channels, setting.limit, setting.seed)


@lru_cache(maxsize=1)  # the rows of one table follow one another
def _named(data: str, side: int, channels: int, limit: int | None, seed: int) -> _Images:
    """A named set; what the SDK would hold back for validation is learnt from as well."""
    import numpy as np

    from edge_sdk.data import load_images, prepare
    from edge_sdk_runtime import Color, PreprocessSpec

    splits = load_images(data, seed=seed, limit=limit)
    spec = PreprocessSpec(side, side, color=Color.GRAY if channels == 1 else Color.RGB)
    train, validation, test = (prepare(part, spec) for part in (splits.train, splits.validation, splits.test))
    x, y = np.concatenate([train.x, validation.x]), np.concatenate([train.y, validation.y])
    return _Images(x, y, test.x, test.y, splits.note)


@lru_cache(maxsize=1)
def _cifar100() -> _Images:
    """CIFAR-100, which is no named set of the SDK, as Keras downloads it."""
    from keras.datasets import cifar100

    from edge_sdk.errors import DataError

    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results; Keras reports its download there
            (x, y), (test_x, test_y) = cifar100.load_data()
    except Exception as error:
        if not isinstance(error, (OSError, ValueError)) and type(error) is not Exception:
            raise  # Keras reports a failed download as a bare Exception, a damaged one as ValueError
        raise DataError(f"'cifar100' must be downloadable by Keras. Received: {error}. Run it where it is.") from error
    return _Images(x, y.reshape(-1).astype("int64"), test_x, test_y.reshape(-1).astype("int64"), "")
