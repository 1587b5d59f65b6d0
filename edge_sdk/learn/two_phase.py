"""Training on a chosen subset first and on all samples then: the subset brings a network quickly to where it has to be refined.

After "Faster Training by Selecting Samples Using Embeddings": "50/50" gives half of the steps to the subset, and the learning rate
follows the same schedule as without it. How long training takes, and when the full set takes over, may be given in steps or in
seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edge_sdk_converters.training import Augment, Examples, without_tracing_notes

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FirstPhase", "History", "Look", "TwoPhase", "constant", "cosine", "two_phase"]

Schedule = Callable[[float], float]
"""Takes how much of the training is done, 0 to 1, gives what the learning rate is multiplied by."""

_WARM_UP = 0.05


@dataclass(frozen=True)
class TwoPhase:
    """How long training takes and when the full set takes over.

    Attributes:
        steps: Optimisation steps in all; exactly one of this and `seconds`.
        seconds: Wall time in all, looks at the validation images included.
        first_share: Share of the steps or the time that the subset gets: 1 is the subset alone, 0 the full set alone.
        first_steps: Steps that the subset gets, in the place of the share.
        first_seconds: Wall time that the subset gets, in the place of the share.
        batch_size: Samples per step.
        look_every: Steps between two looks at the validation images.
        seed: Of order and augmentation.
    """

    steps: int | None = None
    seconds: float | None = None
    first_share: float = 0.5
    first_steps: int | None = None
    first_seconds: float | None = None
    batch_size: int = 64
    look_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        total = self.steps if self.steps is not None else self.seconds
        if (self.steps is None) == (self.seconds is None) or total is None or not 0 < total < math.inf:
            raise DataError(
                "Training must last a number of steps or of seconds above 0, one of the two. "
                f"Received: steps={self.steps}, seconds={self.seconds}. Give one of them."
            )
        if self.first_steps is not None and self.first_seconds is not None:
            raise DataError(
                "The first phase must last steps or seconds, one of the two. "
                f"Received: first_steps={self.first_steps}, first_seconds={self.first_seconds}. Give one of them."
            )
        lasts = (self.first_share, self.first_steps or 0, self.first_seconds or 0)
        if not 0 <= self.first_share <= 1 or min(lasts) < 0 or self.batch_size < 1 or self.look_every < 1:
            raise DataError(
                "first_share must be between 0 and 1, first_steps and first_seconds 0 or more, batch_size and look_every at "
                f"least 1. Received: {', '.join(map(str, lasts))}, {self.batch_size} and {self.look_every}. Correct them."
            )

    def done(self, step: int, seconds: float) -> float:
        """How much of the training is over after so many steps and seconds, 0 to 1 and beyond."""
        return seconds / self.seconds if self.steps is None and self.seconds else step / (self.steps or 1)

    def in_first(self, step: int, seconds: float) -> bool:
        """Whether the next step still belongs to the subset."""
        if self.first_steps is not None:
            return step < self.first_steps
        if self.first_seconds is not None:
            return seconds < self.first_seconds
        return self.done(step, seconds) < self.first_share


@dataclass(frozen=True, eq=False)
class FirstPhase:
    """Samples that a training of otherwise fixed length begins with.

    Attributes:
        rows: Which of the training samples, `int64 [k]`.
        share: Share of the steps that they get, 0 to 1.
    """

    rows: NDArray[np.int64] = field(repr=False)
    share: float = 0.5


@dataclass(frozen=True)
class Look:
    """What a look at the training found.

    Attributes:
        step: Steps done.
        seconds: Wall time since the first step began.
        phase: 1 while learning from the subset, 2 from all.
        figures: `loss` of the training batches since the last look, and `val_loss` and others where there are validation
            images.
    """

    step: int
    seconds: float
    phase: int
    figures: dict[str, float]


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes:
        looks: In order; the last one is at the end.
        first_steps: Steps on the subset.
        second_steps: Steps on all samples.
        seconds: Wall time of all of it.
        kept_step: The step whose weights the model has now.
    """

    looks: tuple[Look, ...]
    first_steps: int
    second_steps: int
    seconds: float
    kept_step: int


def cosine(done: float) -> float:
    """Rises over the first twentieth, falls to zero along half a cosine."""
    return min(1.0, done / _WARM_UP + 0.05) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def constant(done: float) -> float:
    """Stays as it is."""
    del done
    return 1.0


