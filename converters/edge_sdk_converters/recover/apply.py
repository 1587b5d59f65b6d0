"""Recovery: fine-tuning after a pass, taught by the original network.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531): the student matches the teacher's
softened probabilities, weighted by T² so that the gradient's scale does not depend on the temperature T.

What a pass has set to zero stays zero, and weights that share a value go on sharing one: recovering a sparse network must not
fill it up again, and one of few values must not get many.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..cluster.hold import sharing_kept
from ..sparsify.hold import zeros_kept
from ..training import Augment, Examples, FitConfig, Progress, fit
from .config import RecoverConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["distillation_loss", "recover"]


def recover(
    student: keras.Model,
    teacher: keras.Model,
    train: Examples,
    validation: Examples,
    config: RecoverConfig,
    *,
    seed: int = 0,
    augment: Augment | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    keep_from: int = 0,
    keep_shared: bool = True,
) -> None:
    """Fine-tune a network in place so that it agrees with labels and teacher again.

    Weights of dense and convolution kernels that are exactly zero at the beginning are so at the end, unless a kernel holds
    nothing else. Weights that share a value go on sharing one, which learns by the sum of their gradients. The weights are
    those of the epoch with the lowest validation loss, teacher's part included.

    Args:
        student: Gives probabilities `[batch, classes]`.
        teacher: The original network, likewise; it stays untouched.
        train: Images and class indices to learn from.
        validation: Decides when to stop; the best weights are restored.
        config: Epochs, learning rate, weight of the teacher.
        seed: Of order and augmentation.
        augment: Changes each training batch; the teacher sees the changed batch.
        progress: Told after every epoch.
        callbacks: Also called; what a pass does to the network while it recovers.
        keep_from: The first epoch, counted from 0, whose weights may be kept.
        keep_shared: Whether weights that share a value go on doing so; a pass that changes single weights says no.
    """
    classes = int(student.output_shape[-1])

    def targets(x: NDArray[Any], y: NDArray[np.int64]) -> NDArray[np.float32]:
        softened = np.asarray(teacher.predict_on_batch(x))
        return np.concatenate([np.eye(classes, dtype=np.float32)[y], softened], axis=1)

    epochs = config.epochs_for(len(train.y))
    fit_config = FitConfig(epochs, config.learning_rate, config.batch_size, config.patience, seed, keep_from)
    loss = distillation_loss(config.distillation, config.temperature)
    with zeros_kept(student), sharing_kept(student) if keep_shared else nullcontext(student) as learner:
        fit(
            learner,
            train,
            validation,
            fit_config,
            loss=loss,
            targets=targets,
            augment=augment,
            progress=progress,
            callbacks=callbacks,
        )


def distillation_loss(weight: float, temperature: float) -> Any:
    """A loss for targets `[one-hot labels, teacher probabilities]` side by side, `[batch, 2 · classes]`.

    Args:
        weight: Of the teacher, 0 to 1.
        temperature: T; probabilities p become softmax(log p / T), which is what softened logits give.

    Returns:
        A function of targets and the student's probabilities `[batch, classes]`, giving `[batch]`.
    """
    ops = keras.ops

    def loss(targets: Any, probabilities: Any) -> Any:
        classes = probabilities.shape[-1]
        labels, teacher = targets[:, :classes], targets[:, classes:]
        log_student = ops.log(ops.clip(probabilities, 1e-7, 1.0))
        hard = -ops.sum(labels * log_student, axis=-1)
        softened_teacher = ops.softmax(ops.log(ops.clip(teacher, 1e-7, 1.0)) / temperature)
        soft = -ops.sum(softened_teacher * ops.log_softmax(log_student / temperature), axis=-1)
        return (1.0 - weight) * hard + weight * temperature**2 * soft

    return loss
