"""What all selectors have in common: the strategies by name, what a selector can do, and how it refuses."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Selector", "Strategy", "Told", "check_capacity", "check_mergeable", "check_request", "no_basis"]


class Told(Protocol):
    """Told how far choosing is: done, planned."""

    def __call__(self, done: int, planned: int, /) -> None:
        """Take notice."""
        ...


class Strategy(str, Enum):
    """How samples are chosen."""

    TOP_ACTIVATION = "top-activation"
    """For each dimension of the embedding the samples of highest activation."""
    RANDOM = "random"
    """Uniformly at random, which is what every other strategy has to beat."""
    KMEANS = "kmeans"
    """The samples nearest to the centres of k-means."""
    FARTHEST_FIRST = "farthest-first"
    """Each next sample as far as possible from those chosen."""
    MARGIN = "margin"
    """By how clearly a classifier tells their class: the doubtful ones left out, the rest evenly from clear to unclear."""


class Selector(Protocol):
    """Sees vectors in blocks, remembers a bounded number of them, and chooses samples when it has seen all.

    Vectors are embeddings `[M, D]`, or class scores `[M, classes]` for the margin. Every strategy gives the same choice
    whatever the blocks, their order, and the number of selectors that were merged; ties go to the lower index, and a sample
    that arrives twice counts once.
    """

    @property
    def settings(self) -> tuple[Any, ...]:
        """Everything that decides the choice; selectors merge when these are equal."""
        ...

    @property
    def available(self) -> int:
        """The most samples that `result` can give: those seen, up to what the selector was made for."""
        ...

    @property
    def candidates(self) -> NDArray[np.int64]:
        """Samples that `result` may still name, ascending: `int64 [C]`."""
        ...

    def add(
        self,
        block: NDArray[Any],
        first_index: int | NDArray[np.int64],
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        """See a block.

        Args:
            block: Real numbers `[M, D]`, compared as float32; a memory-mapped array is read piece by piece.
            first_index: Index of the block's first sample, the others follow; or the index of each, `int64 [M]`.
            labels: Class index of each sample, `int64 [M]`, where the strategy needs them.

        Raises:
            DataError: The block has another width than those before, holds NaN or infinity, or lacks labels.
        """
        ...

    def merge(self, other: Selector) -> None:
        """Become what one selector would be that had seen the other's samples too.

        Raises:
            DataError: The other has another strategy or other settings.
        """
        ...

    def result(self, k: int, told: Told | None = None) -> NDArray[np.int64]:
        """Choose.

        Args:
            k: How many, 1 to `available`.
            told: Told how far it is, where that takes long.

        Returns:
            `int64 [k]`, different indices in order of choice.

        Raises:
            DataError: `k` is none of these.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What it remembers, as arrays that a `.npz` file can hold."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` of a selector with the same settings gave, besides what it has seen itself."""
        ...


def check_capacity(capacity: int, what: str = "The number of samples to choose") -> None:
    """Refuse to be made for nothing.

    Raises:
        DataError: The number is below 1.
    """
    if capacity < 1:
        raise DataError(f"{what} must be at least 1. Received: {capacity}. Choose a greater number.")


def check_request(k: int, available: int) -> None:
    """Refuse a number of samples that cannot be given.

    Raises:
        DataError: `k` is below 1 or above what is available.
    """
    if not 1 <= k <= available:
        raise DataError(
            f"The number of samples to choose must be between 1 and {available}, those seen and held. Received: {k}. "
            "Choose fewer, show more samples, or make the selector for more."
        )


def check_mergeable(one: Selector, other: Selector) -> None:
    """Refuse to merge what was not chosen alike.

    Raises:
        DataError: The strategies or their settings differ.
    """
    if one.settings != other.settings:
        raise DataError(
            f"Selectors must have the same settings to be merged. Received: {_text(one)} and {_text(other)}. "
            "Run every part with the same options."
        )


def no_basis(strategy: Strategy) -> DataError:
    """What to raise where a strategy that looks at embeddings has none."""
    pass_one = "Pass --model with a classifier" if strategy is Strategy.MARGIN else "Pass --model or --autoencoder"
    return DataError(
        f"The strategy {strategy.value} needs something to embed with. Received: neither a model nor an autoencoder. {pass_one}."
    )


def _text(selector: Selector) -> str:
    return " ".join(map(str, selector.settings))
