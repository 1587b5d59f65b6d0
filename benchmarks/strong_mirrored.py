"""An encoder that gives the same embedding for an image and its mirror image, by construction, at no cost when it runs.

It is an ordinary convolutional network, half of whose kernels are the other half mirrored (`benchmarks/strong_layers.py`): it learns as
such, and is exported as the ordinary one. At the end both halves are added up and embedded. Nothing in it knows left from right as
long as its windows lie evenly: from 32 pixels a convolution 2×2 leaves 31, and pools 3×3 of stride 2 then 15, 7 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .strong_parts import convolved, embedded, normalized, scaled

if TYPE_CHECKING:
    import keras

__all__ = ["Layout", "mirrored", "mirrored_again", "plain"]


@dataclass(frozen=True)
class Layout:
    """Widths of the ordinary network, all even: half of the filters are learnt.

    Attributes:
        stem: Of the convolution 2×2.
        blocks: Of each [conv 3×3, max pool, residual pair of conv 3×3].
    """

    stem: int
    blocks: tuple[int, ...]


def mirrored(layout: Layout) -> keras.Model:
    """The network that learns, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`."""
    from keras import layers

    from .strong_layers import MirroredConv, MirroredNorm

    def convolution(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        return MirroredConv(width, 3, name=name)(x)

    def normal(x: keras.KerasTensor, name: str, *, relu: bool = True) -> keras.KerasTensor:
        x = MirroredNorm(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    def joined(x: Any) -> Any:
        half = x.shape[-1] // 2
        return (x[:, :half] + x[:, half:]) / 2

    image, x = scaled()
    x = MirroredConv(layout.stem, 2, of_image=True, name="stem")(x)
    x = _blocks(x, layout, convolution, normal)
    half = (x.shape[-1] // 2,)
    return _ended(image, layers.Lambda(joined, output_shape=half, name="joined", dtype="float32")(x))


def plain(trained: keras.Model, layout: Layout) -> keras.Model:
    """The same as an ordinary network: that computes what `mirrored` has learnt, up to rounding."""
    from keras import layers

    image, x = scaled()
    stem = layers.Conv2D(layout.stem, 2, use_bias=False, name="stem")(x)
    encoder = _ended(image, _blocks(stem, layout, convolved, normalized))
    for layer in encoder.layers:
        if layer.weights:
            learnt = trained.get_layer(layer.name)
            if isinstance(layer, layers.Conv2D):
                layer.set_weights([np.asarray(learnt.whole())])
            elif isinstance(layer, layers.BatchNormalization):
                layer.set_weights([np.asarray(row) for row in learnt.whole()])
            else:
                kernel, bias = learnt.get_weights()
                layer.set_weights([np.tile(kernel / 2, (2, 1)), bias])
    return encoder


def mirrored_again(ordinary: keras.Model, layout: Layout) -> keras.Model:
    """The network that learns, with what `plain` has made of one: it learns on."""
    from keras import layers

    encoder = mirrored(layout)
    for layer in encoder.layers:
        if layer.weights:
            values = ordinary.get_layer(layer.name).get_weights()
            if isinstance(layer, layers.Dense):
                layer.set_weights([2 * np.split(values[0], 2)[0], values[1]])
            else:
                layer.halve(values[0] if len(values) == 1 else values)
    return encoder


def _blocks(stem: keras.KerasTensor, layout: Layout, convolution: Any, normal: Any) -> keras.KerasTensor:
    from keras import layers

    x = normal(stem, "stem")
    for block, width in enumerate(layout.blocks, 1):
        name = f"block{block}"
        x = convolution(x, width, name)
        x = normal(layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x), name)
        beside = normal(convolution(x, width, f"{name}_a"), f"{name}_a")
        beside = normal(convolution(beside, width, f"{name}_b"), f"{name}_b", relu=False)
        x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, beside]))
    return layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)


def _ended(image: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    import keras

    return keras.Model(image, embedded(x), name="encoder")
