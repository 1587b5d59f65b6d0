"""What each kind of layer does to channels: makes them, passes them on, ties them, or needs all of them.

What no rule speaks for needs all of its channels. Rules hold for exact layer types: a subclass may compute anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from ..layers import PrototypeSimilarity
from .moves import concatenate, merge, pass_on, regroup
from .operations import rule_for_operation
from .walk import Rule, Walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Call

__all__ = ["PRODUCERS", "Rule", "Walk", "rule_for"]

PRODUCERS = (layers.Conv1D, layers.Conv2D, layers.Conv2DTranspose, layers.Dense, layers.SeparableConv2D)
"""Layers whose every output channel has weights of its own."""


def rule_for(operation: keras.Operation) -> Rule | None:
    """Find the rule of a layer or operation.

    Args:
        operation: A leaf layer or a `keras.Operation`.

    Returns:
        Its rule, or None where there is none.
    """
    if not isinstance(operation, keras.Layer):
        return rule_for_operation(operation)
    if getattr(operation, "data_format", "channels_last") != "channels_last":
        return None
    inside_keras = type(operation).__module__.startswith("keras.")
    by_name = _LAYERS_BY_NAME.get(type(operation).__name__) if inside_keras else None
    return _LAYER_RULES.get(type(operation), by_name)


def _produce(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    if getattr(call.layer, "groups", 1) != 1:
        return None
    walk.take(call)
    return _activated(walk, call.layer, walk.make(call.layer, call.outputs[0].shape[-1]))


def _depthwise(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return _activated(walk, call.layer, np.repeat(walk.take(call), call.layer.depth_multiplier))


def _activation(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = pass_on(walk, call)
    return None if atoms is None else _activated(walk, call.layer, atoms)


def _softmax(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = walk.inputs(call)[0]
    walk.atoms.freeze(atoms, "its activation mixes channels")
    return atoms


def _takes_all(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Known to need every channel: those of an embedding are compared with those of the prototypes."""
    del walk, call
    return None


def _activated(walk: Walk, layer: keras.Layer, atoms: NDArray[np.int64]) -> NDArray[np.int64]:
    if not _is_elementwise(layer.activation):
        walk.atoms.freeze(atoms, "its activation mixes channels")
    return atoms


def _is_elementwise(activation: Any) -> bool:
    """Whether an activation treats every value alone, as softmax does not: changes to some leave the others alone."""
    if type(activation) is layers.Activation:
        return _is_elementwise(activation.activation)
    if isinstance(activation, keras.Layer):
        return type(activation) in _ACTIVATIONS
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


def _normalize_groups(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """The channels of a group share their statistics, so that a group goes as a whole; one group alone has to stay."""
    last = len(call.inputs[0].shape) - 1
    if call.layer.axis not in (-1, last) or call.layer.groups == 1:
        return None
    atoms = walk.take(call)
    first, *others = atoms.reshape(call.layer.groups, -1).T
    for other in others:
        walk.atoms.tie(first, other)
    return atoms


def _standardize(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """The statistics of `Normalization` are a part of its configuration: its channels stay."""
    atoms = pass_on(walk, call)
    if atoms is not None:
        walk.atoms.freeze(atoms, f"it feeds '{call.layer.name}', whose statistics are fixed")
    return atoms


def _prelu(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return walk.take(call) if call.layer.alpha.shape[-1] == call.inputs[0].shape[-1] else None


def _rescale(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    scalar = np.size(call.layer.scale) == 1 and np.size(call.layer.offset) == 1
    return pass_on(walk, call) if scalar else None


def _reshape(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    atoms = regroup(walk, call)
    fixed = call.layer.target_shape[-1] != -1
    return walk.agree(call.layer, atoms) if fixed and atoms is not None else atoms


def _permute(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return pass_on(walk, call) if call.layer.dims[-1] == len(call.layer.dims) else None


_ACTIVATIONS = (layers.ELU, layers.Identity, layers.LeakyReLU, layers.ReLU)
_PASSING_NAMES = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D", "AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D"),
    *("AveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"),
    *("Cropping1D", "SpatialDropout1D", "UpSampling1D", "ZeroPadding1D", "RepeatVector"),
    *("Cropping2D", "SpatialDropout2D", "UpSampling2D", "ZeroPadding2D", "CenterCrop", "Resizing"),
)
_PASSING = tuple(getattr(layers, name) for name in _PASSING_NAMES if hasattr(layers, name))  # some are newer than 3.10
_MERGING = (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract)

_LAYER_RULES: dict[type, Rule] = {
    **dict.fromkeys(PRODUCERS, _produce),
    **dict.fromkeys((*_ACTIVATIONS, *_PASSING), pass_on),
    **dict.fromkeys(_MERGING, merge),
    layers.Activation: _activation,
    layers.BatchNormalization: _normalize,
    layers.Concatenate: concatenate,
    layers.DepthwiseConv2D: _depthwise,
    layers.Flatten: regroup,
    layers.GroupNormalization: _normalize_groups,
    layers.Normalization: _standardize,
    layers.PReLU: _prelu,
    layers.Permute: _permute,
    layers.Rescaling: _rescale,
    layers.Reshape: _reshape,
    layers.Softmax: _softmax,
    PrototypeSimilarity: _takes_all,
}
_LAYERS_BY_NAME: dict[str, Rule] = {"CustomScaleLayer": merge}
"""Layers of `keras.applications` without a public class: InceptionResNetV2 adds a scaled branch with this one."""
