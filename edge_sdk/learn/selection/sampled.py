"""Selectors for strategies that need all vectors at once: they see a uniform sample of the stream, which is bounded.

Up to the sample's size it is all of them, and the choice is exact. Beyond it the choice is the strategy's on the sample: which
samples are in it depends on the seed and their indices alone, so selectors of parts merge to exactly the selector of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Selector, Strategy, Told, check_capacity, check_mergeable, check_request
from .blocks import Piece, pieces
from .reservoir import Reservoir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Choose", "SampledSelector"]

Choose = Callable[["NDArray[np.float32]", int, "Told | None"], "NDArray[np.int64]"]
"""Takes vectors `[N, D]` by ascending index and k, gives k positions in order of choice."""


class SampledSelector:
    """Holds at most `size` vectors: 65,536 of width 216 are 57 MB."""

    def __init__(
        self,
        strategy: Strategy,
        choose: Choose,
        size: int,
        seed: int = 0,
        *,
        vectors: Callable[[Piece], NDArray[np.float32]] = lambda piece: piece.rows,
        options: tuple[Any, ...] = (),
    ) -> None:
        """Make a selector.

        Args:
            strategy: What it is called.
            choose: The algorithm.
            size: The most vectors it holds, and so the most samples that can be asked for.
            seed: Of the sample.
            vectors: What the algorithm sees of a piece; its rows as they are, where not given.
            options: Of the algorithm, for telling selectors apart.

        Raises:
            DataError: `size` is below 1.
        """
        check_capacity(size, "The number of vectors to hold")
        self._strategy, self._choose, self._vectors, self._options = strategy, choose, vectors, options
        self._seed, self._held, self._width = seed, Reservoir(size, seed), 0

    @property
    def settings(self) -> tuple[Any, ...]:
        """See `Selector`."""
        return self._strategy.value, self._held.size, self._seed, *self._options

    @property
    def available(self) -> int:
        """See `Selector`."""
        return len(self._held)

    @property
    def candidates(self) -> NDArray[np.int64]:
        """See `Selector`."""
        return np.sort(self._held.indices)

    def add(
        self,
        block: NDArray[Any],
        first_index: int | NDArray[np.int64],
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        """See `Selector`."""
        for piece in pieces(block, first_index, labels, self._width or None):
            self._width = piece.rows.shape[1]
            self._held.add(piece.indices, self._vectors(piece))

    def merge(self, other: Selector) -> None:
        """See `Selector`."""
        check_mergeable(self, other)
        self.restore(other.state())

    def result(self, k: int, told: Told | None = None) -> NDArray[np.int64]:
        """See `Selector`."""
        check_request(k, self.available)
        indices, vectors = self._held.by_index()
        return indices[self._choose(vectors, k, told)]

    def state(self) -> dict[str, NDArray[Any]]:
        """See `Selector`."""
        return {**self._held.state(), "width": np.array(self._width)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Selector`."""
        self._width = self._width or int(state["width"])
        if len(state["indices"]):
            self._held.restore(state)
