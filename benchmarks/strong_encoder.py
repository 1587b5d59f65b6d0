"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 24, then three blocks of [conv 3×3, max pool, residual pair of conv 3×3] with 32, 96 and 96 filters, batch norm and
ReLU, global average pooling, dense 64: 0.5 million parameters, 31 million multiply-accumulates. It compares by cosines to trainable
class prototypes, as the SDK's own similarity encoder does, and learns the cosines that other networks give for the same images
(`benchmarks/strong_teachers.py`), of which a patch is hidden from it. Passes are computed in bfloat16; weights are float32.

It is the second of its kind: the first learns what three teachers say, the second what they and the first say, which tells more
images than either (Furlanello et al., "Born Again Neural Networks", arXiv 1805.04770).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_parts import begun, changed, convolved, exact, finished, in_bfloat16, in_halves, normalized, tell
from .strong_teachers import Lessons, answers_of, lessons
from .trained import kept

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["strong_encoder"]

_RATE, _MOMENTUM, _BATCH, _SEED = 0.1, 0.9, 128, 0
_ERASE = 0.25
"""Side of the patch that is hidden, as a fraction of the image's."""
_SCALE = 16.0
"""What cosines are multiplied by for a softmax."""
_TEMPERATURE = 4.0
"""What scaled cosines are divided by on both sides, so that small answers count as well (Hinton et al.)."""


@dataclass(frozen=True)
class _Generation:
    """How one of the two is made.

    Attributes:
        widths: Filters of the three blocks.
        rounds: Passes over all views of all images: each is 8 over every image, 16 over those of cats and dogs.
        decay: Of weights.
    """

    widths: tuple[int, ...]
    rounds: int
    decay: float

    def settings(self, data: LearningData) -> dict[str, Any]:
        """All that it depends on."""
        return {
            "layout": [*self.widths, 64],
            "rounds": self.rounds,
            "rate": [_RATE, _MOMENTUM, self.decay, _BATCH, _SCALE, _TEMPERATURE],
            "erase": _ERASE,
            "seed": _SEED,
            "images": len(data.train.y),
        }


# Decay works over as many steps as its product with the rate says: three times the steps ask for less.
_FIRST, _SECOND = _Generation((32, 64, 160), 4, 5e-3), _Generation((32, 96, 96), 12, 2e-3)


def strong_encoder(data: LearningData, classes: int) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, trained and kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """

    def first() -> keras.Model:
        train = partial(_trained, _FIRST, data, classes, partial(lessons, data, classes))
        return kept("strong-encoder", _FIRST.settings(data), train)

    def told() -> Lessons:
        teachers = lessons(data, classes)
        answers = answers_of(_FIRST.settings(data), first, teachers.views, data, classes)
        return Lessons(teachers.views, np.mean([teachers.answers, answers], axis=0, dtype=np.float32))

    settings = {**_SECOND.settings(data), "after": _FIRST.settings(data)}
    return kept("strong-encoder", settings, partial(_trained, _SECOND, data, classes, told))


def _trained(how: _Generation, data: LearningData, classes: int, lessons: Callable[[], Lessons]) -> keras.Model:
    import keras

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.training import Examples, FitConfig, fit

    told = lessons()
    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(lambda: _encoder(how.widths))
    compare = PrototypeSimilarity(list(range(classes)), name="trainable_prototypes")
    student = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="student")
    rows = np.arange(len(told.answers))

    def answers(_: NDArray[Any], some: NDArray[np.int64]) -> NDArray[np.float32]:
        return told.answers[some]

    fit(
        in_halves(student),
        Examples(told.views, rows[: len(told.views)]),
        Examples(data.validation.x, rows[len(told.views) :]),
        FitConfig(how.rounds, _RATE, _BATCH, seed=_SEED, weight_decay=how.decay, momentum=_MOMENTUM),
        loss=_softened,
        targets=answers,
        augment=changed(Augmentation(0, brightness=0, contrast=0, erase=_ERASE)),
        progress=tell(f"encoder {how.widths}"),
    )
    return exact(encoder, _encoder(how.widths))


def _softened(wanted: Any, cosines: Any) -> Any:
    """Cross-entropy of two rows of softened cosines, `[batch]`; its gradient is as large as that of a hard one."""
    import keras

    sharp = _SCALE / _TEMPERATURE
    soft = keras.ops.softmax(sharp * wanted)
    return _TEMPERATURE**2 * keras.ops.categorical_crossentropy(soft, sharp * cosines, from_logits=True)


def _encoder(widths: tuple[int, ...]) -> keras.Model:
    from keras import layers

    image, x = begun()
    for block, width in enumerate(widths, 1):
        x = convolved(x, width, f"block{block}")
        x = normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}")
        beside = normalized(convolved(x, width, f"block{block}_a"), f"block{block}_a")
        beside = normalized(convolved(beside, width, f"block{block}_b"), f"block{block}_b", relu=False)
        x = layers.ReLU(name=f"block{block}_out")(layers.Add(name=f"block{block}_add")([x, beside]))
    return finished(image, x)


if __name__ == "__main__":
    from .sets import learning_set

    strong_encoder(learning_set("cifar10")[0], 10)
