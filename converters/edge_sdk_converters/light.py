"""Dense and convolution layers with few weights, to train from scratch: LightLayers.

Jha et al., "LightLayers: Parameter Efficient Dense and Convolutional Layers for Image Classification" (2021). A layer is
written as two thin ones with `k` values, its rank, between them. Each consists of plain Keras layers and hands them out
by `parts()`, so that every pass and the export see through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from .cost import macs_between
from .errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LightConv2D", "LightDense"]

Shape = tuple[int | None, ...]


class _Pair(keras.layers.Layer):
    """Two Keras layers, one after the other, that share initializers, regularizers, data type and trainability."""

    def __init__(
        self,
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.reduce: keras.Layer
        self.expand: keras.Layer

    def _options(self, name: str) -> dict[str, Any]:
        """What the two layers have in common."""
        return {
            "name": name,
            # An initializer gives the same values each time it is asked for a shape; a copy of an unseeded one does not.
            "kernel_initializer": keras.initializers.get(keras.initializers.serialize(self.kernel_initializer)),
            "bias_initializer": self.bias_initializer,
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "trainable": self.trainable,
            "dtype": self.dtype_policy,
        }

    def build(self, input_shape: Shape) -> None:
        """Create the weights of both layers."""
        self.reduce.build(input_shape)
        self.expand.build(self.reduce.compute_output_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        """Apply both layers."""
        return self.expand(self.reduce(inputs))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape behind both layers, batch axis first."""
        return tuple(self.expand.compute_output_shape(self.reduce.compute_output_shape(input_shape)))

    def macs(self, input_shape: Shape, output_shape: Shape) -> int:
        """Multiply-accumulates of both layers for one image.

        Args:
            input_shape: Shape of the input with the batch axis first.
            output_shape: Shape of the output with the batch axis first.
        """
        between = tuple(self.reduce.compute_output_shape(input_shape))
        return macs_between(self.reduce, input_shape, between) + macs_between(self.expand, between, output_shape)

    def parts(self) -> list[keras.Layer]:
        """The two layers themselves, with the weights in use; applied one after the other they compute the same."""
        return [self.reduce, self.expand]

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
        }


@keras.saving.register_keras_serializable(package="edge_sdk")
class LightDense(_Pair):
    """A dense layer whose kernel is the product of two thin ones: `[in, k] · [k, units]`, one bias.

    It has k·(in + units) + units weights in the place of in·units + units.

    Args:
        units: Values that come out.
        k: The rank, from 1 to min(in, units).
        activation: Applied to the sum; None for none.
        use_bias: Whether a bias is added.
        kernel_initializer: Of both kernels, each with values of its own unless it is seeded.
        bias_initializer: Of the bias.
        kernel_regularizer: Of each of the kernels, not of their product.
        bias_regularizer: Of the bias.
        **kwargs: What every Keras layer takes.

    Input: `[batch, …, in]`. Output: `[batch, …, units]`.

    Raises:
        ModelError: k is outside its range; `in` is known, and k checked, when the layer is built.
    """

    def __init__(
        self,
        units: int,
        k: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            **kwargs,
        )
        self.units, self.k, self.activation = units, k, keras.activations.get(activation)
        # A wrong k is refused by build, where `in` is known too; until then the part must not refuse it in its own words.
        self.reduce = keras.layers.Dense(max(k, 1), use_bias=False, **self._options("reduce"))
        self.expand = keras.layers.Dense(
            units, activation=self.activation, use_bias=use_bias, **self._options("expand")
        )

    def build(self, input_shape: Shape) -> None:
        """Check the rank and create `[in, k]`, `[k, units]` and the bias `[units]`."""
        width = self.units if input_shape[-1] is None else input_shape[-1]  # Keras itself refuses an unknown width
        _check_rank(self, "min(in, units)", min(width, self.units))
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "k": self.k, "activation": activation}


@keras.saving.register_keras_serializable(package="edge_sdk")
class LightConv2D(_Pair):
    """A convolution to k channels, a ReLU, and a convolution of the same kernel size from k channels to the filters.

    With a kernel of h×w it has h·w·k·(in + filters) + k + filters weights in the place of h·w·in·filters + filters. It is
    no product of matrices: the ReLU stands between, and what it sees is (2h − 1)×(2w − 1) wide.

    Args:
        filters: Channels that come out.
        kernel_size: Height and width of both kernels, or one number for both.
        k: Channels between the two, from 1 to `filters`. Input channels do not bound it: there may be one only.
        strides: Of the first convolution; the second has none.
        padding: Of both convolutions, "same" or "valid".
        activation: Applied behind the second convolution; None for none.
        inner_activation: Applied between the two; "relu" as published, None for a linear pair.
        use_bias: Whether both convolutions add a bias.
        data_format: "channels_last" or "channels_first"; Keras's own setting where None.
        kernel_initializer: Of both kernels, each with values of its own unless it is seeded.
        bias_initializer: Of both biases.
        kernel_regularizer: Of each of the kernels.
        bias_regularizer: Of each of the biases.
        **kwargs: What every Keras layer takes.

    Input: `[batch, height, width, in]`. Output: `[batch, height', width', filters]`.

    Raises:
        ModelError: k is outside its range, when the layer is built.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        k: int,
        strides: int | Sequence[int] = 1,
        padding: str = "same",
        activation: Any = None,
        inner_activation: Any = "relu",
        use_bias: bool = True,
        data_format: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            **kwargs,
        )
        self.filters, self.k = filters, k
        self.activation, self.inner_activation = map(keras.activations.get, (activation, inner_activation))
        common = {"padding": padding, "use_bias": use_bias, "data_format": data_format}
        self.reduce = keras.layers.Conv2D(
            max(k, 1), kernel_size, strides, activation=inner_activation, **common, **self._options("reduce")
        )
        self.expand = keras.layers.Conv2D(
            filters, kernel_size, activation=activation, **common, **self._options("expand")
        )

    def build(self, input_shape: Shape) -> None:
        """Check k and create `[h, w, in, k]`, `[h, w, k, filters]` and the biases `[k]` and `[filters]`."""
        _check_rank(self, "filters", self.filters)
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.reduce.kernel_size,
            "k": self.k,
            "strides": self.reduce.strides,
            "padding": self.reduce.padding,
            "activation": keras.activations.serialize(self.activation),
            "inner_activation": keras.activations.serialize(self.inner_activation),
            "data_format": self.reduce.data_format,
        }


def _check_rank(layer: LightDense | LightConv2D, bound: str, most: int) -> None:
    if not 1 <= layer.k <= most:
        raise ModelError(
            f"k must be between 1 and {bound} = {most}. Received: k={layer.k} at layer '{layer.name}'. Choose such a rank."
        )
