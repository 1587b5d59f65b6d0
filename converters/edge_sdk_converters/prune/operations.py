"""What the operations of `keras.ops` do to channels, such as those behind `x + y`, `x[:, ::2, ::2]` or `ops.mean(x, …)`.

Known by name, since Keras gives them no public class. Left out on purpose is what has no finite value for a channel
masked by zeros, such as a logarithm: the masked network could not prove the pruned one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

from .moves import concatenate, merge, pass_on, regroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..graph import Call
    from .walk import Rule, Walk

__all__ = ["is_reshape", "rule_for_operation"]


def rule_for_operation(operation: keras.Operation) -> Rule | None:
    """Find the rule of an operation that is no layer.

    Args:
        operation: Such as the one behind `x + y`.

    Returns:
        Its rule, or None where there is none or Keras did not make the operation.
    """
    return _RULES.get(type(operation).__name__) if type(operation).__module__.startswith("keras.") else None


def is_reshape(operation: keras.Operation) -> bool:
    """Whether an operation is a `keras.ops.reshape` of known sizes behind the batch, so that a layer can replace it.

    Args:
        operation: A layer or operation.
    """
    if type(operation).__name__ != "Reshape" or isinstance(operation, keras.Layer):
        return False
    batch, *sizes = operation.newshape if isinstance(operation.newshape, (tuple, list)) else (operation.newshape,)
    return batch == -1 and bool(sizes) and all(isinstance(size, int) and size > 0 for size in sizes)


def _reshape(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    before, behind = call.inputs[0].shape[1:], call.outputs[0].shape[1:]
    within_images = is_reshape(call.layer) and None not in before and math.prod(before) == math.prod(behind)
    atoms = regroup(walk, call) if within_images else None
    return atoms if atoms is None else walk.agree(call.layer, atoms)


def _clip(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    limits = (getattr(call.layer, name, 0) for name in ("x_min", "x_max"))
    return pass_on(walk, call) if all(np.ndim(limit) == 0 for limit in limits) else None


def _by_number(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Divided by a positive number or raised to its power: zero stays finite."""
    tensor, *numbers = call.args
    plain = isinstance(tensor, keras.KerasTensor) and all(
        isinstance(number, (int, float)) and number > 0 for number in numbers
    )
    return pass_on(walk, call) if plain else None


def _reduce(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Over positions channels pass; over channels, images or everything nothing can be said."""
    return _between(walk, call, call.layer.axis, len(call.inputs[0].shape))


def _expand(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    return _between(walk, call, call.layer.axis, len(call.outputs[0].shape))


def _between(walk: Walk, call: Call, axis: int | Sequence[int] | None, rank: int) -> NDArray[np.int64] | None:
    """Channels pass where only axes between the batch and the channels are touched."""
    if axis is None:
        return None
    axes = {each % rank for each in np.atleast_1d(axis).tolist()}
    return None if axes & {0, rank - 1} else pass_on(walk, call)


def _pad(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    widths = np.broadcast_to(np.asarray(call.layer.pad_width), (len(call.inputs[0].shape), 2))
    return None if widths[[0, -1]].any() else pass_on(walk, call)


def _transpose(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    axes, last = call.layer.axes, len(call.inputs[0].shape) - 1
    return pass_on(walk, call) if axes and axes[0] == 0 and axes[-1] in (-1, last) else None


def _slice(walk: Walk, call: Call) -> NDArray[np.int64] | None:
    """Positions are chosen or axes inserted, images and channels are not: `x[:, ::2, 1:]`, `x[:, None]`."""
    key = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    used = sum(each is not None for each in key)  # None inserts an axis, everything else takes one
    whole = used < len(call.inputs[0].shape) or key[-1] == slice(None)
    return pass_on(walk, call) if key[0] == slice(None) and all(map(_is_index, key)) and whole else None


def _is_index(key: object) -> bool:
    bounds = (key.start, key.stop, key.step) if isinstance(key, slice) else (key,)
    return all(bound is None or isinstance(bound, int) for bound in bounds)


_ELEMENT_WISE = (
    *("Abs", "Absolute", "Cast", "Ceil", "Celu", "Copy", "Cos", "Elu", "Erf", "Exp", "Expm1", "Floor", "Gelu"),
    *("HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "Log1p", "LogSigmoid", "Negative", "Relu"),
    *("Relu6", "Round", "Selu", "Sigmoid", "Sign", "Silu", "Sin", "SoftShrink", "Softplus", "Softsign", "SparsePlus"),
    *("SparseSigmoid", "Sqrt", "Square", "Squareplus", "StopGradient", "Tanh", "TanhShrink", "Threshold"),
)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENT_WISE, pass_on),
    **dict.fromkeys(("Add", "Maximum", "Minimum", "Multiply", "Subtract"), merge),
    **dict.fromkeys(("Divide", "Power", "TrueDivide"), _by_number),
    **dict.fromkeys(("Amax", "Amin", "Max", "Mean", "Min", "Sum"), _reduce),
    "Clip": _clip,
    "Concatenate": concatenate,
    "ExpandDims": _expand,
    "GetItem": _slice,
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _reduce,
    "Transpose": _transpose,
}
