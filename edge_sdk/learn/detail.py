"""Embeddings that keep what their own classes did not need: for encoders that will be taught other classes on a device.

An encoder that was trained to tell some classes apart ends in little else than which of them an image resembles (Papyan, Han,
Donoho, "Prevalence of Neural Collapse during the terminal phase of deep learning training", arXiv 2008.08186), and a class that
it never saw disappears among them. A middle layer still sees strap, hole and handle. So its activations, averaged over a coarse
grid and reduced to their principal components, are set beside the embedding. Nothing is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_converters.training import predict

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_detail", "with_detail"]

_GRID = 4
"""Cells along each side over which activations are averaged."""
_IMAGES = 2_000
"""Images that the principal components are taken from, at most."""


def check_detail(encoder: keras.Model, images: int, width: int) -> None:
    """Refuse, before anything is trained, what `with_detail` could not do afterwards.

    Args:
        encoder: Trained or not.
        images: Number of training images.
        width: How many components are wanted.

    Raises:
        DataError: The network has no such layer, or there are too few images or activations for so many components.
    """
    activations, images = int(_pooled(encoder).shape[1]), min(images, _IMAGES)
    if not 1 <= width < min(activations, images):
        raise DataError(
            f"Detail must be at least 1 wide, and less than the {activations} averages and the images it is taken from. "
            f"Received: {width} of {images} images. Ask for less."
        )


def with_detail(
    encoder: keras.Model, images: NDArray[np.uint8], *, width: int = 64, weight: float = 0.5, seed: int = 0
) -> keras.Model:
    """Set principal components of a middle layer beside an encoder's embedding.

    The layer is the last one whose activations are at least twice as large as the last ones, along each side.

    Args:
        encoder: A trained, flat network of convolutions, image → embedding `[batch, D]`; it stays as it is.
        images: Preprocessed training images, `uint8 [N, H, W, C]`, more than `width`.
        width: How many components.
        weight: Their average length, as a share of the embedding's.
        seed: Of which images the components are taken from.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, D + width]`.

    Raises:
        DataError: The network has no such layer, or there are too few images or activations for so many components.
    """
    some = images[np.random.default_rng(seed).permutation(len(images))[:_IMAGES]]
    check_detail(encoder, len(some), width)
    pooled = _pooled(encoder)
    activations = predict(keras.Model(encoder.inputs, pooled, name="activations"), some)
    length = float(np.linalg.norm(predict(encoder, some), axis=1).mean())
    kernel, bias = _components(activations, width, weight * length)
    dense = keras.layers.Dense(width, name="detail")
    beside = keras.layers.Concatenate(name="embedding_with_detail")([encoder.outputs[0], dense(pooled)])
    dense.set_weights([kernel, bias])
    return keras.Model(encoder.inputs, beside, name="encoder")


def _pooled(encoder: keras.Model) -> keras.KerasTensor:
    """Activations of the middle layer, averaged over a grid, `[batch, cells · channels]`."""
    maps = [layer.output for layer in encoder.layers if len(getattr(layer.output, "shape", ())) == 4]
    last = maps[-1].shape if maps else (0, 0, 0, 0)
    middle = [each for each in maps[1:] if min(each.shape[1] // last[1], each.shape[2] // last[2]) >= 2]
    if not middle:
        raise DataError(
            "Detail comes from a layer whose activations are twice as large as the last ones. "
            f"Received: '{encoder.name}' without one. Use an encoder of convolutions that shrink the image."
        )
    found = middle[-1]
    cells = tuple(max(1, side // _GRID) for side in found.shape[1:3])
    averages = keras.layers.AveragePooling2D(cells, name="detail_averages")(found)
    return keras.layers.Flatten(name="detail_flat")(averages)


def _components(
    activations: NDArray[np.float32], width: int, length: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of the dense layer that gives the principal components, of that length on average."""
    mean = activations.mean(axis=0, dtype=np.float64)
    centred = activations - mean
    directions = np.linalg.svd(centred, full_matrices=False)[2][:width].T
    scale = length / max(float(np.linalg.norm(centred @ directions, axis=1).mean()), 1e-12)
    kernel = directions * scale
    return kernel.astype(np.float32), (-mean @ kernel).astype(np.float32)
