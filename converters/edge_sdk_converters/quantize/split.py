"""A network whose layers are operators of a file, one for one: activations and separable convolutions taken apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras

from ..graph import rebuild, trace
from .stored import is_kernel

__all__ = ["split_layers"]

_FUSED = (keras.activations.linear, keras.activations.relu, keras.activations.relu6)
"""Activations that TFLite computes together with a layer's product."""

_Part = tuple[keras.Layer, list[Any]]
"""A layer, and the weights that it is to have."""


def split_layers(model: keras.Model, skip: Collection[str] = ()) -> keras.Model:
    """Take layers apart that become several operators, so that what lies between can be rounded.

    Args:
        model: A flat functional model. It stays untouched.
        skip: Names of layers that stay whole.

    Returns:
        A model that computes the same. A layer keeps its name for the product with its last kernel; its activation is
        called `{layer}_activation`, the first kernel of a separable convolution `{layer}_depthwise`.
    """
    parts: list[_Part] = []

    def replace(layer: keras.Operation) -> Sequence[keras.Layer] | None:
        own = [] if layer.name in skip else _parts(layer)
        parts.extend(own)
        return [part for part, _ in own] or None

    split = rebuild(trace(model), replace)
    for part, weights in parts:
        part.set_weights(weights)
    return split


def _parts(layer: keras.Operation) -> list[_Part]:
    """What a layer is made of; nothing where it is one operator already."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return _separated(layer)
    if is_kernel(layer) and layer.activation not in _FUSED:
        linear = type(layer).from_config({**layer.get_config(), "activation": "linear"})
        return [(linear, layer.get_weights()), _activation(layer)]
    return []


def _separated(layer: keras.layers.SeparableConv2D) -> list[_Part]:
    fused = layer.activation in _FUSED
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        name=f"{layer.name}_depthwise",
    )
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation if fused else None,
        use_bias=layer.use_bias,
        name=layer.name,
    )
    kernel, *others = layer.get_weights()
    return [(depthwise, [kernel]), (pointwise, others), *([] if fused else [_activation(layer)])]


def _activation(layer: keras.Layer) -> _Part:
    return keras.layers.Activation(layer.activation, name=f"{layer.name}_activation"), []
