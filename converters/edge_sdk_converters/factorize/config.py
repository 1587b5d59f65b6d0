"""What a factorization pass is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..budget import Budget
from ..config_rules import require_at_least, require_layer_names, take_members
from ..errors import RecipeError

__all__ = ["FactorizeConfig", "Method", "RankRule"]


class Method(str, Enum):
    """How spatial convolutions are written as products; dense layers and 1×1 convolutions are always split by SVD."""

    AUTO = "auto"
    """Per layer whichever of the others costs the least output error per multiply-accumulate saved."""
    TUCKER = "tucker"
    """1×1, k×k, 1×1 over fewer channels (Kim et al., arXiv 1511.06530)."""
    SPATIAL = "spatial"
    """k×1, then 1×k (Jaderberg et al., arXiv 1405.3866)."""
    CP = "cp"
    """1×1, depthwise k×k, 1×1 (Lebedev et al., arXiv 1412.6553)."""


class RankRule(str, Enum):
    """Who chooses the ranks of the layers that `ranks` does not name."""

    ENERGY = "energy"
    """Per layer, the smallest ranks that keep `energy`."""
    VARIATIONAL_BAYES = "variational-bayes"
    """Per layer, the components that stand out of the noise of its kernel (Nakajima et al., 2013)."""
    AUTO = "auto"
    """All layers at once, the ranks that cost the least output error and meet `budget`."""
    GIVEN = "given"
    """Nobody: only layers that `ranks` names are factorized."""


@dataclass(frozen=True)
class FactorizeConfig:
    """How far layers are factorized, how, and which of them.

    Attributes:
        method: How spatial convolutions are written as products.
        rank: Who chooses the ranks.
        energy: Share of each kernel's squared singular values that the factors keep, above 0 to 1; for `rank` energy.
        budget: What the network is brought down to; for `rank` auto, where None means one point of accuracy.
        ranks: Ranks of single layers by name, whatever `rank` says: two for Tucker-2 (input and output channels), else one.
        data_aware: Whether the error of a layer's *output* on calibration images is minimised (True) or that of its
            kernel (False); None for the former wherever there is data.
        samples: Calibration images taken from the training images, 1 or more.
        min_saving: Share of a layer's multiply-accumulates that its factors have to save, 0 to below 1; a layer that
            would save less is kept.
        multiple: Ranks are rounded up to a multiple of this, at least 1; four suits the vector units of ARM processors.
            Ranks in `ranks` are taken as they are.
        latency: Whether a layer is only replaced where its factors are measured to be faster on the interpreter at hand.
        skip: Names of layers to leave alone.
        seed: Of the calibration images, the positions in them, and where iterations start.

    Raises:
        RecipeError: A value is outside what it may be, or two contradict each other.
    """

    method: Method = Method.AUTO
    rank: RankRule = RankRule.ENERGY
    energy: float = 0.95
    budget: Budget | None = None
    ranks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    data_aware: bool | None = None
    samples: int = 512
    min_saving: float = 0.1
    multiple: int = 4
    latency: bool = False
    skip: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        take_members(self, method=Method, rank=RankRule)
        if not 0 < self.energy <= 1:
            raise RecipeError(f"energy must be above 0 and at most 1. Received: {self.energy}. Try 0.95.")
        if not 0 <= self.min_saving < 1:
            raise RecipeError(f"min_saving must be at least 0 and below 1. Received: {self.min_saving}. Try 0.1.")
        require_at_least(self, multiple=1, samples=1, seed=0)
        require_layer_names(self)
        self._check_ranks()
        if self.budget is not None and self.rank is not RankRule.AUTO:
            raise RecipeError(
                f"budget must go with rank auto, which alone meets it. Received: rank {self.rank.value}. Write rank = 'auto'."
            )

    def _check_ranks(self) -> None:
        for name, ranks in self.ranks.items():
            if not isinstance(ranks, (tuple, list)) or len(ranks) not in (1, 2) or not all(map(_is_rank, ranks)):
                raise RecipeError(
                    f"ranks must give every layer one or two whole numbers of at least 1. Received: {ranks!r} for '{name}'. "
                    "Write [8], or [8, 16] for the input and output channels of Tucker-2."
                )
            if name in self.skip:
                raise RecipeError(f"ranks must not name a layer to skip. Received: '{name}' in both. Name it in one.")
        if self.rank is RankRule.GIVEN and not self.ranks:
            raise RecipeError(
                "ranks must name a layer where rank is given. Received: none. Write ranks = { name = [8] }."
            )
        object.__setattr__(self, "ranks", {name: tuple(ranks) for name, ranks in self.ranks.items()})


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
