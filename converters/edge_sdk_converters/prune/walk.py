"""What is known of a graph's channels on the way through it, and what a rule about a layer looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .atoms import Atoms

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..graph import Call

__all__ = ["Rule", "Walk"]


class Walk:
    """Atoms of every tensor seen so far on the way through a graph.

    Attributes:
        atoms: Which atoms go together, and which have to stay.
        of: By `id` of a tensor, its atoms along the last axis, `int64 [channels]`.
    """

    def __init__(self) -> None:
        self.atoms = Atoms()
        self.of: dict[int, NDArray[np.int64]] = {}
        self._made: dict[int, NDArray[np.int64]] = {}
        self._taken: dict[int, NDArray[np.int64]] = {}

    def inputs(self, call: Call) -> list[NDArray[np.int64]]:
        """Atoms of each symbolic argument of a call."""
        return [self.of[id(tensor)] for tensor in call.inputs]

    def take(self, call: Call) -> NDArray[np.int64]:
        """Atoms that a layer with weights per input channel takes; all calls of a shared layer have to agree."""
        return self.agree(call.layer, self.inputs(call)[0])

    def agree(self, layer: keras.Operation, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tie atoms to those that earlier calls of the same layer had in the same place."""
        self.atoms.tie(self._taken.setdefault(id(layer), atoms), atoms)
        return atoms

    def make(self, layer: keras.Layer, count: int) -> NDArray[np.int64]:
        """Atoms that a layer makes: the same at every call, for they come from the same weights."""
        if id(layer) not in self._made:
            self._made[id(layer)] = self.atoms.fresh(count)
        return self._made[id(layer)]


Rule: TypeAlias = Callable[[Walk, "Call"], "NDArray[np.int64] | None"]
"""Takes the state of the walk and a call; returns the atoms of the call's output, or None where it cannot say."""
