"""What each kind of layer does to channels: makes them, passes them on, ties them, or needs all of them.

A rule takes the state of the walk and a call, and returns the atoms of the call's output, or None where it cannot say.
What no rule speaks for needs all of its channels. Rules hold for exact layer types: a subclass may compute anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import layers

from .atoms import Atoms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Call

__all__ = ["PRODUCERS", "Rule", "Walk", "rule_for"]

PRODUCERS = (layers.Conv1D, layers.Conv2D, layers.Conv2DTranspose, layers.Dense, layers.SeparableConv2D)
"""Layers whose every output channel has weights of its own."""

_UNARY_OPERATIONS = frozenset(
    {
        "Absolute",
        "Elu",
        "Gelu",
        "HardSigmoid",
        "HardSilu",
        "LeakyRelu",
        "Negative",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Silu",
        "Tanh",
    }
)
_BINARY_OPERATIONS = frozenset({"Add", "Maximum", "Minimum", "Multiply", "Subtract"})


class Walk:
    """Atoms of every tensor seen so far on the way through a graph."""

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

    def agree(self, layer: keras.Layer, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tie atoms to those that earlier calls of the same layer had in the same place."""
        self.atoms.tie(self._taken.setdefault(id(layer), atoms), atoms)
        return atoms

    def make(self, layer: keras.Layer, count: int) -> NDArray[np.int64]:
        """Atoms that a layer makes: the same at every call, for they come from the same weights."""
        if id(layer) not in self._made:
            self._made[id(layer)] = self.atoms.fresh(count)
        return self._made[id(layer)]


Rule: TypeAlias = Callable[[Walk, "Call"], "NDArray[np.int64] | None"]


def rule_for(operation: keras.Operation) -> Rule | None:
    """Find the rule of a layer or operation.

    Args:
        operation: A leaf layer or a `keras.Operation`.

    Returns:
        Its rule, or None where there is none.
    """
    if isinstance(operation, keras.Layer):
        channels_last = getattr(operation, "data_format", "channels_last") == "channels_last"
        return _LAYER_RULES.get(type(operation)) if channels_last else None
    if not type(operation).__module__.startswith("keras."):
        return None
    name = type(operation).__name__
    return _merge if name in _BINARY_OPERATIONS else _pass_on if name in _UNARY_OPERATIONS else None


def _pass_on(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = walk.inputs(call)
    return atoms[0] if len(atoms) == 1 else None


def _produce(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    if getattr(call.layer, "groups", 1) != 1:
        return None
    walk.take(call)
    return _activated(walk, call.layer, walk.make(call.layer, call.outputs[0].shape[-1]))


def _depthwise(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return _activated(walk, call.layer, np.repeat(walk.take(call), call.layer.depth_multiplier))


def _activation(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = _pass_on(walk, call)
    return None if atoms is None else _activated(walk, call.layer, atoms)


def _softmax(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = walk.inputs(call)[0]
    walk.atoms.freeze(atoms, "its activation mixes channels")
    return atoms


def _activated(walk: Walk, layer: keras.Layer, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
    if not _is_elementwise(layer.activation):
        walk.atoms.freeze(atoms, "its activation mixes channels")
    return atoms


def _is_elementwise(activation: Any) -> bool:
    """Whether an activation treats every value alone, as softmax does not: changes to some leave the others alone."""
    if isinstance(activation, keras.Layer):
        return False
    return all(_leaves_others(activation, scale) for scale in (0.05, 1.0, 4.0))


def _leaves_others(activation: Any, scale: float) -> bool:
    values = np.linspace(-scale, scale, 8, dtype=np.float32)[None]
    changed = np.concatenate([values[:, :4] + 2 * scale, values[:, 4:]], axis=1)
    one, other = (keras.ops.convert_to_numpy(activation(keras.ops.convert_to_tensor(row))) for row in (values, changed))
    return one.shape == values.shape and np.array_equal(one[:, 4:], other[:, 4:])


def _normalize(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Batch normalisation: weights per channel, no channel looks at another."""
    last = len(call.inputs[0].shape) - 1
    return walk.take(call) if call.layer.axis in (-1, last) else None


def _prelu(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return walk.take(call) if call.layer.alpha.shape[-1] == call.inputs[0].shape[-1] else None


def _rescale(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    scalar = np.ndim(call.layer.scale) == 0 and np.ndim(call.layer.offset) == 0
    return _pass_on(walk, call) if scalar else None


def _merge(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Element-wise work on several tensors ties them channel by channel; one channel spread over many is frozen."""
    others = [leaf for leaf in keras.tree.flatten(call.args) if not isinstance(leaf, keras.KerasTensor)]
    if any(np.ndim(other) > 0 for other in others) or len({len(tensor.shape) for tensor in call.inputs}) != 1:
        return None
    return _tie_all(walk, call)


def _tie_all(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    rows = walk.inputs(call)
    widest = max(rows, key=len)
    for row in rows:
        if len(row) == len(widest):
            walk.atoms.tie(widest, row)
        elif len(row) == 1:
            walk.atoms.freeze(row, "its one channel is spread over many")
        else:
            return None
    return widest


def _concatenate(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    last = len(call.inputs[0].shape) - 1
    return np.concatenate(walk.inputs(call)) if call.layer.axis in (-1, last) else _tie_all(walk, call)


def _flatten(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Row-major order keeps the last axis the last one if its size stays, and repeats it per position if all is flat."""
    atoms, shape = walk.inputs(call)[0], call.outputs[0].shape
    if shape[-1] == len(atoms):
        return atoms
    flat = len(shape) == 2 and shape[-1] and len(atoms) and shape[-1] % len(atoms) == 0
    return np.tile(atoms, shape[-1] // len(atoms)) if flat else None


def _reshape(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = _flatten(walk, call)
    fixed = call.layer.target_shape[-1] != -1
    return walk.agree(call.layer, atoms) if fixed and atoms is not None else atoms


def _permute(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return _pass_on(walk, call) if call.layer.dims[-1] == len(call.layer.dims) else None


_PASSING = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.LeakyReLU,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.ReLU,
    layers.SpatialDropout2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
_MERGING = (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract)

_LAYER_RULES: dict[type, Rule] = {
    **dict.fromkeys(PRODUCERS, _produce),
    **dict.fromkeys(_PASSING, _pass_on),
    **dict.fromkeys(_MERGING, _merge),
    layers.Activation: _activation,
    layers.BatchNormalization: _normalize,
    layers.Concatenate: _concatenate,
    layers.DepthwiseConv2D: _depthwise,
    layers.Flatten: _flatten,
    layers.PReLU: _prelu,
    layers.Permute: _permute,
    layers.Rescaling: _rescale,
    layers.Reshape: _reshape,
    layers.Softmax: _softmax,
}
