"""A uniform sample of a stream in bounded memory, which does not depend on the stream's order or on how it was divided.

Of all samples seen, those with the lowest hash of (seed, index) are held: bottom-k sampling, Cohen and Kaplan, "Summarizing Data
using Bottom-k Sketches" (PODC 2007). Two reservoirs merge exactly, and a sample that arrives twice counts once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .hashing import hashed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Reservoir"]


class Reservoir:
    """Holds at most `size` samples with their vectors; memory is that of the vectors held, plus one piece."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._held = 0
        self._hashes = np.empty(size, np.uint64)
        self._indices = np.empty(size, np.int64)
        self._rows: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return self._held

    @property
    def size(self) -> int:
        """The most samples it holds."""
        return self._size

    @property
    def indices(self) -> NDArray[np.int64]:
        """Samples held, by ascending hash, which is a random order: `int64 [H]`."""
        return self._indices[self._order()]

    def by_index(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Samples held, ascending, and their vectors: `int64 [H]`, `float32 [H, D]`."""
        order = np.argsort(self._indices[: self._held])
        return self._indices[order], self._vectors[order]

    def add(self, indices: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Take up what belongs into the sample.

        Args:
            indices: `int64 [M]`.
            rows: `float32 [M, D]`; D may be 0 where indices are all that is wanted.
        """
        hashes = hashed(indices, self._seed)
        worth = self._new(hashes)
        for start in range(0, len(worth), max(1, self._size)):
            some = worth[start : start + self._size]
            self._take(hashes[some], indices[some], rows[some])

    def merge(self, other: Reservoir) -> None:
        """Become the sample of both streams."""
        self.add(other._indices[: other._held], other._vectors)

    def state(self) -> dict[str, NDArray[Any]]:
        """What it holds, as arrays that do not depend on the order in which samples came."""
        indices, rows = self.by_index()
        return {"indices": indices, "rows": rows}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
        self.add(state["indices"], state["rows"])

    def _new(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of the hashes that are low enough and not held already, each once."""
        worth = np.arange(len(hashes)) if self._held < self._size else np.flatnonzero(hashes < self._hashes.max())
        worth = worth[np.isin(hashes[worth], self._hashes[: self._held], invert=True)]
        return np.sort(worth[np.unique(hashes[worth], return_index=True)[1]])

    def _take(self, hashes: NDArray[np.uint64], indices: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Put the lowest of old and new into the slots: those of the old that fall out make room for the new."""
        held, size = self._held, self._size
        everything = np.concatenate([self._hashes[:held], hashes])
        stays = np.ones(len(everything), bool)
        if len(everything) > size:
            stays[np.argpartition(everything, size - 1)[size:]] = False
        entering = np.flatnonzero(stays[held:])
        free = np.concatenate([np.flatnonzero(~stays[:held]), np.arange(held, size)])[: len(entering)]
        if self._rows is None:
            self._rows = np.empty((size, rows.shape[1]), np.float32)
        self._hashes[free], self._indices[free], self._rows[free] = hashes[entering], indices[entering], rows[entering]
        self._held = min(size, held + len(entering))

    @property
    def _vectors(self) -> NDArray[np.float32]:
        return np.empty((0, 0), np.float32) if self._rows is None else self._rows[: self._held]

    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._hashes[: self._held])
