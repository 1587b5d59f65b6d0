"""Training the encoder so that cosine similarity to class prototypes separates the classes.

The class prototypes are trained with it, as a layer without bias on unit vectors, under the additive cosine margin of Wang et
al., "CosFace" (arXiv 1801.09414): the target's cosine has to win by the margin, which pulls a class together around its
prototype instead of only to the right side of a boundary.
"""

from __future__ import annotations

from typing import Any

import keras

from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_converters.training import Augment, Examples, FitConfig, Progress, fit

__all__ = ["cosine_margin_loss", "train_encoder"]

_SCALE = 16.0
_MARGIN = 0.2


def train_encoder(
    encoder: keras.Model,
    train: Examples,
    validation: Examples,
    classes: int,
    config: FitConfig,
    *,
    augment: Augment | None = None,
    progress: Progress | None = None,
) -> None:
    """Train an encoder in place.

    Args:
        encoder: Image → embedding `[batch, D]`.
        train: Preprocessed images and class indices.
        validation: Decides which weights are kept.
        classes: Number of classes.
        config: Epochs, learning rate and the rest.
        augment: Changes each training batch.
        progress: Told after every epoch.
    """
    compare = PrototypeSimilarity(list(range(classes)), name="trainable_prototypes")
    model = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="similarity_encoder")
    fit(model, train, validation, config, loss=cosine_margin_loss(_SCALE, _MARGIN), augment=augment, progress=progress)


def cosine_margin_loss(scale: float, margin: float) -> Any:
    """Softmax cross-entropy on scaled cosines, the target's lowered by the margin.

    Args:
        scale: s, above 0; cosines alone are too close together for a softmax.
        margin: m, 0 or more.

    Returns:
        A function of class indices `[batch]` or `[batch, 1]` and cosines `[batch, classes]`, giving `[batch]`.
    """

    def loss(indices: Any, cosines: Any) -> Any:
        flat = keras.ops.cast(keras.ops.reshape(indices, (-1,)), "int32")
        targets = keras.ops.one_hot(flat, cosines.shape[-1], dtype=cosines.dtype)
        logits = scale * (cosines - margin * targets)
        return keras.ops.categorical_crossentropy(targets, logits, from_logits=True)

    return loss
