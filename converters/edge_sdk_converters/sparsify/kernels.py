"""The weights of a network that single zeros may go into: kernels, never biases or normalisations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras

__all__ = ["Kernel", "kernels_of"]

_INPUT_BEFORE_LAST = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
_INPUT_LAST = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


@dataclass(frozen=True, eq=False)
class Kernel:
    """One weight tensor of a layer.

    Attributes:
        layer: Name of the layer.
        variable: The tensor, as Keras holds it.
        axis: Its axis of input channels, which the layer's product sums over; None for a depthwise kernel, which sums over
            positions alone.
    """

    layer: str
    variable: keras.Variable
    axis: int | None


def kernels_of(layers: Iterable[keras.Layer]) -> tuple[Kernel, ...]:
    """Every kernel of layers and of the models among them, each once.

    Args:
        layers: Built layers; those without a kernel are passed over.
    """
    unique = {id(kernel.variable): kernel for layer in layers for kernel in _of(layer)}
    return tuple(unique.values())


def _of(layer: keras.Layer) -> Iterator[Kernel]:
    if isinstance(layer, keras.Model):
        yield from kernels_of(layer.layers)
    elif isinstance(layer, keras.layers.Wrapper):
        yield from _of(layer.layer)
    elif isinstance(layer, _SEPARABLE):
        yield Kernel(layer.name, layer.depthwise_kernel, None)
        yield Kernel(layer.name, layer.pointwise_kernel, -2)
    elif isinstance(layer, _DEPTHWISE):
        yield Kernel(layer.name, layer.kernel, None)
    elif isinstance(layer, _INPUT_LAST):
        yield Kernel(layer.name, layer.kernel, -1)
    elif isinstance(layer, _INPUT_BEFORE_LAST):
        yield Kernel(layer.name, layer.kernel, -2)
