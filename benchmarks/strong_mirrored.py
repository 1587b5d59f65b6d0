"""An encoder that gives the same embedding for an image and its mirror image, by construction, at no cost when it runs.

The image goes through the network beside its mirror image. At every convolution each side also sees, mirrored back, what the other
one has come to; at the end the mean of both is embedded. In the coordinates of the image that is an ordinary convolutional network of
twice the width, half of whose kernels are the other half mirrored (Cohen and Welling, "Group Equivariant Convolutional Networks",
arXiv 1602.07576, for the group of mirroring): it learns as the two, and is exported as the one. Nothing in it knows left from right as
long as its windows lie evenly: from 32 pixels a convolution 2×2 leaves 31, and pools 3×3 of stride 2 then 15, 7 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_parts import convolved, embedded, normalized, scaled

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["Layout", "mirrored", "plain"]


@dataclass(frozen=True)
class Layout:
    """Widths of the ordinary network, all even: those of the two that learn are half as wide.

    Attributes:
        stem: Of the convolution 2×2.
        blocks: Of each [conv 3×3, max pool, residual pair of conv 3×3].
    """

    stem: int
    blocks: tuple[int, ...]


def mirrored(layout: Layout) -> keras.Model:
    """The network that learns, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`."""
    from keras import layers, ops

    def both(x: Any) -> Any:
        return ops.concatenate([x, ops.flip(x, axis=2)])

    def seen(x: Any) -> Any:
        """What a side has come to, and the other, mirrored back."""
        first, second = ops.split(x, 2)
        return ops.concatenate([x, ops.flip(ops.concatenate([second, first]), axis=2)], axis=-1)

    def joined(x: Any) -> Any:
        first, second = ops.split(x, 2)
        return (first + second) / 2

    def across(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        shape = (*x.shape[1:-1], 2 * x.shape[-1])
        return layers.Lambda(seen, output_shape=shape, name=f"{name}_seen")(x)

    image, x = scaled()
    x = layers.Lambda(both, output_shape=x.shape[1:], name="both")(x)
    x = _network(x, Layout(layout.stem // 2, tuple(width // 2 for width in layout.blocks)), across)
    return _ended(image, layers.Lambda(joined, output_shape=x.shape[1:], name="joined", dtype="float32")(x))


def plain(trained: keras.Model, layout: Layout) -> keras.Model:
    """The same as an ordinary network: that computes what `mirrored` has learnt, up to rounding."""
    from keras import layers

    image, x = scaled()
    encoder = _ended(image, _network(x, layout, lambda x, _: x))
    for layer in encoder.layers:
        if layer.weights:
            values = trained.get_layer(layer.name).get_weights()
            if isinstance(layer, layers.Conv2D):
                layer.set_weights([_kernel(values[0], whole=layer.name != "stem")])
            elif isinstance(layer, layers.BatchNormalization):
                layer.set_weights([np.tile(value, 2) for value in values])
            else:
                layer.set_weights([np.tile(values[0] / 2, (2, 1)), values[1]])
    return encoder


def _network(x: keras.KerasTensor, layout: Layout, across: Any) -> keras.KerasTensor:
    from keras import layers

    def convolution(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        return convolved(across(x, name), width, name)

    x = normalized(layers.Conv2D(layout.stem, 2, use_bias=False, name="stem")(x), "stem")
    for block, width in enumerate(layout.blocks, 1):
        name = f"block{block}"
        x = convolution(x, width, name)
        x = normalized(layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x), name)
        beside = normalized(convolution(x, width, f"{name}_a"), f"{name}_a")
        beside = normalized(convolution(beside, width, f"{name}_b"), f"{name}_b", relu=False)
        x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, beside]))
    return layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)


def _ended(image: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    import keras

    return keras.Model(image, embedded(x), name="encoder")


def _kernel(kernel: NDArray[np.float32], *, whole: bool) -> NDArray[np.float32]:
    """The kernel beside its mirror image; behind the stem, for which an image is its own other side, both read both sides."""
    if not whole:
        return np.concatenate([kernel, kernel[:, ::-1]], axis=3)
    own, other = np.split(kernel, 2, axis=2)
    first = np.concatenate([own, other], axis=2)
    second = np.concatenate([other[:, ::-1], own[:, ::-1]], axis=2)
    return np.concatenate([first, second], axis=3)
