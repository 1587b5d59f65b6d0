"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 24, then three blocks of [conv 3×3, max pool, residual pair of conv 3×3] with 32, 64 and 160 filters, batch norm and
ReLU, global average pooling, dense 64: 0.7 million parameters, 28 million multiply-accumulates. It compares by cosines to trainable
class prototypes, as the SDK's own similarity encoder does, and learns the cosines that other networks give for the same images
(`benchmarks/strong_teachers.py`), of which a patch is hidden from it. Passes are computed in bfloat16; weights are float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_parts import changed, exact, in_bfloat16, normalized, tell
from .strong_teachers import lessons
from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["strong_encoder"]

_WIDTHS, _EMBEDDING = (32, 64, 160), 64
_ROUNDS = 4
"""Passes over all views of all images: 32 over every image, 64 over those of cats and dogs."""
_RATE, _MOMENTUM, _DECAY, _BATCH, _SEED = 0.1, 0.9, 5e-3, 128, 0
_ERASE = 0.25
"""Side of the patch that is hidden, as a fraction of the image's."""
_SCALE = 16.0
"""What cosines are multiplied by for a softmax."""
_TEMPERATURE = 4.0
"""What scaled cosines are divided by on both sides, so that small answers count as well (Hinton et al.)."""


def strong_encoder(data: LearningData, classes: int) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, trained and kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    settings = {
        "layout": [*_WIDTHS, _EMBEDDING],
        "rounds": _ROUNDS,
        "rate": [_RATE, _MOMENTUM, _DECAY, _BATCH, _SCALE, _TEMPERATURE],
        "erase": _ERASE,
        "seed": _SEED,
        "images": len(data.train.y),
    }
    return kept("strong-encoder", settings, lambda: _trained(data, classes))


def _trained(data: LearningData, classes: int) -> keras.Model:
    import keras

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.training import Examples, FitConfig, fit

    told = lessons(data, classes)
    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(_encoder)
    compare = PrototypeSimilarity(list(range(classes)), name="trainable_prototypes")
    student = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="student")
    rows = np.arange(len(told.answers))

    def answers(_: NDArray[Any], some: NDArray[np.int64]) -> NDArray[np.float32]:
        return told.answers[some]

    fit(
        student,
        Examples(told.views, rows[: len(told.views)]),
        Examples(data.validation.x, rows[len(told.views) :]),
        FitConfig(_ROUNDS, _RATE, _BATCH, seed=_SEED, weight_decay=_DECAY, momentum=_MOMENTUM),
        loss=_softened,
        targets=answers,
        augment=changed(Augmentation(0, brightness=0, contrast=0, erase=_ERASE)),
        progress=tell("strong encoder"),
    )
    return exact(encoder, _encoder())


def _softened(wanted: Any, cosines: Any) -> Any:
    """Cross-entropy of two rows of softened cosines, `[batch]`; its gradient is as large as that of a hard one."""
    import keras

    sharp = _SCALE / _TEMPERATURE
    soft = keras.ops.softmax(sharp * wanted)
    return _TEMPERATURE**2 * keras.ops.categorical_crossentropy(soft, sharp * cosines, from_logits=True)


def _encoder() -> keras.Model:
    import keras
    from keras import layers

    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scaling")(image)
    x = normalized(layers.Conv2D(24, 2, use_bias=False, name="stem")(x), "stem")
    for block, width in enumerate(_WIDTHS, 1):
        x = _convolved(x, width, f"block{block}")
        x = normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}")
        beside = normalized(_convolved(x, width, f"block{block}_a"), f"block{block}_a")
        beside = normalized(_convolved(beside, width, f"block{block}_b"), f"block{block}_b", relu=False)
        x = layers.ReLU(name=f"block{block}_out")(layers.Add(name=f"block{block}_add")([x, beside]))
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return keras.Model(image, layers.Dense(_EMBEDDING, name="embedding", dtype="float32")(x), name="encoder")


def _convolved(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    from keras import layers

    return layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)


if __name__ == "__main__":
    from .sets import learning_set

    strong_encoder(learning_set("cifar10")[0], 10)
