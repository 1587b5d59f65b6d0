"""The strong encoder's teacher that knows CIFAR-10 alone, built and begun so that few passes teach it much.

As in Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498): conv 2×2 24 that whitens patches and stays as it is,
then three blocks of [conv 3×3, max pool, conv 3×3] that begin by passing their input on, batch norm without scales whose offsets learn
faster, ReLU, global max pooling, dense 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .strong_parts import convolved, embedded, scaled

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["prepare", "wide"]

_STEM = 24
_OFFSETS = 8.0
"""What offsets are multiplied by behind batch norm: under one learning rate they learn 64 times as fast."""
_PATCHES_OF = 5000
"""Images whose patches say how to whiten."""
_LEAST = 5e-4
"""Added to the variance of patches along each direction."""


def wide(widths: tuple[int, ...]) -> keras.Model:
    """The encoder, `uint8 [batch, 32, 32, 3]` → `float32 [batch, 64]`, to be prepared before it learns.

    Args:
        widths: Filters of each block.
    """
    import keras
    from keras import layers

    image, x = scaled()
    x = layers.ReLU(name="stem_relu")(layers.Conv2D(_STEM, 2, name="stem")(x))
    for block, width in enumerate(widths, 1):
        x = convolved(x, width, f"block{block}_a")
        x = _normalized(layers.MaxPooling2D(name=f"block{block}_pool")(x), f"block{block}_a")
        x = _normalized(convolved(x, width, f"block{block}_b"), f"block{block}_b")
    x = layers.GlobalMaxPooling2D(name="pool", dtype="float32")(x)
    return keras.Model(image, embedded(x), name="encoder")


def prepare(encoder: keras.Model, images: NDArray[np.uint8]) -> None:
    """Let the stem whiten patches, and stay so, and the convolutions pass their input on in their first channels.

    Args:
        encoder: One that `wide` has built; changed in place.
        images: `uint8 [N, 32, 32, 3]`.
    """
    from keras import layers

    stem = encoder.get_layer("stem")
    stem.set_weights([_whitening(images), np.zeros(_STEM, np.float32)])
    stem.kernel.trainable = False
    for layer in encoder.layers:
        if isinstance(layer, layers.Conv2D) and layer is not stem:
            kernel = layer.get_weights()[0]
            same = min(kernel.shape[2:])
            kernel[:, :, :, :same] = 0
            kernel[1, 1, range(same), range(same)] = 1
            layer.set_weights([kernel])


def _normalized(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    import keras
    from keras import layers

    small = keras.initializers.Constant(1 / _OFFSETS)
    norm = layers.BatchNormalization(momentum=0.9, gamma_initializer=small, name=f"{name}_norm")
    x = layers.Rescaling(_OFFSETS, name=f"{name}_large")(norm(x))
    norm.gamma.trainable = False
    return layers.ReLU(name=f"{name}_relu")(x)


def _whitening(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Principal directions of patches 2×2, scaled to unit variance, with both signs, `float32 [2, 2, 3, 24]`."""
    some = images[:_PATCHES_OF].astype(np.float32) / 127.5 - 1
    patches = np.lib.stride_tricks.sliding_window_view(some, (2, 2), axis=(1, 2))
    flat = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 12)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
    white = directions / np.sqrt(variances + _LEAST)
    return np.concatenate([white, -white], axis=1).reshape(2, 2, 3, _STEM).astype(np.float32)
