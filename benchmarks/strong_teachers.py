"""The networks that the strong encoder learns from, and what they say of every image.

After Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531): what several networks together say of an
image holds more than its label does. Their answer to an image is the mean over several views of it; it is asked for once and serves
every pass, as in Shen and Xing, "A Fast Knowledge Distillation Framework for Visual Recognition" (arXiv 2112.01528).

There are two, which err differently. One is EfficientNet-Lite0 as ImageNet taught it, which sees images three times as large as they
are and is tuned on CIFAR-10; its stem, its first three blocks and all depthwise kernels stay as they are: they take two thirds of the
time to learn and change little; its answers in the folder `kept` were computed with ONEDNN_DEFAULT_FPMATH_MODE=BF16. The
other one, that of `benchmarks/strong_wide.py`, has seen nothing but CIFAR-10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.learn.augment import Augmentation
from edge_sdk.learn.similarity_encoder import CosineMargin, train_encoder
from edge_sdk_converters.training import FitConfig, predict
from edge_sdk_runtime.scatter import class_means, unit

from .pretrained import PACKAGE, efficientnet_lite0, imagenet_state
from .strong_parts import MOVED, changed, embedded, exact, in_bfloat16, in_halves, tell
from .strong_wide import prepare, wide
from .trained import kept, kept_array

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["answers", "settings"]

_SEED = 0
_VIEWS = 4
"""Views of an image, shifted and mirrored, that the answer to it is the mean of."""

_TIMES, _KEPT_BLOCKS = 3, 3
"""How much larger the tuned network sees images, and how many of its blocks stay as ImageNet taught them."""
_TUNING = FitConfig(6, 5e-4, 64, weight_decay=0.05)
_TUNING_CHANGES = Augmentation(MOVED, brightness=0.1, contrast=0.1)

_WIDTHS = (64, 256, 256)
_WIDE_FIT = FitConfig(16, 0.25, 256, weight_decay=1e-2, momentum=0.9)
_WIDE_CHANGES = Augmentation(MOVED, brightness=0, contrast=0)


def answers(data: LearningData, classes: int) -> NDArray[np.float32]:
    """The mean of both networks' cosines to each class's mean embedding; what takes minutes is kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.

    Returns:
        For the training images, then for the validation images, `float32 [N + V, classes]`.
    """
    told = [
        kept_array(
            "strong-answers",
            {"teacher": each.settings, "views": _VIEWS, "seed": _SEED, "images": len(data.train.y)},
            partial(_asked, each, data, classes),
        )
        for each in _TEACHERS
    ]
    mean: NDArray[np.float32] = np.mean(told, axis=0)
    return mean


def settings() -> dict[str, Any]:
    """All that the answers depend on, next to the images."""
    return {"teachers": [each.settings for each in _TEACHERS], "views": _VIEWS, "seed": _SEED}


@dataclass(frozen=True)
class _Teacher:
    """One of them.

    Attributes:
        settings: All that it depends on, next to the images.
        learn: Makes it: `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`.
    """

    settings: Mapping[str, Any]
    learn: Callable[[LearningData, int], keras.Model]


def _asked(teacher: _Teacher, data: LearningData, classes: int) -> NDArray[np.float32]:
    learn = partial(teacher.learn, data, classes)
    encoder = in_halves(kept("strong-teacher", {**teacher.settings, "images": len(data.train.y)}, learn))
    means = unit(class_means(unit(predict(encoder, data.train.x)), data.train.y, classes))
    images = np.concatenate([data.train.x, data.validation.x])
    move, rng = changed(Augmentation(MOVED, brightness=0, contrast=0)), np.random.default_rng(_SEED)
    told = [unit(predict(encoder, move(images, rng))) @ means.T for _ in range(_VIEWS)]
    return np.mean(told, axis=0).astype(np.float32)


def _tuned(data: LearningData, classes: int) -> keras.Model:
    import keras

    keras.utils.set_random_seed(_SEED)
    encoder = _enlarging()
    _learn(in_halves(encoder), data, classes, _TUNING, _TUNING_CHANGES, "teacher from ImageNet")
    return encoder


def _enlarging() -> keras.Model:
    import keras
    from keras import layers

    network = efficientnet_lite0(32 * _TIMES, imagenet_state())
    early = ("_conv_stem", "_bn0", *(f"_blocks.{index}." for index in range(_KEPT_BLOCKS)))
    for layer in network.layers:
        layer.trainable = not (layer.name.startswith(early) or isinstance(layer, layers.DepthwiseConv2D))
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    large = layers.UpSampling2D(_TIMES, interpolation="bicubic", name="larger")(
        layers.Rescaling(1.0, name="float")(image)
    )
    return keras.Model(image, embedded(network(large)), name="encoder")


def _from_scratch(data: LearningData, classes: int) -> keras.Model:
    import keras

    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(lambda: wide(_WIDTHS))
    prepare(encoder, data.train.x)
    _learn(in_halves(encoder), data, classes, _WIDE_FIT, _WIDE_CHANGES, "wide teacher")
    return exact(encoder, wide(_WIDTHS))


def _learn(
    learner: keras.Model, data: LearningData, classes: int, config: FitConfig, changes: Augmentation, name: str
) -> None:
    margin, change = CosineMargin(margin=0), changed(changes)
    parts = (data.train, data.validation)
    train_encoder(learner, *parts, classes, config, margin=margin, augment=change, progress=tell(name))


_TEACHERS = (
    _Teacher(
        {
            "begins as": PACKAGE,
            "times": _TIMES,
            "kept blocks": _KEPT_BLOCKS,
            "fit": asdict(_TUNING),
            "changes": asdict(_TUNING_CHANGES),
            "seed": _SEED,
        },
        _tuned,
    ),
    _Teacher(
        {"widths": _WIDTHS, "fit": asdict(_WIDE_FIT), "changes": asdict(_WIDE_CHANGES), "seed": _SEED},
        _from_scratch,
    ),
)
