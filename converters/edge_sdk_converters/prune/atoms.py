"""Sets of channels that can only be removed together, kept by union-find.

An *atom* is one channel of one tensor as some layer made it. Adding two tensors ties their atoms pairwise; feeding a
tensor to something that needs all of its channels freezes its atoms, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Atoms"]


class Atoms:
    """Disjoint sets of atoms; a set is frozen as soon as one of its atoms is."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}

    def fresh(self, count: int) -> NDArray[np.int64]:
        """Make atoms that nothing ties yet.

        Args:
            count: How many.

        Returns:
            Their numbers, `[count]`.
        """
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def root(self, atom: int) -> int:
        """Find the representative of an atom's set; sets are the same when their representatives are.

        Args:
            atom: Number of an atom.

        Returns:
            Number of the representative, which may change with the next `tie`.
        """
        while self._parents[atom] != atom:
            self._parents[atom] = self._parents[self._parents[atom]]
            atom = self._parents[atom]
        return atom

    def tie(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        """Unite two rows of atoms pairwise.

        Args:
            first: Atoms, `[count]`.
            second: As many atoms.
        """
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            stays, goes = sorted((self.root(one), self.root(other)))
            self._parents[goes] = stays
            if goes in self._reasons:
                self._reasons.setdefault(stays, self._reasons[goes])

    def freeze(self, atoms: NDArray[np.int64], reason: str) -> None:
        """Keep atoms and all that is tied to them from removal; the first reason given stays.

        Args:
            atoms: Atoms, `[count]`.
            reason: Why, as the rest of a sentence about the layer that made them.
        """
        for atom in atoms.tolist():
            self._reasons.setdefault(self.root(atom), reason)

    def reason(self, atom: int) -> str | None:
        """Say why an atom is frozen.

        Args:
            atom: Number of an atom.

        Returns:
            The reason, or None for an atom that may be removed.
        """
        return self._reasons.get(self.root(atom))
