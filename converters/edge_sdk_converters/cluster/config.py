"""What a weight-sharing pass is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..config_rules import require_at_least, require_layer_names, take_members
from ..errors import RecipeError

__all__ = ["ClusterBudget", "ClusterConfig", "Form", "Init"]

MOST_BITS = 8
MOST_CLUSTERS = 2**MOST_BITS
"""An index has to fit into a byte."""

_BITS = 4


class Init(str, Enum):
    """Where k-means begins (Deep Compression, section 3.2)."""

    FORGY = "forgy"
    """Random observations."""
    DENSITY = "density"
    """Even steps of the cumulative distribution: most values where most weights are."""
    LINEAR = "linear"
    """Even steps between the least and the greatest weight: large weights, which matter more, get values of their own."""


class Form(str, Enum):
    """What is shared."""

    WEIGHTS = "weights"
    """Every weight is one of a few values."""
    KERNELS = "kernels"
    """Every k×k kernel of a convolution is one of a few kernels; dense layers and 1×1 convolutions share weights."""
    BINARY = "binary"
    """Every weight is one of two values ±a, a being the mean magnitude (Courbariaux et al., "BinaryConnect", arXiv 1511.00363,
    with the scale of Rastegari et al., "XNOR-Net", arXiv 1603.05279)."""


@dataclass(frozen=True)
class ClusterBudget:
    """Limits under which bits are chosen layer by layer, all of those that are given.

    Attributes:
        bytes: Most bytes that the shared tensors take when coded: indices at their first-order entropy, and codebooks.
        accuracy_drop: Most accuracy lost on the validation images before recovery, 0.01 being one point; 0 to below 1. The
            fewest bytes within it are looked for.

    Raises:
        RecipeError: Nothing is limited, or a limit is outside what it may be.
    """

    bytes: int | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        if self.bytes is None and self.accuracy_drop is None:
            raise RecipeError(
                "A budget must limit bytes or accuracy_drop. Received: neither. Write budget = { accuracy_drop = 0.01 }."
            )
        if self.bytes is not None and self.bytes < 1:
            raise RecipeError(f"bytes in a budget must be at least 1. Received: {self.bytes}. Try 10000.")
        if self.accuracy_drop is not None and not 0 <= self.accuracy_drop < 1:
            raise RecipeError(
                f"accuracy_drop must be at least 0 and below 1. Received: {self.accuracy_drop}. Write 0.01 for one point."
            )


@dataclass(frozen=True)
class ClusterConfig:
    """How many values the weights of each layer share, and how these are found.

    Zeros stay exactly zero: zero is a value of its own beside the shared ones, takes no part in k-means and never learns.
    It is meant as the last rewriting pass. A recovery after it keeps the sharing and trains the shared values, each by the
    sum of its weights' gradients.

    Attributes:
        form: What is shared.
        bits: Bits of an index, 1 to 8, for 2 to 256 shared values beside zero; 4 where neither these nor clusters nor a budget
            are given.
        clusters: Shared values beside zero, 2 to 256, where they are no power of two.
        layers: Bits of single layers by name, whatever the others get.
        init: Where k-means begins.
        group: Consecutive output channels that share one codebook, at least 1; 0 for all of a layer.
        bias_bits: Bits of a layer's biases, likewise; 0 leaves biases as they are.
        budget: What bits are chosen for, from 1 to 8 for every layer; None for no choice.
        samples: Training images on which it is measured what a layer's bits cost, 1 or more; for `budget`.
        skip: Names of layers whose weights stay as they are.
        seed: Of random observations, and of the images.

    Raises:
        RecipeError: A value is outside what it may be, or two contradict each other.
    """

    form: Form = Form.WEIGHTS
    bits: int | None = None
    clusters: int | None = None
    layers: Mapping[str, int] = field(default_factory=dict)
    init: Init = Init.LINEAR
    group: int = 0
    bias_bits: int = 0
    budget: ClusterBudget | None = None
    samples: int = 512
    skip: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        take_members(self, form=Form, init=Init)
        require_at_least(self, samples=1, group=0, bias_bits=0, seed=0)
        require_layer_names(self)
        self._check_sizes()
        self._check_choice()
        object.__setattr__(self, "layers", dict(self.layers))

    def count_for(self, layer: str) -> int:
        """Shared values beside zero that a layer gets, where no budget chooses."""
        if layer in self.layers:
            return 2 ** self.layers[layer]
        return self.clusters or 2 ** (self.bits or _BITS)

    def _check_sizes(self) -> None:
        given = {"bits": self.bits, "bias_bits": self.bias_bits or None} | {
            f"layers.{name}": bits for name, bits in self.layers.items()
        }
        for name, bits in given.items():
            if bits is not None and not 1 <= bits <= MOST_BITS:
                raise RecipeError(
                    f"{name} must be between 1 and {MOST_BITS}, for a codebook of 2 to {MOST_CLUSTERS} values. Received: {bits}. Try 4."
                )
        if self.clusters is not None and not 2 <= self.clusters <= MOST_CLUSTERS:
            raise RecipeError(
                f"clusters must be between 2 and {MOST_CLUSTERS}. Received: {self.clusters}. Try 16, or write bits = 4."
            )
        for name in self.layers:
            if name in self.skip:
                raise RecipeError(f"layers must not name a layer to skip. Received: '{name}' in both. Name it in one.")

    def _check_choice(self) -> None:
        """One way alone says how many values there are."""
        named = {"bits": self.bits, "clusters": self.clusters, "budget": self.budget}
        given = [name for name, value in named.items() if value is not None]
        if len(given) > 1:
            raise RecipeError(
                f"Only one of {', '.join(named)} may say how many values there are. Received: {' and '.join(given)}. Leave one out."
            )
        if self.form is Form.BINARY and (given or self.layers):
            raise RecipeError(
                f"form binary has two values and nothing to choose. Received: {', '.join([*given, *(['layers'] if self.layers else [])])}. "
                "Leave it out, or write form = 'weights'."
            )
