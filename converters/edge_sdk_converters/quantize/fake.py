"""Layers that compute in float32 with the values that a quantized file will hold, so that a network can learn with them.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(arXiv 1712.05877), section 3: rounding forwards, the straight-through gradient backwards.
"""

from __future__ import annotations

from typing import Any

import keras

from .calibrate import Range

__all__ = ["QuantizedKernel", "RangeQuantizer", "rounded_kernel"]

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_TINY = 1e-8
"""Half the width of the range of a channel that is all zeros, which has none of its own."""


class QuantizedKernel(keras.layers.Wrapper):
    """A layer whose kernel is rounded, every time it is used, to what the file will store; the layer's own weights learn.

    Args:
        layer: A dense layer or a convolution with one kernel.
        bits: Of a stored weight, 4 or 8.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, layer: keras.Layer, bits: int = 8, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.bits = bits

    def call(self, inputs: Any) -> Any:
        """What the layer makes of its inputs with a rounded kernel."""
        kernel = self.layer.kernel
        rounded = rounded_kernel(self.layer, kernel, self.bits)
        trainable, fixed = (
            [rounded if variable is kernel else variable for variable in variables]
            for variables in (self.layer.trainable_variables, self.layer.non_trainable_variables)
        )
        outputs, _ = self.layer.stateless_call(trainable, fixed, inputs)
        return outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the layer."""
        shape: tuple[int | None, ...] = self.layer.compute_output_shape(input_shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "bits": self.bits}


class RangeQuantizer(keras.layers.Layer):
    """Rounds an activation to 2^bits even steps over its range, which follows what passes through while training.

    Args:
        bits: Of a stored activation.
        momentum: Share of the range that stays at every step, 0 to below 1.
        **kwargs: What every Keras layer takes.

    Input and output: `float32` of any shape.
    """

    def __init__(self, bits: int = 8, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits, self.momentum = bits, momentum

    def build(self, input_shape: Any) -> None:
        """Create both ends of the range: 0 and 1 until somebody sets them."""
        del input_shape
        self.low = self.add_weight(name="low", shape=(), initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer="ones", trainable=False)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The inputs rounded; values outside the range become its ends."""
        if training:
            self._follow(self.low, keras.ops.minimum(keras.ops.min(inputs), 0.0))
            self._follow(self.high, keras.ops.maximum(keras.ops.max(inputs), _TINY))
        return keras.quantizers.fake_quant_with_min_max_vars(
            inputs, _constant(self.low), _constant(self.high), num_bits=self.bits
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape

    @property
    def range(self) -> Range:
        """What it has learnt."""
        low, high = (float(end.numpy()) for end in (self.low, self.high))
        return Range(low, high)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "bits": self.bits, "momentum": self.momentum}

    def _follow(self, end: keras.Variable, seen: Any) -> None:
        end.assign(self.momentum * end + (1 - self.momentum) * keras.ops.stop_gradient(seen))


def rounded_kernel(layer: keras.Layer, kernel: Any, bits: int) -> Any:
    """A kernel as an integer file stores it: symmetric, in 2^bits − 2 steps over each output channel's own range.

    Args:
        layer: Says by its kind which axes are output channels.
        kernel: Its kernel.
        bits: Of a stored weight.

    Returns:
        As many values in float32; the gradient goes through as if nothing had been rounded.
    """
    ops = keras.ops
    value = ops.convert_to_tensor(kernel)
    if isinstance(layer, _TRANSPOSED):
        value = ops.swapaxes(value, -1, -2)
    channels = value.shape[-1] * (value.shape[-2] if isinstance(layer, _DEPTHWISE) else 1)
    table = ops.reshape(value, (-1, channels))
    most = ops.stop_gradient(ops.maximum(ops.max(ops.abs(table), axis=0), _TINY))
    rounded = keras.quantizers.fake_quant_with_min_max_vars(
        table, -most, most, num_bits=bits, narrow_range=True, axis=-1
    )
    rounded = ops.reshape(rounded, value.shape)
    return ops.swapaxes(rounded, -1, -2) if isinstance(layer, _TRANSPOSED) else rounded


def _constant(variable: keras.Variable) -> Any:
    return keras.ops.stop_gradient(keras.ops.convert_to_tensor(variable))
