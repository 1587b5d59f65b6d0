"""Set the weights of a network to zero that it can best do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..errors import ModelError
from ..graph import flatten, rebuild, require_kernels, require_layers, trace
from ..recover.apply import recover
from ..steps import steps_per_epoch
from .config import Schedule
from .decay import penalty
from .hold import Masked
from .kernels import kernels_of
from .masks import magnitude_masks

if TYPE_CHECKING:
    from ..learning import LearningData
    from ..training import Progress
    from .config import SparsifyConfig
    from .kernels import Kernel
    from .schedule import PolynomialSchedule

__all__ = ["LayerSparsity", "SparsifyResult", "sparsify"]


@dataclass(frozen=True)
class LayerSparsity:
    """Zeros in one layer.

    Attributes:
        name: Name of the layer.
        weights: Weights in its kernels; biases do not count.
        zeros: Those of them that are exactly zero.
    """

    name: str
    weights: int
    zeros: int


@dataclass(frozen=True)
class SparsifyResult:
    """What a sparsification pass did.

    Attributes:
        model: The sparse model, built but not compiled; shapes are as before.
        layers: Every layer that has a kernel, in the model's order.
    """

    model: keras.Model
    layers: tuple[LayerSparsity, ...]


def sparsify(
    model: keras.Model,
    teacher: keras.Model,
    config: SparsifyConfig,
    data: LearningData,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> SparsifyResult:
    """Prune single weights by magnitude, little by little while the network is fine-tuned, or at once.

    A weight that went stays away: it gets a gradient, but is set back to zero after every step (Zhu and Gupta, 2017), and
    having no magnitude it is the first to go at the next removal.

    The zeros are ordinary values of dense tensors. A .tflite file of the result has the size and the latency of one
    without; what shrinks is a bundle, whose weights are entropy-coded.

    Args:
        model: A functional or sequential classifier that gives probabilities `[batch, classes]`. It stays untouched.
        teacher: The original network, likewise; it teaches while weights go.
        config: How many weights go, which, and how the network is trained meanwhile.
        data: What it learns from; the best validation weights of those with all zeros are kept.
        seed: Of order and augmentation.
        progress: Told after every epoch.

    Returns:
        The sparse model, and how many zeros are where.

    Raises:
        ModelError: The model has no functional graph, no kernel outside `config.skip`, or none that the pattern fits.
        RecipeError: `config.skip` names a layer that the model does not have, or training is too short for the schedule.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    student = rebuild(graph, lambda _: None)
    targets = [kernel for kernel in kernels_of(student.layers) if kernel.layer not in config.skip]
    require_kernels(targets, "Sparsifying", model)
    _require_room(targets, config, model.name)
    if config.schedule is Schedule.ONE_SHOT:
        _zero(targets, config, config.target)
    else:
        _train(student, teacher, targets, config, data, seed, progress)
    return SparsifyResult(flatten(student), _account(kernels_of(student.layers)))


def _train(
    student: keras.Model,
    teacher: keras.Model,
    targets: Sequence[Kernel],
    config: SparsifyConfig,
    data: LearningData,
    seed: int,
    progress: Progress | None,
) -> None:
    schedule = config.schedule_for(len(data.train.y))
    epoch = steps_per_epoch(len(data.train.y), config.training.batch_size)
    decay = penalty(config.decay, config.strength, config.scale)
    for kernel in targets:
        kernel.variable.regularizer = _both(kernel.variable.regularizer, decay)
    recover(
        student,
        teacher,
        data.train,
        data.validation,
        config.training,
        seed=seed,
        augment=data.augment,
        progress=progress,
        callbacks=[_Removal(targets, config, schedule)],
        keep_from=-(-schedule.end // epoch) - 1,
        keep_shared=False,
    )


class _Removal(keras.callbacks.Callback):
    """Takes weights away when the schedule says so, and holds them at zero in between.

    The masks are variables of the optimizer: a back end that compiles a step as a pure function (JAX) takes these as
    arguments, where it would bake any other variable's first value into the step.
    """

    def __init__(self, targets: Sequence[Kernel], config: SparsifyConfig, schedule: PolynomialSchedule) -> None:
        super().__init__()
        self._targets, self._config, self._schedule = targets, config, schedule
        self._masks: list[keras.Variable] = []
        self._steps = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        del logs
        for kernel in self._targets:
            variable = kernel.variable
            mask = self.model.optimizer.add_variable(
                variable.shape, initializer="ones", name=f"mask_{len(self._masks)}"
            )
            variable.constraint = Masked(mask, variable.constraint)
            self._masks.append(mask)
        self._remove_if_due()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        del batch, logs
        self._steps += 1
        self._remove_if_due()

    def _remove_if_due(self) -> None:
        if not self._schedule.due(self._steps):
            return
        # During an epoch Keras on JAX keeps weights outside their variables, unless it is asked to bring them back.
        if sync := getattr(self.model, "jax_state_sync", None):
            sync()
        masks = _zero(self._targets, self._config, self._schedule.at(self._steps))
        for variable, mask in zip(self._masks, masks, strict=True):
            variable.assign(mask.astype("float32"))


def _zero(
    targets: Sequence[Kernel], config: SparsifyConfig, sparsity: float
) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    """Set the smallest weights to zero and return what stays."""
    values = [kernel.variable.numpy() for kernel in targets]
    masks = magnitude_masks(values, sparsity, config.scope, config.groups, [kernel.axis for kernel in targets])
    for kernel, value, mask in zip(targets, values, masks, strict=True):
        kernel.variable.assign(np.where(mask, value, np.zeros_like(value)))
    return masks


def _both(one: Callable[[Any], Any] | None, other: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if one is None or other is None:
        return one or other
    return lambda kernel: one(kernel) + other(kernel)


def _account(kernels: Sequence[Kernel]) -> tuple[LayerSparsity, ...]:
    weights: dict[str, int] = {}
    zeros: dict[str, int] = {}
    for kernel in kernels:
        value = kernel.variable.numpy()
        weights[kernel.layer] = weights.get(kernel.layer, 0) + value.size
        zeros[kernel.layer] = zeros.get(kernel.layer, 0) + int((value == 0).sum())
    return tuple(LayerSparsity(name, count, zeros[name]) for name, count in weights.items())


def _require_room(targets: Sequence[Kernel], config: SparsifyConfig, name: str) -> None:
    pattern = config.groups
    summed = [kernel.variable.shape[kernel.axis] for kernel in targets if kernel.axis is not None]
    if pattern and max(summed, default=0) <= pattern.kept:
        raise ModelError(
            f"The pattern {config.pattern} needs a layer of more than {pattern.kept} input channels. "
            f"Received: '{name}' with at most {max(summed, default=0)}. Choose a smaller pattern, or a sparsity without one."
        )
