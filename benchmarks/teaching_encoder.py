"""The encoder that classes are taught to: it learns from some classes of a set, and is kept between runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from .trained import kept

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk.data import Prepared, Splits

__all__ = ["class_index", "encoder_for", "of_classes", "renumbered"]

_EPOCHS, _WIDTH, _RATE, _BATCH = 8, 16, 2e-3, 128


def encoder_for(
    train: Prepared, validation: Prepared, splits: Splits, known: list[int], *, quick: bool, held_out: int = 0
) -> keras.Model:
    """An encoder of the SDK's own layout, trained, or from the cache where it was.

    Args:
        train: Images of the known classes, preprocessed and numbered anew.
        validation: Decides which epoch's weights are kept.
        splits: Where they come from.
        known: The classes' indices there.
        quick: One epoch of a network half as wide, which is not kept.
        held_out: Training images of each class that are not in `train`.
    """
    if quick:
        return _trained(train, validation, splits, quick=True)
    settings = {"known": known, "epochs": _EPOCHS, "width": _WIDTH, "rate": _RATE, "batch": _BATCH}
    settings |= {"held out": held_out} if held_out else {}
    return kept("teaching-encoder", settings, lambda: _trained(train, validation, splits, quick=False))


def _trained(train: Prepared, validation: Prepared, splits: Splits, *, quick: bool) -> keras.Model:
    import keras

    from edge_sdk.learn.encoder import build_encoder
    from edge_sdk.learn.similarity_encoder import train_encoder
    from edge_sdk.learn.train import augmentation_for, examples
    from edge_sdk_converters.training import FitConfig

    assert splits.spec is not None, "named sets have a native size"
    keras.utils.set_random_seed(0)
    encoder = build_encoder(splits.spec, embedding=16 if quick else 64, width=8 if quick else _WIDTH)
    train_encoder(
        encoder,
        examples(train),
        examples(validation),
        len(train.labels),
        FitConfig(1 if quick else _EPOCHS, _RATE, _BATCH),
        augment=augmentation_for(splits.flips),
        progress=_tell,
    )
    return encoder


def _tell(done: int, planned: int, figures: dict[str, float]) -> None:
    del figures
    sys.stderr.write(f"encoder: {done} of {planned}\n")


def class_index(labels: tuple[str, ...], name: str) -> int:
    """The index of a class by its name, in whatever case."""
    return next(index for index, label in enumerate(labels) if label.lower() == name)


def of_classes(images: Prepared, classes: list[int]) -> Prepared:
    """The images of some classes, which are numbered anew."""
    from edge_sdk.data import Prepared

    rows = np.isin(images.y, classes)
    return Prepared(images.x[rows], renumbered(images.y[rows], classes), tuple(images.labels[c] for c in classes))


def renumbered(targets: NDArray[np.int64], classes: list[int]) -> NDArray[np.int64]:
    """Class indices as places in an ascending list of classes."""
    return np.searchsorted(classes, targets).astype(np.int64)
