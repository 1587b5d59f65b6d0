"""The encoder: a small residual network from pixels to an embedding."""

from __future__ import annotations

import math

import keras

from edge_sdk_converters.layers import FlattenedImage
from edge_sdk_runtime import PreprocessSpec

from ..errors import DataError

__all__ = ["MOMENTUM", "build_encoder", "flattened_encoder"]

_MAX_FILTERS = 256
_LARGE_SIDE = 64
"""From this input side on the first convolution halves the image, since full resolution costs most and says least."""
MOMENTUM = 0.9
"""Of batch normalisation's running statistics. A folder of photographs gives a few hundred steps, after which Keras's 0.99 still
remembers the initial values, and a network that has learnt classifies no better than chance."""


def build_encoder(spec: PreprocessSpec, *, embedding: int = 64, width: int = 16) -> keras.Model:
    """A residual network sized for its input, scaling included.

    Every stage is one residual block of two 3×3 convolutions (He et al., arXiv 1512.03385); filters double and the side
    halves from stage to stage until it is 8 pixels or fewer. At 32×32 and width 16 this is the ResNet-8 of MLPerf Tiny.

    Args:
        spec: Gives the input's shape.
        embedding: Width D of the embedding, 2 or more.
        width: Filters of the first stage, 4 or more.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, D]`.

    Raises:
        DataError: A width is too small.
    """
    if embedding < 2 or width < 4:
        raise DataError(
            f"embedding must be at least 2 and width at least 4. Received: {embedding} and {width}. Try 64 and 16."
        )
    side = min(spec.height, spec.width)
    large = side >= _LARGE_SIDE
    stages = max(2, math.ceil(math.log2(max(side, 8) / (16 if large else 8))) + 1)
    image = keras.Input(spec.shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(image)
    x = _convolution(x, width, 2 if large else 1, "stem")
    for stage in range(stages):
        x = _residual(x, min(width * 2**stage, _MAX_FILTERS), 2 if stage else 1, f"stage{stage + 1}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(embedding, name="embedding")(x), name="encoder")


def flattened_encoder(spec: PreprocessSpec) -> keras.Model:
    """The image as its own embedding, row by row, 0 to 1: nothing to train, and no model on the device.

    Args:
        spec: Gives the input's shape.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, H · W · C]`.
    """
    image = keras.Input(spec.shape, dtype="uint8", name="image")
    return keras.Model(image, FlattenedImage(name="embedding")(image), name="encoder")


def _residual(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    inner = _convolution(x, filters, stride, f"{name}_a")
    inner = _convolution(inner, filters, 1, f"{name}_b", activate=False)
    if x.shape[-1] != filters or stride != 1:
        x = keras.layers.Conv2D(filters, 1, stride, name=f"{name}_shortcut")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, inner])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _convolution(
    x: keras.KerasTensor, filters: int, stride: int, name: str, activate: bool = True
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_act")(x) if activate else x
