"""The head: a small MLP from similarity features to class probabilities."""

from __future__ import annotations

import keras

from edge_sdk_converters.steps import steps_per_epoch
from edge_sdk_converters.training import Examples, FitConfig, Progress, fit

__all__ = ["build_head", "train_head"]

_BATCH = 128


def build_head(features: int, classes: int, hidden: int = 32) -> keras.Model:
    """One hidden layer with ReLU, softmax at the end.

    Args:
        features: Number of similarity features, P.
        classes: Number of classes.
        hidden: Width of the hidden layer.

    Returns:
        `float32 [batch, P]` → probabilities `[batch, classes]`.
    """
    similarities = keras.Input((features,), name="similarities")
    x = keras.layers.Dense(hidden, activation="relu", name="hidden")(similarities)
    return keras.Model(similarities, keras.layers.Dense(classes, activation="softmax", name="scores")(x), name="head")


def train_head(
    head: keras.Model, train: Examples, validation: Examples, seed: int = 0, progress: Progress | None = None
) -> None:
    """Train a head in place on features that are computed already.

    Args:
        head: What `build_head` gives.
        train: Features `float32 [N, P]` and class indices.
        validation: Decides which weights are kept.
        seed: Of the order.
        progress: Told after every epoch.
    """
    epochs = max(4, min(20, 500 // steps_per_epoch(len(train.y), _BATCH)))
    fit(head, train, validation, FitConfig(epochs, 5e-3, _BATCH, seed=seed), progress=progress)
