"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 24, then three blocks of [conv 3×3, max pool, residual pair of conv 3×3] with 32, 96 and 96 filters, batch norm and
ReLU, global average pooling, dense 64: 31 million multiply-accumulates. It compares by cosines to trainable class prototypes, as the
SDK's own similarity encoder does, and learns the cosines that other networks give for the same images
(`benchmarks/strong_teachers.py`), of which a patch is hidden from it. Passes are computed in bfloat16; weights are float32.

It is the second of its kind: the first learns what three teachers say, the second what they and the first say, which tells more
images than either (Furlanello et al., "Born Again Neural Networks", arXiv 1805.04770). Then the SDK's own pruning takes channels out of
it until 28 million multiply-accumulates are left, and it learns a little more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_parts import begun, changed, convolved, exact, finished, in_bfloat16, in_halves, normalized, tell
from .strong_teachers import Lessons, answers_of, class_means, lessons
from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["strong_encoder"]

_MOMENTUM, _BATCH, _SEED = 0.9, 128, 0
_ERASE = 0.25
"""Side of the patch that is hidden, as a fraction of the image's."""
_SCALE = 16.0
"""What cosines are multiplied by for a softmax."""
_TEMPERATURE = 4.0
"""What scaled cosines are divided by on both sides, so that small answers count as well (Hinton et al.)."""
_MACS, _MULTIPLE = 0.92, 16
"""Share of the multiply-accumulates that pruning leaves, and what widths are multiples of, as wide registers like them."""

_Filters = Mapping[str, int]
"""Of each convolution, by name."""


@dataclass(frozen=True)
class _Training:
    """How an encoder learns.

    Attributes:
        rounds: Passes over all views of all images: each is 8 over every image, 16 over those of cats and dogs.
        decay: Of weights.
        rate: Learning rate, at its highest.
    """

    rounds: int
    decay: float
    rate: float = 0.1

    def settings(self, data: LearningData, widths: tuple[int, ...]) -> dict[str, Any]:
        """All that what it trains depends on."""
        return {
            "layout": [*widths, 64],
            "rounds": self.rounds,
            "rate": [self.rate, _MOMENTUM, self.decay, _BATCH, _SCALE, _TEMPERATURE],
            "erase": _ERASE,
            "seed": _SEED,
            "images": len(data.train.y),
        }


_FIRST_WIDTHS, _WIDTHS = (32, 64, 160), (32, 96, 96)
# Decay works over as many steps as its product with the rate says: three times the steps ask for less.
_FIRST, _SECOND, _PRUNED = _Training(4, 5e-3), _Training(12, 2e-3), _Training(4, 2e-3, 0.03)


def strong_encoder(data: LearningData, classes: int) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, trained and kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    born = {**_SECOND.settings(data, _WIDTHS), "after": _FIRST.settings(data, _FIRST_WIDTHS)}

    def second() -> keras.Model:
        return _trained(_SECOND, _untrained(_WIDTHS), _told_again(data, classes), data)

    def pruned() -> keras.Model:
        start = _narrowed(kept("strong-encoder", born, second), data, classes)
        return _trained(_PRUNED, start, _told_again(data, classes), data)

    settings = {**_PRUNED.settings(data, _WIDTHS), "macs": _MACS, "multiple": _MULTIPLE, "pruned": born}
    return kept("strong-encoder", settings, pruned)


def _told_again(data: LearningData, classes: int) -> Lessons:
    """What the teachers and the first encoder say, which learnt from them; both count as much."""
    teachers = lessons(data, classes)
    settings = _FIRST.settings(data, _FIRST_WIDTHS)

    def train() -> keras.Model:
        return _trained(_FIRST, _untrained(_FIRST_WIDTHS), teachers, data)

    def first() -> keras.Model:
        return kept("strong-encoder", settings, train)

    answers = answers_of(settings, first, teachers.views, data, classes)
    return Lessons(teachers.views, np.mean([teachers.answers, answers], axis=0, dtype=np.float32))


@dataclass(frozen=True)
class _Start:
    """Where training begins: widths, with the weights and the prototypes of classes, or None for random ones."""

    filters: _Filters
    weights: list[NDArray[Any]] | None = None
    prototypes: NDArray[np.float32] | None = None


def _untrained(widths: tuple[int, ...]) -> _Start:
    blocks = {f"block{block}{part}": width for block, width in enumerate(widths, 1) for part in ("", "_a", "_b")}
    return _Start({"stem": 24, **blocks})


def _narrowed(encoder: keras.Model, data: LearningData, classes: int) -> _Start:
    """The encoder without the channels whose loss the next layers feel least (Luo et al., "ThiNet", arXiv 1707.06342)."""
    from keras import layers

    from edge_sdk_converters.budget import Budget
    from edge_sdk_converters.prune.apply import prune
    from edge_sdk_converters.prune.config import Criterion, PruneConfig

    config = PruneConfig(criterion=Criterion.THINET, multiple=_MULTIPLE, budget=Budget(macs=_MACS), seed=_SEED)
    pruned = prune(encoder, config, data).model
    filters = {layer.name: layer.filters for layer in pruned.layers if isinstance(layer, layers.Conv2D)}
    return _Start(filters, pruned.get_weights(), class_means(pruned, data, classes))


def _trained(how: _Training, start: _Start, told: Lessons, data: LearningData) -> keras.Model:
    import keras

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.training import Examples, FitConfig, fit

    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(lambda: _encoder(start.filters))
    compare = PrototypeSimilarity(list(range(told.answers.shape[1])), name="trainable_prototypes")
    student = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="student")
    if start.weights is not None:
        encoder.set_weights(start.weights)
        compare.set_weights([start.prototypes])
    rows = np.arange(len(told.answers))

    def answers(_: NDArray[Any], some: NDArray[np.int64]) -> NDArray[np.float32]:
        return told.answers[some]

    fit(
        in_halves(student),
        Examples(told.views, rows[: len(told.views)]),
        Examples(data.validation.x, rows[len(told.views) :]),
        FitConfig(how.rounds, how.rate, _BATCH, seed=_SEED, weight_decay=how.decay, momentum=_MOMENTUM),
        loss=_softened,
        targets=answers,
        augment=changed(Augmentation(0, brightness=0, contrast=0, erase=_ERASE)),
        progress=tell(f"encoder {list(start.filters.values())}"),
    )
    return exact(encoder, _encoder(start.filters))


def _softened(wanted: Any, cosines: Any) -> Any:
    """Cross-entropy of two rows of softened cosines, `[batch]`; its gradient is as large as that of a hard one."""
    import keras

    sharp = _SCALE / _TEMPERATURE
    soft = keras.ops.softmax(sharp * wanted)
    return _TEMPERATURE**2 * keras.ops.categorical_crossentropy(soft, sharp * cosines, from_logits=True)


def _encoder(filters: _Filters) -> keras.Model:
    from keras import layers

    image, x = begun(filters["stem"])
    for block in ("block1", "block2", "block3"):
        x = convolved(x, filters[block], block)
        x = normalized(layers.MaxPooling2D(name=f"{block}_pool")(x), block)
        beside = normalized(convolved(x, filters[f"{block}_a"], f"{block}_a"), f"{block}_a")
        beside = normalized(convolved(beside, filters[f"{block}_b"], f"{block}_b"), f"{block}_b", relu=False)
        x = layers.ReLU(name=f"{block}_out")(layers.Add(name=f"{block}_add")([x, beside]))
    return finished(image, x)


if __name__ == "__main__":
    from .sets import learning_set

    strong_encoder(learning_set("cifar10")[0], 10)
