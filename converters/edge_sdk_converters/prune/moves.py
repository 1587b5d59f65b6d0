"""What becomes of channels where no weights are: they pass, meet others, are put side by side, or change their shape.

Layers and the operations of `keras.ops` share these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Call
    from .walk import Walk

__all__ = ["concatenate", "merge", "pass_on", "regroup"]


def pass_on(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Every channel stays where it is, and none looks at another."""
    atoms = walk.inputs(call)
    return atoms[0] if len(atoms) == 1 else None


def merge(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Element-wise work on several tensors ties them channel by channel; one channel spread over many is frozen."""
    others = [leaf for leaf in keras.tree.flatten(call.args) if not isinstance(leaf, keras.KerasTensor)]
    return _tie_all(walk, call) if all(np.size(other) == 1 for other in others) and _aligned(call) else None


def concatenate(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Channels side by side, or positions side by side, whose channels are tied."""
    last = len(call.inputs[0].shape) - 1
    return np.concatenate(walk.inputs(call)) if call.layer.axis in (-1, last) else _tie_all(walk, call)


def regroup(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """In row-major order the last axis stays the last one, takes in positions, or gives some away.

    What takes in `n` positions repeats its channels `n` times. Where one axis is taken apart into `n` positions, the
    channels that become the same one are tied, so that a unit goes at every position or at none.
    """
    atoms, size = walk.inputs(call)[0], call.outputs[0].shape[-1]
    if not size or not len(atoms):
        return None
    if size % len(atoms) == 0:
        return np.tile(atoms, size // len(atoms))
    if len(atoms) % size:
        return None
    first, *others = atoms.reshape(-1, size)
    for other in others:
        walk.atoms.tie(first, other)
    return np.asarray(first, np.int64)


def _aligned(call: Call) -> bool:
    """Whether the last axes meet: a merging layer inserts axes behind the batch, an operation in front of it."""
    ranks = {len(tensor.shape) for tensor in call.inputs}
    return len(ranks) == 1 or (isinstance(call.layer, keras.Layer) and min(ranks) > 1)


def _tie_all(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    rows = walk.inputs(call)
    widest = max(rows, key=len)
    if any(len(row) not in (1, len(widest)) for row in rows):
        return None
    for row in rows:
        if len(row) == len(widest):
            walk.atoms.tie(widest, row)
        else:
            walk.atoms.freeze(row, "its one channel is spread over many")
    return widest
