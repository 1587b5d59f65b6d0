"""The CIFAR-10 encoder that the ImageEm benchmarks classify with: trained once on all ten classes, kept between runs.

Layout: conv 2×2 16, then three blocks of [conv 3×3, max pool, residual pair of conv 3×3] with 32, 80 and 128 filters, batch norm and
ReLU, global average pooling, dense 64: 27 million multiply-accumulates, half of whose kernels are the other half mirrored
(`benchmarks/strong_mirrored.py`). It compares by cosines to trainable class prototypes, as the SDK's own similarity encoder does, and
learns the cosines that other networks give for the same images (`benchmarks/strong_teachers.py`), which are shifted anew each time, and
of which a patch is hidden from it. Passes are computed in bfloat16; weights are float32.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_mirrored import Layout, mirrored, plain
from .strong_parts import MOVED, changed, in_bfloat16, in_halves, tell
from .strong_teachers import answers, settings
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
_LAYOUT = Layout(16, (32, 80, 128))
_ROUNDS = 20
_TIMES, _HARD = 4, (3, 5)
"""How often a round shows every image; twice as often those of cat and dog, told apart worst, which both experiments ask for."""
_RATE, _DECAY = 0.1, 2e-3


def strong_encoder(data: LearningData, classes: int) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, trained and kept between runs.

    Args:
        data: Training and validation images of every class.
        classes: Their number.
    """
    wanted = {
        "layout": asdict(_LAYOUT),
        "rounds": _ROUNDS,
        "rate": [_RATE, _MOMENTUM, _DECAY, _BATCH, _SCALE, _TEMPERATURE],
        "erase": _ERASE,
        "seed": _SEED,
        "images": len(data.train.y),
        "shown": [_TIMES, *_HARD],
        "teachers": settings(),
    }
    return kept("strong-encoder", wanted, lambda: _trained(data, answers(data, classes)))


def _trained(data: LearningData, told: NDArray[np.float32]) -> keras.Model:
    import keras

    from edge_sdk.learn.augment import Augmentation
    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.training import Examples, FitConfig, fit

    keras.utils.set_random_seed(_SEED)
    encoder = in_bfloat16(lambda: mirrored(_LAYOUT))
    compare = PrototypeSimilarity(list(range(told.shape[1])), name="trainable_prototypes")
    student = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="student")
    count = len(data.train.y)
    shown = np.repeat(np.arange(count), np.where(np.isin(data.train.y, _HARD), 2, 1) * _TIMES)

    def said_of(_: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return told[rows]

    fit(
        in_halves(student),
        Examples(data.train.x[shown], shown),
        Examples(data.validation.x, np.arange(count, len(told))),
        FitConfig(_ROUNDS, _RATE, _BATCH, seed=_SEED, weight_decay=_DECAY, momentum=_MOMENTUM),
        loss=_softened,
        targets=said_of,
        augment=changed(Augmentation(MOVED, flip=False, brightness=0, contrast=0, erase=_ERASE)),
        progress=tell(f"encoder {_LAYOUT.blocks}"),
    )
    return plain(encoder, _LAYOUT)


def _softened(wanted: Any, cosines: Any) -> Any:
    """Cross-entropy of two rows of softened cosines, `[batch]`; its gradient is as large as that of a hard one."""
    import keras

    sharp = _SCALE / _TEMPERATURE
    soft = keras.ops.softmax(sharp * wanted)
    return _TEMPERATURE**2 * keras.ops.categorical_crossentropy(soft, sharp * cosines, from_logits=True)
