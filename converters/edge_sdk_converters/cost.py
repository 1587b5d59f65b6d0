"""What a model costs: parameters, and multiply-accumulates for one image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras

from .errors import ModelError
from .graph import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import Call

__all__ = ["count_macs", "count_parameters", "layer_macs", "macs_between"]

Shape = tuple[int | None, ...]

_PLAIN = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


def count_parameters(model: keras.Model) -> int:
    """Count every weight of a model, trained or not, batch-normalisation statistics included.

    Args:
        model: A built Keras model.

    Returns:
        Number of scalars. Layers that are used twice count once.
    """
    return int(model.count_params())


def count_macs(model: keras.Model) -> int:
    """Count the multiply-accumulates of one image through a model, nested models included.

    Dense and convolution layers count, biases and element-wise work do not. A layer with a method
    `macs(input_shape, output_shape)` says itself what it costs. Layers that are used twice count twice.

    Args:
        model: A functional or sequential Keras model with known image size.

    Returns:
        Multiply-accumulates for a batch of one.

    Raises:
        ModelError: The model has no functional graph, or its image size is not known.
    """
    return sum(map(layer_macs, trace(model).calls))


def layer_macs(call: Call) -> int:
    """Count the multiply-accumulates of one call for one image.

    Args:
        call: A call from `trace`.

    Returns:
        Multiply-accumulates; 0 for what is neither dense nor a convolution.

    Raises:
        ModelError: A size that the count needs is not known.
    """
    if not call.inputs:
        return 0
    return macs_between(call.layer, call.inputs[0].shape, call.outputs[0].shape)


def macs_between(layer: keras.Operation, input_shape: Shape, output_shape: Shape) -> int:
    """Count the multiply-accumulates of a layer between two shapes, for one image.

    Args:
        layer: A layer or operation.
        input_shape: Shape of its input with the batch axis first.
        output_shape: Shape of its output with the batch axis first.

    Returns:
        Multiply-accumulates; 0 for what is neither dense nor a convolution.

    Raises:
        ModelError: A size that the count needs is not known.
    """
    if callable(own := getattr(layer, "macs", None)):
        return int(own(input_shape, output_shape))
    channels = int(
        (input_shape[1] if getattr(layer, "data_format", None) == "channels_first" else input_shape[-1]) or 0
    )
    if isinstance(layer, _SEPARABLE):
        middle = channels * layer.depth_multiplier
        return _size(layer, output_shape) // layer.filters * middle * (math.prod(layer.kernel_size) + layer.filters)
    per_value = _macs_per_value(layer, channels)
    transposed = isinstance(layer, _TRANSPOSED)
    return per_value and per_value * _size(layer, input_shape if transposed else output_shape)


def _macs_per_value(layer: keras.Operation, channels: int) -> int:
    """Multiply-accumulates per value of the output, or of the input for a transposed convolution."""
    if isinstance(layer, keras.layers.Dense):
        return channels
    if isinstance(layer, _DEPTHWISE):
        return math.prod(layer.kernel_size)
    if isinstance(layer, _TRANSPOSED):
        return math.prod(layer.kernel_size) * int(layer.filters)
    if isinstance(layer, _PLAIN):
        return math.prod(layer.kernel_size) * channels // int(layer.groups)
    return 0


def _size(layer: keras.Operation, shape: Sequence[int | None]) -> int:
    """Elements of one image's tensor."""
    sizes = [size for size in shape[1:] if size is not None]
    if len(sizes) < len(shape) - 1:
        raise ModelError(
            f"Counting multiply-accumulates needs known sizes. Received: {list(shape)} at layer '{layer.name}'. "
            "Give keras.Input the height and width of the images."
        )
    return math.prod(sizes)
