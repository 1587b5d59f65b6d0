"""What pruning is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from ..budget import Budget
from ..config_rules import require_at_least, require_layer_names, take_members
from ..errors import RecipeError
from ..recover.config import RecoverConfig

__all__ = ["ActivationCycleConfig", "Criterion", "PruneConfig", "Unknown"]

_DEFAULT_FRACTION = 0.3


class Criterion(str, Enum):
    """How the importance of a channel is judged."""

    L1 = "l1"
    """Mean magnitude of the weights that produce it (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""
    BATCH_NORM = "batch-norm"
    """Scale of the batch normalisation that follows it (Liu et al., "Network Slimming", 2017)."""
    TAYLOR = "taylor"
    """First-order estimate of what the loss changes without it (Molchanov et al., "Importance Estimation", 2019)."""
    ACTIVATIONS = "activations"
    """How often it is active over images (Hu et al., "Network Trimming", 2016; Çallı's thesis, 2017)."""
    THINET = "thinet"
    """What the next layer's output loses without it, chosen greedily (Luo et al., "ThiNet", 2017)."""


class Unknown(str, Enum):
    """What becomes of a layer whose kind the analysis does not know."""

    REFUSE = "refuse"
    """The model is refused, and the layer named."""
    KEEP = "keep"
    """Every channel that reaches it stays."""


@dataclass(frozen=True)
class PruneConfig:
    """How many channels are removed, and which.

    Attributes:
        fraction: Share of all removable channels that one ranking over the whole network removes, above 0, below 1; 0.3
            where neither it nor a budget is given, None under a budget.
        criterion: How the importance of a channel is judged.
        min_channels: Channels that every layer keeps at least, 1 or more.
        layer_fraction: Largest share of one layer's channels that goes, above 0 to 1: a ranking over the whole network
            can rate all of a layer low, and a layer that is nearly gone is what fine-tuning cannot mend.
        multiple: What remains in a layer is a multiple of this where the layer's structure allows it; 1 or more.
        skip: Names of layers whose output channels all stay.
        unknown: What becomes of a layer whose kind the analysis does not know.
        budget: What the network has to get down to, in the place of `fraction`: the lowest-ranked channels go until every
            limit holds. A limit on `accuracy_drop` alone removes as much as stays within it.
        samples: Most training images that a criterion judges by, 1 or more.
        seed: Of the choice of those images and of positions in them; 0 or more.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    fraction: float | None = None
    criterion: Criterion = Criterion.L1
    min_channels: int = 4
    layer_fraction: float = 0.9
    multiple: int = 4
    skip: tuple[str, ...] = ()
    unknown: Unknown = Unknown.REFUSE
    budget: Budget | None = None
    samples: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fraction is None and self.budget is None:
            object.__setattr__(self, "fraction", _DEFAULT_FRACTION)
        if self.fraction is not None and not 0 < self.fraction < 1:
            raise RecipeError(f"fraction must be above 0 and below 1. Received: {self.fraction}. Try 0.3.")
        if self.fraction is not None and self.budget is not None:
            raise RecipeError(
                f"fraction and budget exclude each other. Received: {self.fraction} and a budget. Leave one of them out."
            )
        if not 0 < self.layer_fraction <= 1:
            raise RecipeError(
                f"layer_fraction must be above 0 and at most 1. Received: {self.layer_fraction}. Use 1 for no such limit."
            )
        take_members(self, criterion=Criterion, unknown=Unknown)
        require_at_least(self, min_channels=1, multiple=1, samples=1, seed=0)
        require_layer_names(self)

    def least_channels(self, channels: int) -> int:
        """What a layer of so many channels has to keep."""
        kept = channels - math.floor(self.layer_fraction * channels + 1e-9)  # 0.9 · 10 is 9.000000000000002 or 8.99…
        return max(self.min_channels, kept)


@dataclass(frozen=True)
class ActivationCycleConfig:
    """How the cycle train – count – remove runs.

    Attributes:
        threshold: Units that are active at most at this share of all (image, position) go; 0 to below 1. The thesis's
            vanilla form has 0: what is never active goes.
        distorted: Add noise to the weights before counting, so that features stop being shared.
        regularized: Train with an L1 term on every trainable weight.
        outliers: Also remove units whose mean activation lies more than two standard deviations below their layer's mean.
        merged: Also remove units that the others can replace: the next layer's weights are fitted anew (ours, not the
            thesis's).
        l1: Weight of the L1 term of `regularized`, above 0.
        tolerance: Share of a layer's output that `merged` may lose in the mean square, above 0 to below 1.
        rounds: Most rounds, 1 or more.
        patience: Rounds in a row that have to remove nothing before the cycle ends, 1 or more; noise makes each one differ.
        min_channels: Channels that every layer keeps at least, 1 or more.
        skip: Names of layers whose output channels all stay.
        unknown: What becomes of a layer whose kind the analysis does not know.
        seed: Of the noise, 0 or more.
        training: How a recipe trains in each round, taught by the original; `prune_by_activation` is given its own way.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    threshold: float = 0.0
    distorted: bool = False
    regularized: bool = False
    outliers: bool = False
    merged: bool = False
    l1: float = 1e-4
    tolerance: float = 1e-3
    rounds: int = 20
    patience: int = 1
    min_channels: int = 1
    skip: tuple[str, ...] = ()
    unknown: Unknown = Unknown.REFUSE
    seed: int = 0
    training: RecoverConfig = field(default_factory=lambda: RecoverConfig(epochs=2, min_steps=200))

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise RecipeError(f"threshold must be at least 0 and below 1. Received: {self.threshold}. Try 0.0.")
        if not 0 < self.l1 < math.inf:
            raise RecipeError(f"l1 must be above 0 and finite. Received: {self.l1}. Try 0.0001.")
        if not 0 < self.tolerance < 1:
            raise RecipeError(f"tolerance must be above 0 and below 1. Received: {self.tolerance}. Try 0.001.")
        take_members(self, unknown=Unknown)
        require_at_least(self, rounds=1, patience=1, min_channels=1, seed=0)
        require_layer_names(self)
