"""The head: a small MLP from similarity features to class probabilities."""

from __future__ import annotations

import keras

from edge_sdk_converters.stages import numpy_head
from edge_sdk_converters.training import Examples, Progress
from edge_sdk_runtime import MlpHead
from edge_sdk_runtime.mlp_training import MlpTraining, train_mlp

from ..errors import DataError

__all__ = ["build_head", "head_to_numpy", "train_head"]

_MANY = 5000
_BATCH, _LARGE_BATCH = 32, 128
"""Examples per step for few and for many examples: with many, larger batches reach the same accuracy in half the time."""

_WEIGHT_DECAY = 0.5
"""Without it a head on standardised features grows so steep that one step of an int8 embedding moves a probability by 0.13."""


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
    """Train a head from scratch on features that are computed already, and give the model its weights.

    It is trained by `edge_sdk_runtime.mlp_training`, as a device trains it when it is taught: that standardises the features, and
    on networks this small NumPy takes a tenth of the time of Keras.

    Args:
        head: What `build_head` gives; what its weights were does not matter.
        train: Features `float32 [N, P]` and class indices.
        validation: Decides which weights are kept and when to stop; the training examples where it is empty.
        seed: Of the initial weights and the order.
        progress: Told after every epoch.

    Raises:
        DataError: The head is no plain MLP.
        UsageError: The features or class indices cannot be learnt from.
    """
    kernels = head_to_numpy(head).kernels
    config = MlpTraining(
        hidden=tuple(kernel.shape[1] for kernel in kernels[:-1]),
        batch=_BATCH if len(train.y) < _MANY else _LARGE_BATCH,
        weight_decay=_WEIGHT_DECAY,
        seed=seed,
    )
    learnt = train_mlp(
        train.x,
        train.y,
        kernels[-1].shape[1],
        config,
        validation=(validation.x, validation.y) if len(validation.y) else None,
        progress=None if progress is None else lambda done, planned, loss: progress(done, planned, {"val_loss": loss}),
    )
    pairs = zip(learnt.kernels, learnt.biases, strict=True)
    head.set_weights([array for pair in pairs for array in pair])


def head_to_numpy(head: keras.Model) -> MlpHead:
    """The same head for the device, where NumPy scores with it and teaching trains it further.

    Args:
        head: What `build_head` gives, or any model of Dense layers with biases, ReLU between them and softmax at the end.

    Returns:
        The head with copies of the weights; it gives the same probabilities within 1e-5.

    Raises:
        DataError: The model holds anything else.
    """
    converted = numpy_head(head)
    if converted is None:
        raise DataError(
            "A NumPy head must be Dense layers with biases, ReLU between them and softmax at the end. "
            f"Received: '{head.name}' of {', '.join(type(layer).__name__ for layer in head.layers)}. Build it with build_head."
        )
    return converted
