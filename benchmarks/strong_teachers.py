"""The networks whose answers the strong encoder learns from, and the pictures that they are asked about.

After Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531): what several networks together say of an
image holds more than its label does. They are asked about views of the training images, shifted and mirrored, and the encoder is then
shown those same views, as in Shen and Xing, "A Fast Knowledge Distillation Framework for Visual Recognition" (arXiv 2112.01528):
asking takes about as long as learning, and every answer serves many passes.

All are conv 2×2 24, then three blocks of [conv 3×3, max pool, conv 3×3], as in Jordan's "airbench" (arXiv 2404.00498), with batch norm and
ReLU, global average pooling, dense 64. They differ in width and in how they learnt, so that they err differently.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.learn.augment import Augmentation
from edge_sdk.learn.similarity_encoder import CosineMargin, train_encoder
from edge_sdk_converters.training import FitConfig, predict
from edge_sdk_runtime.scatter import unit

from .strong_parts import MOVED, begun, changed, convolved, exact, finished, in_bfloat16, normalized, tell
from .trained import kept, kept_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

__all__ = ["Lessons", "answers_of", "class_means", "lessons"]

_HARD = (3, 5)
"""Cat and dog, which are told apart worst, and which both experiments ask for, are shown more often."""
_VIEWS, _HARD_VIEWS = 8, 16
_SEED = 0


@dataclass(frozen=True)
class _Teacher:
    """How one of them is made."""

    widths: tuple[int, ...]
    fit: FitConfig
    margin: CosineMargin
    changes: Augmentation = field(default_factory=lambda: Augmentation(MOVED, brightness=0, contrast=0, erase=0.25))


_TEACHERS = (
    _Teacher((32, 96, 128), FitConfig(64, 3e-3, 128, weight_decay=0.05), CosineMargin(), Augmentation(erase=0.35)),
    _Teacher(
        (32, 96, 128),
        FitConfig(48, 0.1, 128, weight_decay=5e-3, momentum=0.9),
        CosineMargin(margin=0, smoothing=0.1),
    ),
    _Teacher((64, 192, 192), FitConfig(14, 0.1, 128, weight_decay=5e-3, momentum=0.9), CosineMargin(margin=0)),
)
"""A margin under Adam, smoothed labels under momentum, and few passes of a network of three times the work."""


@dataclass(frozen=True)
class Lessons:
    """What the encoder learns from.

    Attributes:
        views: Several of every training image, `uint8 [M, 32, 32, 3]`.
        answers: The mean of the teachers' cosines to each class, for the views and then for the validation images,
            `float32 [M + V, classes]`.
    """

    views: NDArray[np.uint8]
    answers: NDArray[np.float32]


def lessons(data: LearningData, classes: int) -> Lessons:
    """Views of the training images with the teachers' answers; what takes minutes is kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    views = _views(data)
    answers = [
        answers_of(asdict(each), partial(_teacher, each, data, classes), views, data, classes) for each in _TEACHERS
    ]
    return Lessons(views, np.mean(answers, axis=0, dtype=np.float32))


def answers_of(
    settings: Mapping[str, Any],
    encoder: Callable[[], keras.Model],
    views: NDArray[np.uint8],
    data: LearningData,
    classes: int,
) -> NDArray[np.float32]:
    """What an encoder says of the views and of the validation images; kept between runs.

    Args:
        settings: All that the encoder depends on.
        encoder: Gives it.
        views: Of the training images, `uint8 [M, 32, 32, 3]`.
        data: Training and V validation images of every class.
        classes: Their number.

    Returns:
        Cosines to the mean embedding of every class, `float32 [M + V, classes]`.
    """
    about = {"views": [_VIEWS, _HARD_VIEWS, *_HARD], "seed": _SEED, "images": len(data.train.y)}

    def ask() -> NDArray[np.float32]:
        asked = encoder()
        means = class_means(asked, data, classes)
        found = [unit(predict(asked, some)) @ means.T for some in (views, data.validation.x)]
        return np.concatenate(found).astype(np.float32)

    return kept_array("strong-answers", {**settings, **about}, ask)


def _views(data: LearningData) -> NDArray[np.uint8]:
    counts = np.where(np.isin(data.train.y, _HARD), _HARD_VIEWS, _VIEWS)
    images = data.train.x[np.repeat(np.arange(len(counts)), counts)]
    return changed(Augmentation(MOVED, brightness=0, contrast=0))(images, np.random.default_rng(_SEED))


def class_means(encoder: keras.Model, data: LearningData, classes: int) -> NDArray[np.float32]:
    """The mean embedding of every class's training images, of unit length, `float32 [classes, D]`."""
    own = unit(predict(encoder, data.train.x))
    return unit(np.stack([own[data.train.y == label].mean(axis=0) for label in range(classes)])).astype(np.float32)


def _teacher(teacher: _Teacher, data: LearningData, classes: int) -> keras.Model:
    settings = {**asdict(teacher), "seed": _SEED, "images": len(data.train.y)}
    return kept("strong-teacher", settings, partial(_taught, teacher, data, classes))


def _taught(teacher: _Teacher, data: LearningData, classes: int) -> keras.Model:
    import keras

    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(lambda: _encoder(teacher.widths))
    parts: tuple[Examples, Examples] = (data.train, data.validation)
    change, told = changed(teacher.changes), tell(f"teacher {teacher.widths}")
    train_encoder(encoder, *parts, classes, teacher.fit, margin=teacher.margin, augment=change, progress=told)
    return exact(encoder, _encoder(teacher.widths))


def _encoder(widths: tuple[int, ...]) -> keras.Model:
    from keras import layers

    image, x = begun()
    for block, width in enumerate(widths, 1):
        x = convolved(x, width, f"block{block}_a")
        x = normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}_a")
        x = normalized(convolved(x, width, f"block{block}_b"), f"block{block}_b")
    return finished(image, x)
