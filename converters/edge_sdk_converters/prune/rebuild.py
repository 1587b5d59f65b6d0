"""Two networks with the same output: one with channels removed, one with the same channels masked by zeros.

`shrink` is what ships. `mask` keeps every shape and exists to prove `shrink` right: outputs agree to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..graph import rebuild
from .channels import stays
from .operations import is_reshape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .channels import Analysis

__all__ = ["mask", "shrink"]

Axes = dict[int, "NDArray[np.bool_]"]
"""For one weight: what stays along each axis that channels run along."""


def shrink(analysis: Analysis, removed: NDArray[np.bool_]) -> keras.Model:
    """Build the network without the removed units: every tensor and every weight that held them is smaller.

    Args:
        analysis: What can be removed.
        removed: Which units go, `bool [analysis.count]`; every layer has to keep one channel.

    Returns:
        A new model, built but not compiled.
    """
    plan = _Stays(analysis, removed)
    model = rebuild(analysis.graph, plan.smaller)
    for layer in analysis.graph.layers:
        if layer.weights and plan.changes(layer):
            weights = zip(layer.get_weights(), plan.axes(layer), strict=True)
            model.get_layer(layer.name).set_weights([_cut(weight, axes) for weight, axes in weights])
    return model


def mask(analysis: Analysis, removed: NDArray[np.bool_]) -> keras.Model:
    """Build the network with the removed units masked: all weights that belong to them, on either side, are zero.

    Args:
        analysis: What can be removed.
        removed: Which units go, `bool [analysis.count]`.

    Returns:
        A new model of the original shapes, built but not compiled.
    """
    plan = _Stays(analysis, removed)
    model = rebuild(analysis.graph, lambda layer: None)  # noqa: ARG005
    for layer in analysis.graph.layers:
        if layer.weights and plan.changes(layer):
            weights = zip(layer.get_weights(), plan.axes(layer), strict=True)
            model.get_layer(layer.name).set_weights([_zero(weight, axes) for weight, axes in weights])
    return model


_CONFIGURED = (keras.layers.GroupNormalization, keras.layers.Reshape)
"""Layers whose configuration counts channels even where they have no weights."""


class _Stays:
    """Which channels stay before and behind every layer; all calls of a shared layer agree, so its first one tells."""

    def __init__(self, analysis: Analysis, removed: NDArray[np.bool_]) -> None:
        self._sides: dict[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
        for call in analysis.graph.calls:
            if call.inputs and call.outputs:
                tensors = call.inputs[0], call.outputs[0]
                before, behind = (stays(analysis.units[id(tensor)], removed) for tensor in tensors)
                self._sides.setdefault(id(call.layer), (before, behind))

    def changes(self, layer: keras.Operation) -> bool:
        """Whether the layer has to be another one when channels are gone."""
        resized = bool(getattr(layer, "weights", ())) or isinstance(layer, _CONFIGURED) or is_reshape(layer)
        return resized and id(layer) in self._sides and not all(side.all() for side in self._sides[id(layer)])

    def smaller(self, layer: keras.Operation) -> list[keras.Layer] | None:
        """The layer that takes this one's place, without weights yet."""
        if not self.changes(layer):
            return None
        behind = self._sides[id(layer)][1]
        count = int(behind.sum())
        if is_reshape(layer):
            return [keras.layers.Reshape(_resized(tuple(layer.newshape[1:]), count), name=layer.name)]
        config: dict[str, Any] = layer.get_config()
        if isinstance(layer, keras.layers.Reshape):
            config["target_shape"] = _resized(layer.target_shape, count)
        if isinstance(layer, keras.layers.GroupNormalization):
            config["groups"] = layer.groups * count // len(behind)
        for key in ("filters", "units"):
            if key in config:
                config[key] = count
        return [type(layer).from_config(config)]

    def axes(self, layer: keras.Layer) -> list[Axes]:
        """What stays of each weight, in the order of `layer.get_weights()`."""
        before, behind = self._sides[id(layer)]
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            found: list[Axes] = [{-2: before}, {0: behind}]
        elif isinstance(layer, keras.layers.SeparableConv2D):
            found = [{-2: before}, {-2: np.repeat(before, layer.depth_multiplier), -1: behind}, {0: behind}]
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            found = [{-2: behind, -1: before}, {0: behind}]
        elif isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Dense)):
            found = [{-2: before, -1: behind}, {0: behind}]
        else:  # normalisations and PReLU: every weight runs along the channels
            found = [{-1: behind}] * len(layer.weights)
        return found[: len(layer.weights)]  # without a bias the last entry speaks for nothing


def _resized(target: tuple[int, ...], count: int) -> tuple[int, ...]:
    """A reshape's target with another number of channels; a flat target finds its own size."""
    return target if target[-1] == -1 else (-1,) if len(target) == 1 else (*target[:-1], count)


def _cut(weight: NDArray[np.float32], axes: Axes) -> NDArray[np.float32]:
    for axis, kept in axes.items():
        weight = np.compress(kept, weight, axis=axis)
    return weight


def _zero(weight: NDArray[np.float32], axes: Axes) -> NDArray[np.float32]:
    for axis, kept in axes.items():
        shape = [1] * weight.ndim
        shape[axis] = -1
        weight = np.where(kept.reshape(shape), weight, np.float32(0))
    return weight
