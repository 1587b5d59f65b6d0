"""Situations in which a bundle meets classes that it does not know, made of training images alone.

A few of the known classes stand in for those that benchmarks/teaching.py teaches: an encoder learns from the others, and meets
them for the first time. Part of every class's training images is held out from all learning, and measured on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .teaching_encoder import class_index, of_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk.data import Prepared, Splits

__all__ = ["Situation", "situation"]

_HELD_OUT = 500
"""Training images of every class that nothing learns from."""


class Situation(NamedTuple):
    """What is known, what will be taught, and what is neither.

    Attributes:
        name: Of the classes that stand in.
        splits: Where the images come from; its test images are not used.
        known: Indices of the known classes there.
        held_out: How many images of each class were held out.
        train: Images of the known classes that the encoder learns from, numbered anew.
        validation: Likewise, to choose the encoder's weights and to set thresholds on.
        measured: Likewise, that nothing has learnt from.
        shown: Images of the classes that stand in, numbered after the known ones: what is taught is drawn from them.
        met: Likewise, that nothing learns from.
        far: Images of other things, `uint8 [N, H, W, C]`.
    """

    name: str
    splits: Splits
    known: list[int]
    held_out: int
    train: Prepared
    validation: Prepared
    measured: Prepared
    shown: Prepared
    met: Prepared
    far: NDArray[np.uint8]


def situation(splits: Splits, stand_ins: tuple[str, ...], never: tuple[str, ...], far: NDArray[np.uint8]) -> Situation:
    """Divide training and validation images.

    Args:
        splits: Labelled images with a native size.
        stand_ins: Names of the classes to be taught.
        never: Names of the classes that are left out altogether.
        far: Images of other things.
    """
    from edge_sdk.data import prepare

    assert splits.spec is not None, "named sets have a native size"
    new = [class_index(splits.labels, name) for name in stand_ins]
    absent = [class_index(splits.labels, name) for name in never]
    known = [label for label in range(len(splits.labels)) if label not in (*new, *absent)]
    train, validation = (prepare(part, splits.spec) for part in (splits.train, splits.validation))
    held_out = min(_HELD_OUT, int(np.bincount(train.y).min()) // 4)
    learnt, measured = _divided(train, held_out)
    shown, met = (_after(of_classes(part, sorted(new)), len(known)) for part in (learnt, measured))
    learnt, validation, measured = (of_classes(part, known) for part in (learnt, validation, measured))
    return Situation(" and ".join(stand_ins), splits, known, held_out, learnt, validation, measured, shown, met, far)


def _divided(images: Prepared, count: int) -> tuple[Prepared, Prepared]:
    """All but `count` images of each class, drawn at random, and those."""
    from edge_sdk_runtime.memory import balanced_sample

    apart = np.isin(np.arange(len(images)), balanced_sample(images.y, count))
    return _part(images, ~apart), _part(images, apart)


def _part(images: Prepared, rows: NDArray[np.bool_]) -> Prepared:
    from edge_sdk.data import Prepared

    return Prepared(images.x[rows], images.y[rows], images.labels)


def _after(images: Prepared, first: int) -> Prepared:
    """The images with class indices from `first` on."""
    from edge_sdk.data import Prepared

    return Prepared(images.x, images.y + first, images.labels)
