"""The same network with its units rescaled so that what makes a unit and what reads it weigh the same.

ReLU passes positive factors on, so a unit's incoming weights may be multiplied by any s > 0 and its outgoing ones by 1/s.
Gradient descent works best where both are alike (Neyshabur, Salakhutdinov, Srebro, "Path-SGD", 2015); weights that were
fitted in closed form seldom are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from .readers import input_axis, readers
from .rules import PRODUCERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Call
    from .channels import Analysis

__all__ = ["balance"]

_SCALING = (
    layers.AveragePooling2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.LeakyReLU,
    layers.MaxPooling2D,
    layers.ReLU,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
"""Layers that multiply their output by what their input is multiplied by, as long as it is above 0."""


def balance(analysis: Analysis) -> None:
    """Rescale units in place, wherever nothing but such layers lies between the one that makes and the one that reads them.

    The network computes the same. Units behind a batch normalisation need none: it scales them itself.

    Args:
        analysis: What can be removed. Kernels and biases of its graph's layers are changed.
    """
    consumers: dict[int, list[Call]] = {}
    for call in analysis.graph.calls:
        for tensor in call.inputs:
            consumers.setdefault(id(tensor), []).append(call)
    calls = [call for call in analysis.graph.calls if isinstance(call.layer, PRODUCERS)]
    uses = {id(reader.layer): len(reader.calls) for reader in readers(analysis)}
    for call in calls:
        reader = _only_reader(call, consumers)
        once = sum(other.layer is call.layer for other in calls) == 1
        if reader is not None and once and uses.get(id(reader.layer)) == 1:
            _balance(
                call.layer, reader.layer, analysis.units[id(call.outputs[0])], analysis.units[id(reader.inputs[0])]
            )


def _only_reader(call: Call, consumers: dict[int, list[Call]]) -> Call | None:
    """The layer that reads what a call makes, where it is the only one and sees it scaled as it was made."""
    if not _is_homogeneous(call.layer.activation):
        return None
    while len(following := consumers.get(id(call.outputs[0]), [])) == 1:
        call = following[0]
        if isinstance(call.layer, PRODUCERS):
            return None if isinstance(call.layer, layers.SeparableConv2D) else call
        if not isinstance(call.layer, _SCALING):
            return None
        if isinstance(call.layer, layers.ReLU) and (call.layer.max_value is not None or call.layer.threshold):
            return None
    return None


def _is_homogeneous(activation: object) -> bool:
    return activation in (keras.activations.relu, keras.activations.linear)


def _balance(maker: keras.Layer, reader: keras.Layer, made: NDArray[np.int64], read: NDArray[np.int64]) -> None:
    if isinstance(maker, layers.SeparableConv2D) or not (made >= 0).all() or len(np.unique(made)) < len(made):
        return
    incoming, outgoing = maker.get_weights(), reader.get_weights()
    maker_axis = -2 if isinstance(maker, layers.Conv2DTranspose) else -1
    arriving = _norms(incoming[0], maker_axis)
    if maker.use_bias:
        arriving = np.hypot(arriving, incoming[1])
    members = made[:, None] == read[None]
    leaving = np.sqrt(members @ _norms(outgoing[0], input_axis(reader)) ** 2)
    able = (arriving > 0) & (leaving > 0)
    factors = np.where(able, np.sqrt(np.where(able, leaving, 1) / np.where(able, arriving, 1)), 1)
    bias = [incoming[1] * factors.astype(np.float32)] if maker.use_bias else []
    maker.set_weights([_scaled(incoming[0], factors, maker_axis), *bias])
    behind = np.where(members.any(axis=0), (1 / factors) @ members, 1)
    reader.set_weights([_scaled(outgoing[0], behind, input_axis(reader)), *outgoing[1:]])


def _norms(kernel: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Euclidean norm of a kernel's part of each channel, `[channels]`."""
    other = tuple(each for each in range(kernel.ndim) if each != axis % kernel.ndim)
    found: NDArray[np.float64] = np.sqrt(np.sum(np.square(kernel, dtype=np.float64), axis=other))
    return found


def _scaled(kernel: NDArray[np.float32], factors: NDArray[np.float64], axis: int) -> NDArray[np.float32]:
    shape = [1] * kernel.ndim
    shape[axis] = -1
    return kernel * factors.reshape(shape).astype(np.float32)