def two_phase(
    model: keras.Model,
    train: Examples,
    subset: NDArray[np.int64],
    config: TwoPhase,
    *,
    validation: Examples | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    loss: Any = None,
    targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]] | None = None,
    schedule: Schedule = cosine,
    augment: Augment | None = None,
    progress: Callable[[Look], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> History:
    """Train any Keras model in place.

    Where there are validation images, the weights of the look with the lowest validation loss are kept, whichever phase it
    belongs to; otherwise the last ones.

    Args:
        model: Takes what `augment` gives, or `train.x` where there is none.
        train: All samples.
        subset: Which of them the first phase learns from, `int64 [k]`.
        config: How long.
        validation: What the weights to keep are chosen by.
        optimizer: With a plain learning rate, which the schedule multiplies; Adam at 0.001 where None.
        loss: A Keras loss; sparse categorical cross-entropy of probabilities where None.
        targets: Makes what the loss compares with from a batch's inputs and class indices; the indices where None.
        schedule: Of the learning rate, the same whatever the phases are.
        augment: Changes each training batch; it may cut pieces of the size that the model takes.
        progress: Told at every look.
        clock: Gives seconds; for tests.

    Raises:
        DataError: The subset is empty or names samples that are not there, the optimizer has a schedule of its own, or the
            loss becomes infinite or NaN.
    """
    _check_subset(subset, len(train.y))
    optimizer = optimizer or keras.optimizers.Adam(1e-3)
    rate = _plain_rate(optimizer)
    metrics = None if targets else ["accuracy"]
    model.compile(optimizer, loss or keras.losses.SparseCategoricalCrossentropy(), metrics=metrics)
    feed = _Feed(train, subset, config, augment, targets)
    watch = _Watch(model, validation, targets, progress)
    begun, step, first_steps = clock(), 0, 0
    with without_tracing_notes():
        while (done := config.done(step, elapsed := clock() - begun)) < 1:
            first = config.in_first(step, elapsed)
            optimizer.learning_rate = rate * schedule(done)
            watch.loss(model.train_on_batch(*feed.batch(step, first), return_dict=True)["loss"])
            step, first_steps = step + 1, first_steps + first
            if step % config.look_every == 0:
                watch.look(step, clock() - begun, first)
        if step % config.look_every:
            watch.look(step, clock() - begun, first)
    kept = watch.keep(step)
    optimizer.learning_rate = rate
    return History(tuple(watch.looks), first_steps, step - first_steps, clock() - begun, kept)


def _plain_rate(optimizer: keras.optimizers.Optimizer) -> float:
    rate = optimizer.get_config()["learning_rate"]
    if not isinstance(rate, float):
        raise DataError(
            "The optimizer must have a plain learning rate, which the schedule multiplies. "
            f"Received: {type(optimizer.learning_rate).__name__}. Pass a number, and the schedule as schedule=."
        )
    return rate


def _check_subset(subset: NDArray[np.int64], samples: int) -> None:
    if not len(subset) or subset.dtype.kind not in "iu" or subset.min() < 0 or subset.max() >= samples:
        received = f"{len(subset)} indices" + (f" from {subset.min()} to {subset.max()}" if len(subset) else "")
        raise DataError(
            f"The subset must be indices of the {samples} training samples, at least one. Received: {received}. "
            "Choose it from the same samples."
        )


@dataclass
class _Feed:
    """Gives the batches: each phase shuffles its own samples anew for every pass."""

    train: Examples
    subset: NDArray[np.int64]
    config: TwoPhase
    augment: Augment | None
    targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]] | None

    def __post_init__(self) -> None:
        seed, size = self.config.seed, self.config.batch_size
        self._first = _Pool(self.subset, size, np.random.default_rng((seed, 1)))
        self._all = _Pool(np.arange(len(self.train.y)), size, np.random.default_rng((seed, 2)))

    def batch(self, step: int, first: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = (self._first if first else self._all).rows()
        x, y = self.train.x[rows], self.train.y[rows]
        if self.augment:
            x = self.augment(x, np.random.default_rng((self.config.seed, 3, step)))
        return x, self.targets(x, y) if self.targets else y


class _Pool:
    """Samples in a random order without end, in batches of one size, which spares recompilation for a smaller last one."""

    def __init__(self, members: NDArray[np.int64], size: int, rng: np.random.Generator) -> None:
        self._members, self._size, self._rng = members, size, rng
        self._waiting = np.empty(0, members.dtype)

    def rows(self) -> NDArray[np.int64]:
        while len(self._waiting) < self._size:
            self._waiting = np.concatenate([self._waiting, self._rng.permutation(self._members)])
        rows, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        return rows


@dataclass
class _Watch:
    """Looks at the training now and then, and remembers the best weights."""

    model: keras.Model
    validation: Examples | None
    targets: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]] | None
    progress: Callable[[Look], None] | None
    looks: list[Look] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._losses: list[float] = []
        self._best = math.inf
        self._best_step = 0
        self._weights: list[NDArray[np.float32]] = []

    def loss(self, value: float) -> None:
        self._losses.append(float(value))

    def look(self, step: int, seconds: float, first: bool) -> None:
        mean = float(np.mean(self._losses))
        if not math.isfinite(mean):
            raise DataError(
                f"The loss must stay finite. Received: {mean} before step {step}. Lower the optimizer's learning rate."
            )
        figures = {"loss": mean, **self._validated()}
        self._losses.clear()
        self.looks.append(Look(step, seconds, 1 if first else 2, figures))
        if figures.get("val_loss", math.inf) < self._best:
            self._best, self._best_step, self._weights = figures["val_loss"], step, self.model.get_weights()
        if self.progress:
            self.progress(self.looks[-1])

    def keep(self, last: int) -> int:
        if not self._weights:
            return last
        self.model.set_weights(self._weights)
        return self._best_step

    def _validated(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        x, y = self.validation.x, self.validation.y
        expected = self.targets(x, y) if self.targets else y
        found = self.model.evaluate(x, expected, batch_size=256, verbose=0, return_dict=True)
        return {f"val_{name}": float(value) for name, value in found.items()}
