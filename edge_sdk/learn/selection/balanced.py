"""The class-balanced form of any strategy: one selector for each class, each asked for the same share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from .base import Selector, Told, check_mergeable, check_request
from .blocks import Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Balanced", "equal_shares"]


class Balanced:
    """Holds as much as all the selectors in it."""

    def __init__(self, make: Callable[[], Selector], classes: int) -> None:
        """Make a selector.

        Args:
            make: Makes a selector for one class; all alike.
            classes: Number of classes, 2 or more.

        Raises:
            DataError: There are fewer.
        """
        if classes < 2:
            raise DataError(f"Balance needs at least 2 classes. Received: {classes}. Leave it out.")
        self._parts = [make() for _ in range(classes)]

    @property
    def settings(self) -> tuple[Any, ...]:
        """See `Selector`."""
        return "balanced", len(self._parts), *self._parts[0].settings

    @property
    def available(self) -> int:
        """See `Selector`."""
        return sum(part.available for part in self._parts)

    @property
    def candidates(self) -> NDArray[np.int64]:
        """See `Selector`."""
        return np.sort(np.concatenate([part.candidates for part in self._parts]))

    def add(
        self,
        block: NDArray[Any],
        first_index: int | NDArray[np.int64],
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        """See `Selector`; labels must be given."""
        if labels is None:
            raise DataError(
                "Balance needs the class index of every sample. Received: no labels. Pass labels, or choose without balance."
            )
        for piece in pieces(block, first_index, labels):
            self._deal(piece)

    def merge(self, other: Selector) -> None:
        """See `Selector`."""
        check_mergeable(self, other)
        self.restore(other.state())

    def result(self, k: int, told: Told | None = None) -> NDArray[np.int64]:
        """See `Selector`; the classes take turns. What a class has not got, the others give."""
        check_request(k, self.available)
        shares = equal_shares(k, [part.available for part in self._parts])
        chosen, ranks = [], []
        for label, (part, share) in enumerate(zip(self._parts, shares, strict=True)):
            if share:
                chosen.append(part.result(share))
                ranks.append(np.arange(share))
            if told is not None:
                told(label + 1, len(self._parts))
        in_turn = np.argsort(np.concatenate(ranks), kind="stable")
        return np.concatenate(chosen)[in_turn]

    def state(self) -> dict[str, NDArray[Any]]:
        """See `Selector`."""
        return {
            f"{label}/{name}": array for label, part in enumerate(self._parts) for name, array in part.state().items()
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Selector`."""
        for label, part in enumerate(self._parts):
            mine = {name.split("/", 1)[1]: array for name, array in state.items() if name.startswith(f"{label}/")}
            if mine:
                part.restore(mine)

    def _deal(self, piece: Piece) -> None:
        """Show every class's selector its own."""
        assert piece.labels is not None, "pieces were cut with labels"
        if piece.labels.max() >= len(self._parts):
            raise DataError(
                f"Labels must be below the number of classes, {len(self._parts)}. Received: {piece.labels.max()}. "
                "Give all classes."
            )
        for label in np.unique(piece.labels):
            members = np.flatnonzero(piece.labels == label)
            self._parts[label].add(piece.rows[members], piece.indices[members], piece.labels[members])


def equal_shares(k: int, available: Sequence[int]) -> list[int]:
    """Share k so that no class gets more than it has and none gets less than another that got all it has.

    Args:
        k: How many to share, at most the sum of what is available.
        available: Samples of each class.

    Returns:
        The share of each class; of equals the first classes get the remainder.
    """
    level = bisect_right(range(k + 1), k, key=lambda most: sum(min(most, each) for each in available)) - 1
    shares = [min(level, each) for each in available]
    for label, each in enumerate(available):
        if each > level and sum(shares) < k:
            shares[label] += 1
    return shares
