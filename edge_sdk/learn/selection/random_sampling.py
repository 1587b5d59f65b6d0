"""Uniform random selection that any number of machines can share: the samples with the lowest hash of seed and index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Selector, Strategy, Told, check_capacity, check_mergeable, check_request
from .blocks import pieces
from .reservoir import Reservoir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["RandomSampling"]


class RandomSampling:
    """Holds the indices of at most `capacity` samples; the vectors are only checked."""

    def __init__(self, capacity: int, seed: int = 0) -> None:
        """Make a selector.

        Args:
            capacity: The most samples that will be asked for.
            seed: Another seed is another choice.

        Raises:
            DataError: `capacity` is below 1.
        """
        check_capacity(capacity)
        self._seed, self._held = seed, Reservoir(capacity, seed)

    @property
    def settings(self) -> tuple[Any, ...]:
        """See `Selector`."""
        return Strategy.RANDOM.value, self._held.size, self._seed

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
        """See `Selector`; labels are not looked at."""
        for piece in pieces(block, first_index, labels):
            self._held.add(piece.indices, np.empty((len(piece.rows), 0), np.float32))

    def merge(self, other: Selector) -> None:
        """See `Selector`."""
        check_mergeable(self, other)
        self.restore(other.state())

    def result(self, k: int, told: Told | None = None) -> NDArray[np.int64]:
        """See `Selector`; a smaller k gives the beginning of a greater one's choice."""
        del told
        check_request(k, self.available)
        return self._held.indices[:k]

    def state(self) -> dict[str, NDArray[Any]]:
        """See `Selector`."""
        return self._held.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Selector`."""
        self._held.restore(state)
