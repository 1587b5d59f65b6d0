"""What may be chosen by name before anything heavy is imported."""

from __future__ import annotations

from enum import Enum

__all__ = ["EncoderKind", "Weights"]


class EncoderKind(str, Enum):
    """Where a classifier's embeddings come from."""

    LEARNED = "learned"
    """A network trained so that similarity to class prototypes separates the classes."""
    AUTOENCODER = "autoencoder"
    """The codes of one autoencoder per class, side by side."""
    FLATTENED = "flattened"
    """The image itself, row by row: no network at all."""


class Weights(str, Enum):
    """What a network of keras.applications begins with."""

    NONE = "none"
    """Random weights."""
    IMAGENET = "imagenet"
    """Weights learnt from ImageNet, downloaded by Keras."""
