"""The networks whose answers the strong encoder learns from, and the pictures that they are asked about.

After Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531): what several networks together say of an
image holds more than its label does. They are asked about views of the training images, shifted and mirrored; what they say of an
image is the mean over its views, and the encoder is shown those same views. Asking takes about as long as learning, and every answer
serves many passes, as in Shen and Xing, "A Fast Knowledge Distillation Framework for Visual Recognition" (arXiv 2112.01528).

Two are conv 2×2 24, then three blocks of [conv 3×3, max pool, conv 3×3], with batch norm and ReLU, global average pooling, dense 64; the
third is that of `benchmarks/strong_wide.py`. They differ in how they learnt, so that they err differently.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.learn.augment import Augmentation
from edge_sdk.learn.similarity_encoder import CosineMargin, train_encoder
from edge_sdk_converters.training import FitConfig, predict
from edge_sdk_runtime.scatter import unit

from .strong_parts import MOVED, changed, convolved, embedded, exact, in_bfloat16, in_halves, normalized, scaled, tell
from .strong_wide import prepare, wide
from .trained import kept, kept_array

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

__all__ = ["Lessons", "lessons", "teachers"]

_HARD = (3, 5)
"""Cat and dog, which are told apart worst, and which both experiments ask for, are shown more often."""
_VIEWS, _HARD_VIEWS = 8, 16
_SEED = 0


@dataclass(frozen=True)
class _Teacher:
    """How one of them is made; `wide` says which of the two layouts it has."""

    widths: tuple[int, ...]
    fit: FitConfig
    margin: CosineMargin
    changes: Augmentation
    wide: bool = False


_TEACHERS = (
    _Teacher(
        (32, 96, 128),
        FitConfig(64, 3e-3, 128, weight_decay=0.05),
        CosineMargin(),
        Augmentation(erase=0.35),
    ),
    _Teacher(
        (32, 96, 128),
        FitConfig(48, 0.1, 128, weight_decay=5e-3, momentum=0.9),
        CosineMargin(margin=0, smoothing=0.1),
        Augmentation(MOVED, brightness=0, contrast=0, erase=0.25),
    ),
    _Teacher(
        (64, 256, 256),
        FitConfig(16, 0.25, 256, weight_decay=1e-2, momentum=0.9),
        CosineMargin(margin=0),
        Augmentation(MOVED, brightness=0, contrast=0),
        wide=True,
    ),
)
"""A margin under Adam, smoothed labels under momentum, and few passes of a network of four times the work."""


@dataclass(frozen=True)
class Lessons:
    """What the encoder learns from.

    Attributes:
        views: Several of every training image, `uint8 [M, 32, 32, 3]`.
        answers: The mean of the teachers' cosines to each class, for each view what they say of its image, then for the
            validation images, `float32 [M + V, classes]`.
    """

    views: NDArray[np.uint8]
    answers: NDArray[np.float32]


def lessons(data: LearningData, classes: int) -> Lessons:
    """Views of the training images with the teachers' answers; what takes minutes is kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    views, counts = _views(data), _counts(data)
    told = np.stack([_answers(each, views, data, classes) for each in _TEACHERS])
    answers: NDArray[np.float32] = told.mean(axis=0)
    first = np.concatenate([[0], np.cumsum(counts)])
    means = np.add.reduceat(answers[: len(views)], first[:-1]) / counts[:, None]
    return Lessons(views, np.concatenate([np.repeat(means, counts, axis=0), answers[len(views) :]]).astype(np.float32))


def teachers() -> list[dict[str, Any]]:
    """All that the lessons depend on, next to the images."""
    return [_settings(each) for each in _TEACHERS]


def _settings(teacher: _Teacher) -> dict[str, Any]:
    return {**asdict(teacher), "views": [_VIEWS, _HARD_VIEWS, *_HARD], "seed": _SEED}


def _answers(teacher: _Teacher, views: NDArray[np.uint8], data: LearningData, classes: int) -> NDArray[np.float32]:
    """Cosines of the views, then of the validation images, to each class's mean embedding, `float32 [M + V, classes]`."""

    def ask() -> NDArray[np.float32]:
        encoder = in_halves(_teacher(teacher, data, classes))
        own = unit(predict(encoder, data.train.x))
        means = unit(np.stack([own[data.train.y == label].mean(axis=0) for label in range(classes)]))
        found = [unit(predict(encoder, some)) @ means.T for some in (views, data.validation.x)]
        return np.concatenate(found).astype(np.float32)

    return kept_array("strong-answers", {**_settings(teacher), "images": len(data.train.y)}, ask)


def _views(data: LearningData) -> NDArray[np.uint8]:
    images = data.train.x[np.repeat(np.arange(len(data.train.y)), _counts(data))]
    return changed(Augmentation(MOVED, brightness=0, contrast=0))(images, np.random.default_rng(_SEED))


def _counts(data: LearningData) -> NDArray[np.int64]:
    """How many views there are of each training image, `int64 [N]`."""
    return np.where(np.isin(data.train.y, _HARD), _HARD_VIEWS, _VIEWS)


def _teacher(teacher: _Teacher, data: LearningData, classes: int) -> keras.Model:
    settings = {**asdict(teacher), "seed": _SEED, "images": len(data.train.y)}
    return kept("strong-teacher", settings, partial(_taught, teacher, data, classes))


def _taught(teacher: _Teacher, data: LearningData, classes: int) -> keras.Model:
    import keras

    keras.utils.set_random_seed(_SEED)
    build = wide if teacher.wide else _encoder
    encoder = learner = in_bfloat16(lambda: build(teacher.widths))
    if teacher.wide:
        prepare(encoder, data.train.x)
        learner = in_halves(encoder)
    parts: tuple[Examples, Examples] = (data.train, data.validation)
    change, told = changed(teacher.changes), tell(f"teacher {teacher.widths}")
    train_encoder(learner, *parts, classes, teacher.fit, margin=teacher.margin, augment=change, progress=told)
    return exact(encoder, build(teacher.widths))


def _encoder(widths: tuple[int, ...]) -> keras.Model:
    import keras
    from keras import layers

    image, x = scaled()
    x = normalized(layers.Conv2D(24, 2, use_bias=False, name="stem")(x), "stem")
    for block, width in enumerate(widths, 1):
        x = convolved(x, width, f"block{block}_a")
        x = normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}_a")
        x = normalized(convolved(x, width, f"block{block}_b"), f"block{block}_b")
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return keras.Model(image, embedded(x), name="encoder")
