"""What every way of writing a layer as a product offers, and what they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import keras
import numpy as np

from ..errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

__all__ = [
    "Factorization",
    "Factors",
    "Ranks",
    "build_factors",
    "check_ranks",
    "expansion",
    "options_of",
    "rank_ladder",
    "round_rank",
]

Ranks = tuple[int, ...]
"""One rank, or two for Tucker-2."""

_STEPS = 20
"""Ranks on a ladder; neighbours differ by a constant factor."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A product in numbers.

    Attributes:
        kernels: One per layer, `float32`, in the shapes that Keras stores.
        bias: Of the last layer, `float32 [out]`, or None.
        error: Mean square of what the layer's output loses as a share of its own, on calibration images or, without any,
            for white inputs, which makes it the relative squared error of the kernel.
    """

    kernels: tuple[NDArray[np.float32], ...]
    bias: NDArray[np.float32] | None
    error: float


class Factorization(Protocol):
    """One way to write one layer as a product. A new one implements this and joins `KINDS` in `kinds`.

    Instances belong to one target and keep what all ranks share, such as a decomposition, after its first use.
    """

    kind: ClassVar[str]
    """Name of the way."""

    def __init__(self, target: Target, seed: int = 0) -> None:
        """Take the layer that `suits` has accepted; the seed is that of iterations that start at random."""
        ...

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """Whether the layer, a dense layer or a channels-last convolution of one group, can be written this way."""
        ...

    @property
    def full(self) -> Ranks:
        """The largest ranks possible."""
        ...

    def ladder(self, multiple: int) -> Sequence[Ranks]:
        """Ranks worth trying, from small to large, each a multiple of `multiple` or full."""
        ...

    def keeping(self, energy: float, multiple: int) -> Ranks:
        """The smallest ranks that keep a share of the kernel's energy, above 0 to 1."""
        ...

    def standing_out(self, multiple: int) -> Ranks | None:
        """The ranks that variational Bayes finds in the kernel, or None where it finds noise alone."""
        ...

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """What takes a layer's place at these ranks, without weights; every option of the original is spread over it."""
        ...

    def factors(self, ranks: Ranks) -> Factors:
        """The best factors found for these ranks, which `full` bounds."""
        ...


def build_factors(way: type[Factorization], layer: keras.Layer, ranks: Ranks, factors: Factors) -> list[keras.Layer]:
    """The layers of a product with their weights.

    Args:
        way: How the product is written.
        layer: The layer whose place it takes.
        ranks: As many as the way takes.
        factors: What an instance of the way found for these ranks.

    Returns:
        Built layers; applied one after the other they approximate the original.
    """
    layers = way.layers(layer, ranks)
    for part, kernel in zip(layers, factors.kernels, strict=True):
        part.build((*(None,) * (kernel.ndim - 1), kernel.shape[-2]))
        bias = [factors.bias] if part is layers[-1] and factors.bias is not None else []
        part.set_weights([kernel, *bias])
    return layers


def check_ranks(name: str, ranks: Ranks, full: Ranks) -> None:
    """Refuse ranks outside 1 to `full`.

    Args:
        name: Name of the layer, for the message.
        ranks: The ranks asked for.
        full: The largest ranks possible.

    Raises:
        RecipeError: Says which ranks are possible.
    """
    for rank, most in zip(ranks, full, strict=True):
        if not 1 <= rank <= most:
            raise RecipeError(
                f"The rank of '{name}' must be between 1 and {most}. Received: {rank}. Choose a rank in that range, or rank='auto'."
            )


def options_of(layer: keras.Layer, part: str) -> dict[str, Any]:
    """What every part of a layer shares with it, as keyword arguments; the part is called `{name}_{part}`."""
    return {"name": f"{layer.name}_{part}", "dtype": layer.dtype_policy, "trainable": layer.trainable}


def expansion(layer: keras.Layer) -> keras.Layer:
    """The 1×1 convolution `{name}_expand` from few channels to a layer's filters, with its bias and activation."""
    return keras.layers.Conv2D(
        layer.filters, 1, activation=layer.activation, use_bias=layer.use_bias, **options_of(layer, "expand")
    )


def rank_ladder(full: int, multiple: int) -> list[Ranks]:
    """Ranks up to `full` in about equal ratios.

    Args:
        full: The largest, at least 1.
        multiple: They are rounded up to a multiple of this, never above `full`.

    Returns:
        Different single ranks in ascending order.
    """
    steps = np.geomspace(min(full, multiple), full, _STEPS)
    return [(rank,) for rank in sorted({round_rank(round(step), multiple, full) for step in steps})]


def round_rank(rank: int, multiple: int, full: int) -> int:
    """Round a rank up to a multiple, but not above `full`."""
    return min(math.ceil(rank / multiple) * multiple, full)
