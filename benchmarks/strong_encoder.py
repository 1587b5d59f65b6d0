"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 16, then three blocks of [conv 3×3, max pool, residual pair of conv 3×3] with 32, 80 and 128 filters, batch norm and
ReLU, global average pooling, dense 64: 27 million multiply-accumulates, half of whose kernels are the other half mirrored
(`benchmarks/strong_mirrored.py`). It compares by cosines to trainable class prototypes, as the SDK's own similarity encoder does, and
learns the cosines that other networks give for the same images (`benchmarks/strong_teachers.py`), which are shifted anew each time, and
of which a patch is hidden from it in the first two of four stretches. In each stretch the rate falls to nothing and then begins anew, as in
Loshchilov and Hutter, "SGDR" (arXiv 1608.03983); what a stretch ends with is kept. Passes are computed in bfloat16; weights are float32.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_mirrored import Layout, mirrored, mirrored_again, plain
from .strong_parts import MOVED, changed, in_bfloat16, tell
from .strong_teachers import answers, settings
from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.learning import LearningData

__all__ = ["strong_encoder"]

_MOMENTUM, _BATCH = 0.9, 128
_DECAY = 2e-3
_SCALE = 16.0
"""What cosines are multiplied by for a softmax."""
_LAYOUT = Layout(16, (32, 80, 128))
_TIMES, _HARD = 4, (3, 5)
"""How often a round shows every image; twice as often those of cat and dog, told apart worst, which both experiments ask for."""


@dataclass(frozen=True)
class _Stretch:
    """Rounds in which the rate falls to nothing.

    Attributes:
        rounds: Their number.
        rate: Learning rate at the start.
        erase: Side of the patch that is hidden, as a fraction of the image's.
        seed: Of everything random.
        temperature: What scaled cosines are divided by on both sides, so that small answers count as well (Hinton et al.).
    """

    rounds: int
    rate: float
    erase: float
    seed: int
    temperature: float = 4.0


_STRETCHES = (
    _Stretch(20, 0.1, 0.25, 0),
    _Stretch(30, 0.1, 0.25, 1),
    _Stretch(6, 0.02, 0.0, 2),
    _Stretch(3, 0.01, 0.0, 3, temperature=1.5),
)
"""Each went on from where the one before ended; the validation images' labels became likelier with each."""


def strong_encoder(data: LearningData, classes: int) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, trained and kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    return _after(_STRETCHES, data, classes)


def _after(stretches: tuple[_Stretch, ...], data: LearningData, classes: int) -> keras.Model:
    """The encoder as the last of these stretches leaves it, each of them kept."""
    earlier, last = stretches[:-1], stretches[-1]

    def learn() -> keras.Model:
        begun = _after(earlier, data, classes) if earlier else None
        return _trained(begun, last, data, answers(data, classes))

    return kept("strong-encoder", _settings(stretches, data), learn)


def _settings(stretches: tuple[_Stretch, ...], data: LearningData) -> dict[str, Any]:
    earlier, last = stretches[:-1], stretches[-1]
    own = {
        "layout": asdict(_LAYOUT),
        "rounds": last.rounds,
        "rate": [last.rate, _MOMENTUM, _DECAY, _BATCH, _SCALE, last.temperature],
        "erase": last.erase,
        "seed": last.seed,
        "images": len(data.train.y),
        "shown": [_TIMES, *_HARD],
        "teachers": settings(),
    }
    return {**own, "begins as": _settings(earlier, data)} if earlier else own


def _trained(
    begun: keras.Model | None, stretch: _Stretch, data: LearningData, told: NDArray[np.float32]
) -> keras.Model:
    import keras

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.training import Examples, FitConfig, fit

    keras.utils.set_random_seed(stretch.seed)
    encoder = in_bfloat16(lambda: mirrored_again(begun, _LAYOUT) if begun else mirrored(_LAYOUT))
    count = len(data.train.y)
    shown = np.repeat(np.arange(count), np.where(np.isin(data.train.y, _HARD), 2, 1) * _TIMES)

    def said_of(_: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return told[rows]

    fit(
        _student(encoder, begun, data, told.shape[1]),
        Examples(data.train.x[shown], shown),
        Examples(data.validation.x, np.arange(count, len(told))),
        FitConfig(stretch.rounds, stretch.rate, _BATCH, seed=stretch.seed, weight_decay=_DECAY, momentum=_MOMENTUM),
        loss=_softened(stretch.temperature),
        targets=said_of,
        augment=changed(Augmentation(MOVED, flip=False, brightness=0, contrast=0, erase=stretch.erase)),
        progress=tell(f"encoder {_LAYOUT.blocks}, rate {stretch.rate}"),
    )
    return plain(encoder, _LAYOUT)


def _student(encoder: keras.Model, begun: keras.Model | None, data: LearningData, classes: int) -> keras.Model:
    """The encoder with prototypes behind it: each class's mean embedding where it has learnt before."""
    import keras

    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.training import predict
    from edge_sdk_runtime.scatter import class_means, unit

    compare = PrototypeSimilarity(list(range(classes)), name="trainable_prototypes")
    student = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="student")
    if begun:
        compare.prototypes.assign(unit(class_means(unit(predict(begun, data.train.x)), data.train.y, classes)))
    return student


def _softened(temperature: float) -> Any:
    """A loss: cross-entropy of two rows of softened cosines, `[batch]`; its gradient is as large as that of a hard one."""
    import keras

    sharp = _SCALE / temperature

    def loss(wanted: Any, cosines: Any) -> Any:
        soft = keras.ops.softmax(sharp * wanted)
        return temperature**2 * keras.ops.categorical_crossentropy(soft, sharp * cosines, from_logits=True)

    return loss
