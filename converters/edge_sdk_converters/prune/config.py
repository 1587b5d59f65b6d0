"""What a pruning pass is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import RecipeError

__all__ = ["Criterion", "PruneConfig"]


class Criterion(str, Enum):
    """How the importance of a channel is judged."""

    L1 = "l1"
    """Mean magnitude of the weights that produce it (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""
    BATCH_NORM = "batch-norm"
    """Scale of the batch normalisation that follows it (Liu et al., "Network Slimming", 2017)."""


@dataclass(frozen=True)
class PruneConfig:
    """How many channels are removed, and which.

    Attributes:
        fraction: Share of all removable channels that one ranking over the whole network removes, above 0, below 1.
        criterion: How the importance of a channel is judged.
        min_channels: Channels that every layer keeps at least, 1 or more.
        multiple: What remains in a layer is a multiple of this where the layer's structure allows it; 1 or more.
        skip: Names of layers whose output channels all stay.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    fraction: float = 0.3
    criterion: Criterion = Criterion.L1
    min_channels: int = 4
    multiple: int = 4
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise RecipeError(f"fraction must be above 0 and below 1. Received: {self.fraction}. Try 0.3.")
        if self.criterion not in tuple(Criterion):
            names = ", ".join(criterion.value for criterion in Criterion)
            raise RecipeError(f"criterion must be one of {names}. Received: {self.criterion}. Choose one of them.")
        object.__setattr__(self, "criterion", Criterion(self.criterion))
        for name, value in (("min_channels", self.min_channels), ("multiple", self.multiple)):
            if value < 1:
                raise RecipeError(f"{name} must be at least 1. Received: {value}. Use 1 for no limit.")
        if isinstance(self.skip, str):
            raise RecipeError(f"skip must be a list of layer names. Received: '{self.skip}'. Write ['{self.skip}'].")
