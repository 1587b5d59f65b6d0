"""What a sparsification pass is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from ..config_rules import require_layer_names, take_members
from ..errors import RecipeError
from ..recover.config import RecoverConfig
from ..steps import steps_per_epoch
from .pattern import Pattern
from .schedule import PolynomialSchedule

__all__ = ["Decay", "Schedule", "Scope", "SparsifyConfig"]

_SPARSITY = 0.8


class Scope(str, Enum):
    """Among which weights the smallest are looked for."""

    LAYER = "layer"
    """Within each kernel: all get the same share of zeros."""
    GLOBAL = "global"
    """Within the network: one threshold, so that layers with much to spare give more."""


class Schedule(str, Enum):
    """When weights go."""

    POLYNOMIAL = "polynomial"
    """Little by little during training (Zhu and Gupta, 2017)."""
    ONE_SHOT = "one-shot"
    """All at once and without training; let a recovery follow."""


class Decay(str, Enum):
    """What draws weights to zero while training prunes them.

    The biases are those of Hanson and Pratt, "Comparing Biases for Minimal Network Construction with Back-Propagation"
    (1989), for each weight w on its own, where theirs add up the weights of a unit first: here weights go one by one.
    """

    NONE = "none"
    """Nothing but the loss."""
    L1 = "l1"
    """|w|: the same pull on every weight."""
    L2 = "l2"
    """w²: a pull that grows with the weight."""
    HYPERBOLIC = "hyperbolic"
    """|w| / (scale + |w|): a pull that fades with the square of the weight, so that large weights stay."""
    EXPONENTIAL = "exponential"
    """1 - exp(-|w| / scale): a pull that fades faster still."""


@dataclass(frozen=True)
class SparsifyConfig:
    """How many weights become zero, which, and how the network learns meanwhile.

    It is meant as the last rewriting pass: a factorization after it would mix the zeros away again. A recovery after it
    keeps them.

    Attributes:
        sparsity: Share of the weights in kernels that becomes zero, 0 to below 1. None takes that of the pattern, and 0.8
            without one. Biases and normalisations always stay.
        scope: Whether that share is each kernel's own or the whole network's.
        pattern: `"N:M"` such as `"2:4"`: the zeros are arranged so that at most N of every M consecutive weights along the
            input channels differ from zero (see `Pattern`). Empty for zeros anywhere.
        schedule: Little by little while training, or at once.
        initial: Sparsity that the schedule begins with, 0 to that of the end.
        begin: Optimisation steps before the first weights go, 0 or more.
        frequency: Steps from one removal to the next, 1 or more.
        ramp: Share of all steps after which no more weights go, above 0, up to 1; the rest is for settling. Weights of an
            epoch before that are never taken for the best.
        training: How the network is trained meanwhile, taught by the original.
        decay: What draws weights to zero meanwhile; it takes part in the validation loss too.
        strength: Factor of the decay in the loss, 0 or more.
        scale: Magnitude up to which the hyperbolic and the exponential decay pull, above 0.
        skip: Names of layers whose weights all stay.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    sparsity: float | None = None
    scope: Scope = Scope.GLOBAL
    pattern: str = ""
    schedule: Schedule = Schedule.POLYNOMIAL
    initial: float = 0.0
    begin: int = 0
    frequency: int = 20
    ramp: float = 0.6
    training: RecoverConfig = field(default_factory=RecoverConfig)
    decay: Decay = Decay.NONE
    strength: float = 1e-5
    scale: float = 0.05
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pattern and self.sparsity is not None:
            raise RecipeError(
                f"A pattern decides the sparsity, so only one of them may be given. Received: {self.pattern} and {self.sparsity}. "
                "Leave sparsity out."
            )
        take_members(self, scope=Scope, schedule=Schedule, decay=Decay)
        self._check_numbers()
        require_layer_names(self)

    @property
    def groups(self) -> Pattern | None:
        """The pattern; None for zeros anywhere."""
        return Pattern.parse(self.pattern) if self.pattern else None

    @property
    def target(self) -> float:
        """Share of zeros at the end, 0 to below 1."""
        if self.sparsity is not None:
            return self.sparsity
        return _SPARSITY if self.groups is None else self.groups.sparsity

    def schedule_for(self, images: int) -> PolynomialSchedule:
        """When weights go, for a training set of that many images.

        Raises:
            RecipeError: Training has too few steps for `begin`, `ramp` and `frequency`.
        """
        steps = self.training.epochs_for(images) * steps_per_epoch(images, self.training.batch_size)
        updates = math.floor(self.ramp * steps - self.begin) // self.frequency
        if updates < 1:
            raise RecipeError(
                "The schedule must have a removal after the first. "
                f"Received: begin {self.begin}, frequency {self.frequency} and ramp {self.ramp} for {steps} steps of training. "
                "Train for more epochs, or begin earlier."
            )
        return PolynomialSchedule(self.initial, self.target, self.begin, self.frequency, updates)

    def _check_numbers(self) -> None:
        if not 0 <= self.target < 1:
            raise RecipeError(f"sparsity must be at least 0 and below 1. Received: {self.sparsity}. Try 0.8.")
        if not 0 <= self.initial <= self.target:
            raise RecipeError(
                f"initial must be at least 0 and at most the final sparsity of {self.target:g}. Received: {self.initial}. Try 0."
            )
        if self.begin < 0 or self.frequency < 1:
            raise RecipeError(
                f"begin must be at least 0 and frequency at least 1. Received: {self.begin} and {self.frequency}. Try 0 and 20."
            )
        if not 0 < self.ramp <= 1:
            raise RecipeError(f"ramp must be above 0 and at most 1. Received: {self.ramp}. Try 0.6.")
        if not (0 <= self.strength < math.inf and 0 < self.scale < math.inf):  # NaN is neither
            raise RecipeError(
                "strength must be at least 0, scale above 0, both finite. "
                f"Received: {self.strength} and {self.scale}. Try 1e-5 and 0.05."
            )
