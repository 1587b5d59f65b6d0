"""One training loop for everything that learns here: encoders, heads, and networks recovering from a pass."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .steps import repeats_per_epoch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Augment", "Examples", "FitConfig", "Progress", "fit", "predict"]

Augment = Callable[["NDArray[Any]", np.random.Generator], "NDArray[Any]"]
"""Takes a batch and a source of randomness, returns a changed batch of the same shape and dtype."""

Progress = Callable[[int, int, dict[str, float]], None]
"""Told after every epoch: epochs done, epochs planned, the epoch's figures."""

_TARGETS_AT_ONCE = 256


@dataclass(frozen=True)
class Examples:
    """Inputs with their class indices.

    Attributes:
        x: Model inputs, `[N, …]`.
        y: Class indices, `int64 [N]`.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]


@dataclass(frozen=True)
class FitConfig:
    """How a model is trained: Adam or momentum, with a cosine schedule, the best validation weights kept.

    Attributes:
        epochs: Passes over the training data; few images are shown several times a pass, see `steps_per_epoch`.
        learning_rate: At the start, after one warm-up epoch of the schedule's length; it falls to zero along a cosine.
        batch_size: Examples per step.
        patience: Epochs without a better validation loss after which training stops; 0 never stops early.
        seed: Of order and augmentation.
        keep_from: The first epoch, counted from 0, whose weights may be kept and from which patience counts: a network that
            still loses weights on the way is better before than it can be after. Where training ends before that epoch,
            the last weights are kept.
        weight_decay: Share of every kernel taken away per step, times the learning rate, apart from the gradient (AdamW,
            Loshchilov and Hutter, arXiv 1711.05101); 0 for none. Biases and normalisations keep theirs.
        momentum: Of stochastic gradient descent in Nesterov's form, 0 to below 1, in the place of Adam; None for Adam. It wants
            a greater learning rate, such as 0.1.
    """

    epochs: int
    learning_rate: float = 1e-3
    batch_size: int = 64
    patience: int = 0
    seed: int = 0
    keep_from: int = 0
    weight_decay: float = 0.0
    momentum: float | None = None


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    config: FitConfig,
    *,
    loss: Any = None,
    targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]] | None = None,
    augment: Augment | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train a classifier in place.

    Args:
        model: Gives probabilities `[batch, classes]`, unless `loss` says otherwise.
        train: What is learnt from.
        validation: What decides when to stop and which weights to keep.
        config: Epochs, learning rate and the rest.
        loss: A Keras loss; sparse categorical cross-entropy where None.
        targets: Makes what the loss compares with from a batch's inputs and class indices, each row on its own; the indices
            where None. Asked once per example where nothing changes the batches.
        augment: Changes each training batch.
        progress: Told after every epoch.
        callbacks: Called in order before the best weights are looked for, so that an epoch's last change counts.
    """
    with without_tracing_notes():  # `targets` may ask another model
        batches = _Batches(train, config, targets, augment)
        held_out = _Batches(validation, config, targets, None, shuffle=False)
    model.compile(
        optimizer=_optimizer(config, model, len(batches)),
        loss=loss or keras.losses.SparseCategoricalCrossentropy(),
        metrics=None if targets else ["accuracy"],
    )
    told = [_Report(progress, config.epochs)] if progress else []
    model_callbacks = [*callbacks, _BestWeights(config.patience, config.keep_from), *told]
    with without_tracing_notes():
        model.fit(
            batches, validation_data=held_out, epochs=config.epochs, callbacks=model_callbacks, verbose=0, shuffle=False
        )


def predict(model: keras.Model, x: NDArray[Any], batch_size: int = 256) -> NDArray[np.float32]:
    """A model's outputs for many inputs, in inference mode, without Keras's progress bar.

    Args:
        model: Any model with one input and one output.
        x: Inputs, `[N, …]`.
        batch_size: Inputs at a time.

    Returns:
        `float32 [N, …]`.
    """
    with without_tracing_notes():
        outputs: NDArray[np.float32] = model.predict(x, batch_size=batch_size, verbose=0)
    return outputs


@contextlib.contextmanager
def without_tracing_notes() -> Iterator[None]:
    """Hold back TensorFlow's warning that it traces often: a pipeline of several models does, once for each."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _optimizer(config: FitConfig, model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    schedule, decay = _schedule(config, steps), config.weight_decay or None
    if config.momentum is not None:
        optimizer = keras.optimizers.SGD(schedule, config.momentum, nesterov=True, weight_decay=decay)
    else:
        optimizer = keras.optimizers.AdamW(schedule, decay) if decay else keras.optimizers.Adam(schedule)
    if decay:
        optimizer.exclude_from_weight_decay([weight for weight in model.trainable_variables if len(weight.shape) < 2])
    return optimizer


def _schedule(config: FitConfig, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    total = max(1, steps * config.epochs)
    warm_up = min(steps, total // 10)
    return keras.optimizers.schedules.CosineDecay(
        config.learning_rate * 0.1, total - warm_up, warmup_target=config.learning_rate, warmup_steps=warm_up
    )


class _Batches(keras.utils.PyDataset):
    """Shuffled, augmented batches; what batch i of epoch e holds depends on the seed alone."""

    def __init__(
        self,
        examples: Examples,
        config: FitConfig,
        targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]] | None,
        augment: Augment | None,
        shuffle: bool = True,
    ) -> None:
        super().__init__()
        self._examples, self._targets, self._augment, self._shuffle = examples, targets, augment, shuffle
        self._size = config.batch_size if shuffle else max(config.batch_size, 256)
        if targets and not augment:  # a teacher's answer to the same image is the same in every epoch
            self._examples, self._targets = Examples(examples.x, _all_targets(examples, targets)), None
        self._rng = np.random.default_rng(config.seed)
        repeats = repeats_per_epoch(len(examples.x), self._size) if shuffle else 1
        self._order = np.tile(np.arange(len(examples.x)), repeats)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = self._order[index * self._size : (index + 1) * self._size]
        x, y = self._examples.x[rows], self._examples.y[rows]
        if self._augment:
            x = self._augment(x, np.random.default_rng((self._epoch_seed, index)))
        return x, self._targets(x, y) if self._targets else y

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._epoch_seed = int(self._rng.integers(1 << 31))
        if self._shuffle:
            self._rng.shuffle(self._order)


def _all_targets(
    examples: Examples, targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]]
) -> NDArray[Any]:
    parts = (slice(start, start + _TARGETS_AT_ONCE) for start in range(0, len(examples.x), _TARGETS_AT_ONCE))
    return np.concatenate([targets(examples.x[part], examples.y[part]) for part in parts])


class _BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and stops when it has not fallen for a while."""

    def __init__(self, patience: int, keep_from: int) -> None:
        super().__init__()
        self._patience, self._keep_from, self._best, self._since = patience, keep_from, math.inf, 0
        self._weights: list[NDArray[np.float32]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch < self._keep_from:
            return
        loss = (logs or {}).get("val_loss", math.inf)
        self._since += 1
        if loss < self._best or not self._weights:
            self._best, self._weights, self._since = loss, self.model.get_weights(), 0
        elif self._patience and self._since >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        del logs
        if self._weights:
            self.model.set_weights(self._weights)


class _Report(keras.callbacks.Callback):
    def __init__(self, progress: Progress, epochs: int) -> None:
        super().__init__()
        self._progress, self._epochs = progress, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._progress(epoch + 1, self._epochs, dict(logs or {}))
