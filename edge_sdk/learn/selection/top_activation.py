"""The published filter: for each dimension of the embedding, the samples of highest activation; their union is chosen.

After "Faster Training by Selecting Samples Using Embeddings", where 20 samples for each of 216 dimensions are 4,320. Dimensions
often agree, so that their union is smaller than k. Here ranks are taken in turn: the highest of every dimension, then the second
highest of every dimension, and so on, each sample once, until there are k. The first k/n ranks, the published choice, are always
among them. Where dimensions agree so much that four times that depth gives too few, the rest is random, by hash of seed and
index. A dimension in which all samples are equal tells nothing apart and is passed over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Selector, Strategy, Told, check_capacity, check_mergeable, check_request
from .blocks import Piece, pieces
from .reservoir import Reservoir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["TopActivation"]

_DEPTH = 4
"""Ranks held of each dimension, as a multiple of k/n: neighbouring dimensions share many samples."""


class TopActivation:
    """Holds `depth` samples per dimension, and the index of `capacity` random ones to fill up with."""

    def __init__(self, capacity: int, seed: int = 0) -> None:
        """Make a selector.

        Args:
            capacity: The most samples that will be asked for.
            seed: Of the random rest.

        Raises:
            DataError: `capacity` is below 1.
        """
        check_capacity(capacity)
        self._capacity, self._seed = capacity, seed
        self._rest = Reservoir(capacity, seed)
        self._depth = 0
        self._last = -1

    @property
    def settings(self) -> tuple[Any, ...]:
        """See `Selector`."""
        return Strategy.TOP_ACTIVATION.value, self._capacity, self._seed

    @property
    def available(self) -> int:
        """See `Selector`."""
        return len(self._rest)

    @property
    def candidates(self) -> NDArray[np.int64]:
        """See `Selector`."""
        if not self._depth:
            return self._rest.indices
        return np.union1d(self._indices[self._indices >= 0], self._rest.indices)

    def add(
        self,
        block: NDArray[Any],
        first_index: int | NDArray[np.int64],
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        """See `Selector`; labels are not looked at."""
        for piece in pieces(block, first_index, labels, len(self._lowest) if self._depth else None):
            self._prepare(piece.rows.shape[1])
            self._see(piece)

    def merge(self, other: Selector) -> None:
        """See `Selector`."""
        check_mergeable(self, other)
        self.restore(other.state())

    def result(self, k: int, told: Told | None = None) -> NDArray[np.int64]:
        """See `Selector`; a smaller k gives the beginning of a greater one's choice."""
        del told
        check_request(k, self.available)
        telling = self._values[:, 0] > self._lowest
        in_turn = self._indices[telling].T.reshape(-1)
        ranked = in_turn[in_turn >= 0]
        chosen = ranked[np.sort(np.unique(ranked, return_index=True)[1])][:k]
        rest = self._rest.indices
        return np.concatenate([chosen, rest[np.isin(rest, chosen, invert=True)][: k - len(chosen)]])

    def state(self) -> dict[str, NDArray[Any]]:
        """See `Selector`."""
        if not self._depth:
            return {}
        rest = self._rest.state()
        return {
            "values": self._values,
            "indices": self._indices,
            "lowest": self._lowest,
            "rest_indices": rest["indices"],
            "rest_rows": rest["rows"],
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Selector`."""
        if not state:
            return
        self._prepare(state["values"].shape[0])
        self._rest.restore({"indices": state["rest_indices"], "rows": state["rest_rows"]})
        np.minimum(self._lowest, state["lowest"], out=self._lowest)
        dimensions, ranks = np.nonzero(state["indices"] >= 0)
        self._insert(dimensions, state["values"][dimensions, ranks], state["indices"][dimensions, ranks])
        self._last = max(self._last, int(state["indices"].max()))

    def _prepare(self, width: int) -> None:
        """Make room once the number of dimensions is known."""
        if not self._depth:
            self._depth = min(self._capacity, _DEPTH * math.ceil(self._capacity / width))
            self._values = np.full((width, self._depth), -np.inf, np.float32)
            self._indices = np.full((width, self._depth), -1, np.int64)
            self._lowest = np.full(width, np.inf, np.float32)

    def _see(self, piece: Piece) -> None:
        self._rest.add(piece.indices, np.empty((len(piece.rows), 0), np.float32))
        np.minimum(self._lowest, piece.lowest, out=self._lowest)
        floor = self._values[:, -1]
        if len(piece.rows) > self._depth and np.isneginf(floor).any():
            deepest = (
                len(piece.rows) - self._depth
            )  # more than these cannot enter, so the first pieces are not sorted whole
            floor = np.maximum(floor, np.partition(piece.rows, deepest, axis=0)[deepest])
            entering = piece.rows >= floor
        elif len(piece.rows) and piece.indices.min() > self._last:
            entering = piece.rows > floor  # of equals the lower index stays, and all of these are higher
        else:
            entering = piece.rows >= floor
        rows, dimensions = np.nonzero(entering)
        self._insert(dimensions, piece.rows[rows, dimensions], piece.indices[rows])
        self._last = max(self._last, int(piece.indices.max()))

    def _insert(self, dimensions: NDArray[np.intp], values: NDArray[np.float32], indices: NDArray[np.int64]) -> None:
        """Rank what is held together with what comes, in the dimensions where something comes."""
        touched, dimensions = np.unique(dimensions, return_inverse=True)
        if not len(touched):
            return
        held, ranks = np.nonzero(self._indices[touched] >= 0)
        dimensions = np.concatenate([held, dimensions])
        values = np.concatenate([self._values[touched][held, ranks], values])
        indices = np.concatenate([self._indices[touched][held, ranks], indices])
        order = np.lexsort((indices, -values, dimensions))
        dimensions, values, indices = dimensions[order], values[order], indices[order]
        first = np.ones(len(order), bool)  # a sample that arrives twice stands next to itself
        first[1:] = (dimensions[1:] != dimensions[:-1]) | (indices[1:] != indices[:-1])
        dimensions, values, indices = dimensions[first], values[first], indices[first]
        starts = np.searchsorted(dimensions, np.arange(len(touched)))
        places = np.arange(len(dimensions)) - starts[dimensions]
        kept = places < self._depth
        self._values[touched[dimensions[kept]], places[kept]] = values[kept]
        self._indices[touched[dimensions[kept]], places[kept]] = indices[kept]
