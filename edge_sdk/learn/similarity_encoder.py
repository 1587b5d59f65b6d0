"""Training the encoder so that cosine similarity to class prototypes separates the classes.

The class prototypes are trained with it, as a layer without bias on unit vectors, under the additive cosine margin of Wang et
al., "CosFace" (arXiv 1801.09414): the target's cosine has to win by the margin, which pulls a class together around its
prototype instead of only to the right side of a boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_converters.steps import steps_per_epoch
from edge_sdk_converters.training import Augment, Examples, FitConfig, Progress, fit

from ..errors import DataError
from .two_phase import FirstPhase, Look, TwoPhase, two_phase

__all__ = ["CosineMargin", "cosine_margin_loss", "train_encoder"]


@dataclass(frozen=True)
class CosineMargin:
    """How hard classes are pulled apart.

    Attributes:
        scale: s, what cosines are multiplied by, above 0; cosines alone are too close together for a softmax. More classes
            want more of it.
        margin: m, by which the target's cosine has to win, 0 to 1.
        smoothing: Share of the target's probability that is given to all classes alike, 0 to below 1 (label smoothing, Szegedy
            et al., arXiv 1512.00567): a network shall not be sure of images that it has seen often.
    """

    scale: float = 16.0
    margin: float = 0.2
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf") or not 0 <= self.margin <= 1:
            raise DataError(
                "scale must be above 0 and margin between 0 and 1. "
                f"Received: scale={self.scale}, margin={self.margin}. Try 16 and 0.2."
            )
        if not 0 <= self.smoothing < 1:
            raise DataError(f"smoothing must be 0 to below 1. Received: {self.smoothing}. Try 0.1.")


def train_encoder(
    encoder: keras.Model,
    train: Examples,
    validation: Examples,
    classes: int,
    config: FitConfig,
    *,
    margin: CosineMargin | None = None,
    augment: Augment | None = None,
    progress: Progress | None = None,
    first: FirstPhase | None = None,
) -> None:
    """Train an encoder in place.

    Args:
        encoder: Image → embedding `[batch, D]`.
        train: Preprocessed images and class indices.
        validation: Decides which weights are kept.
        classes: Number of classes.
        config: Epochs, learning rate and the rest.
        margin: Scale and margin of the loss; those of `CosineMargin()` where None.
        augment: Changes each training batch.
        progress: Told after every epoch.
        first: Samples to begin with, for as many steps in all; None learns from all samples from the beginning. Patience and
            weight decay are for training without it.

    Raises:
        DataError: `first` names samples that are not there.
    """
    compare = PrototypeSimilarity(list(range(classes)), name="trainable_prototypes")
    model = keras.Model(encoder.inputs[0], compare(encoder.outputs[0]), name="similarity_encoder")
    margin = margin or CosineMargin()
    loss = cosine_margin_loss(margin.scale, margin.margin, margin.smoothing)
    if first is None:
        fit(model, train, validation, config, loss=loss, augment=augment, progress=progress)
    else:
        _fit_in_two_phases(model, train, validation, config, first, loss, augment, progress)


def _fit_in_two_phases(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    config: FitConfig,
    first: FirstPhase,
    loss: Any,
    augment: Augment | None,
    progress: Progress | None,
) -> None:
    steps = steps_per_epoch(len(train.y), config.batch_size)
    plan = TwoPhase(
        config.epochs * steps,
        first_share=first.share,
        batch_size=config.batch_size,
        look_every=steps,
        seed=config.seed,
    )

    def report(look: Look) -> None:
        if progress:
            progress(look.step // steps, config.epochs, look.figures)

    two_phase(
        model,
        train,
        first.rows,
        plan,
        validation=validation,
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=loss,
        augment=augment,
        progress=report,
    )


def cosine_margin_loss(scale: float, margin: float, smoothing: float = 0.0) -> Any:
    """Softmax cross-entropy on scaled cosines, the target's lowered by the margin.

    Args:
        scale: s, above 0; cosines alone are too close together for a softmax.
        margin: m, 0 or more.
        smoothing: Share of the target's probability that all classes share, 0 to below 1.

    Returns:
        A function of class indices `[batch]` or `[batch, 1]` and cosines `[batch, classes]`, giving `[batch]`.
    """

    def loss(indices: Any, cosines: Any) -> Any:
        flat = keras.ops.cast(keras.ops.reshape(indices, (-1,)), "int32")
        targets = keras.ops.one_hot(flat, cosines.shape[-1], dtype=cosines.dtype)
        logits = scale * (cosines - margin * targets)
        wanted = (1 - smoothing) * targets + smoothing / cosines.shape[-1]
        return keras.ops.categorical_crossentropy(wanted, logits, from_logits=True)

    return loss
