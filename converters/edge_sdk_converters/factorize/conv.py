"""Convolutions as the product of smaller ones: Tucker-2 over the two channel axes.

Kim et al., "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications" (2015): a 1×1
convolution to fewer channels, the spatial convolution between few channels, a 1×1 convolution back to many.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .dense import check_rank, split_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["channel_spectra", "factorize_conv", "factorize_pointwise"]

IN, OUT = 2, 3
"""Channel axes of a kernel `[height, width, in, out]`."""

SWEEPS = 3
"""Alternating improvements of the factors; later ones change the error by less than a thousandth."""


def channel_spectra(kernel: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values of a kernel unfolded along its input and along its output channels.

    Args:
        kernel: `[height, width, in, out]`.

    Returns:
        The two spectra in descending order, `in` and `out` values long.
    """
    wide = np.asarray(kernel, np.float64)
    return _spectrum(wide, IN), _spectrum(wide, OUT)


def _spectrum(kernel: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    squares = np.linalg.eigvalsh(_gram(kernel, axis))[::-1]
    return np.sqrt(np.maximum(squares, 0.0))


def factorize_pointwise(layer: keras.layers.Conv2D, rank: int) -> list[keras.Layer]:
    """Write a 1×1 convolution as two with `rank` channels between them, by singular value decomposition.

    Args:
        layer: A built 1×1 convolution, channels last, one group. It stays untouched.
        rank: Channels between the two, from 1 to min(in, filters).

    Returns:
        Two built 1×1 convolutions: the first carries the strides, the second the bias and the activation.

    Raises:
        ModelError: The rank is outside what it may be.
    """
    kernel, *bias = layer.get_weights()
    check_rank(layer.name, rank, min(kernel.shape[IN:]))
    left, right = split_matrix(kernel[0, 0], rank)
    reduce = _pointwise(layer, "reduce", left, strides=layer.strides, padding=layer.padding)
    return [reduce, _expand(layer, right, bias)]


def factorize_conv(layer: keras.layers.Conv2D, rank_in: int, rank_out: int) -> list[keras.Layer]:
    """Write a convolution as 1×1 to `rank_in` channels, k×k to `rank_out` channels, 1×1 to the filters.

    A 1×1 convolution whose rank is full would buy nothing; it is left out, and the k×k convolution does its part.

    Args:
        layer: A built convolution, channels last, one group. It stays untouched.
        rank_in: Channels before the k×k convolution, from 1 to the layer's input channels.
        rank_out: Channels after it, from 1 to the layer's filters. A rank that is not full is at most k·k times the
            other one.

    Returns:
        One to three built layers. The k×k convolution carries strides, padding and dilation; the last layer carries
        the bias and the activation.

    Raises:
        ModelError: A rank is outside what it may be.
    """
    kernel, *bias = layer.get_weights()
    channels, filters = kernel.shape[IN:]
    positions = math.prod(layer.kernel_size)
    check_rank(layer.name, rank_in, channels if rank_in == channels else min(channels, positions * rank_out))
    check_rank(layer.name, rank_out, filters if rank_out == filters else min(filters, positions * rank_in))
    core, into, out = _tucker(kernel, rank_in, rank_out)
    layers = [_pointwise(layer, "reduce", into)] if rank_in < channels else []
    if rank_out == filters:
        return [*layers, _core(layer, core, bias)]
    return [*layers, _core(layer, core, None), _expand(layer, out.T, bias)]


def _tucker(
    kernel: NDArray[np.floating], rank_in: int, rank_out: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Core `[h, w, rank_in, rank_out]` and orthonormal factors `[in, rank_in]`, `[out, rank_out]`.

    Higher-order SVD, improved by alternating least squares (De Lathauwer et al., "On the best rank-1 and rank-(R1, R2,
    ..., RN) approximation", 2000). A full rank gives the identity.
    """
    wide = np.asarray(kernel, np.float64)
    into, out = _basis(wide, IN, rank_in), _basis(wide, OUT, rank_out)
    for _ in range(SWEEPS):
        into = _basis(np.tensordot(wide, out, (OUT, 0)), IN, rank_in)
        out = _basis(np.moveaxis(np.tensordot(wide, into, (IN, 0)), -1, IN), OUT, rank_out)
    core = np.einsum("hwio,ir,os->hwrs", wide, into, out, optimize=True)
    return core.astype(np.float32), into.astype(np.float32), out.astype(np.float32)


def _basis(kernel: NDArray[np.float64], axis: int, rank: int) -> NDArray[np.float64]:
    """The leading left singular vectors of the unfolded kernel, `[channels, rank]`."""
    if rank == kernel.shape[axis]:
        return np.eye(rank)
    return np.asarray(np.linalg.eigh(_gram(kernel, axis))[1][:, ::-1][:, :rank])


def _gram(kernel: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The unfolded kernel times its transpose: small, where the unfolded kernel is long."""
    unfolded = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
    return unfolded @ unfolded.T


def _common(layer: keras.layers.Conv2D, part: str) -> dict[str, Any]:
    return {"name": f"{layer.name}_{part}", "dtype": layer.dtype_policy, "trainable": layer.trainable}


def _built(layer: keras.layers.Conv2D, kernel: NDArray[np.float32], bias: list[NDArray[np.float32]]) -> keras.Layer:
    layer.build((None, None, None, kernel.shape[-2]))
    layer.set_weights([kernel.reshape(layer.kernel.shape), *bias])
    return layer


def _pointwise(layer: keras.layers.Conv2D, part: str, matrix: NDArray[np.float32], **options: Any) -> keras.Layer:
    convolution = keras.layers.Conv2D(matrix.shape[1], 1, use_bias=False, **options, **_common(layer, part))
    return _built(convolution, matrix, [])


def _expand(layer: keras.layers.Conv2D, matrix: NDArray[np.float32], bias: list[NDArray[np.float32]]) -> keras.Layer:
    convolution = keras.layers.Conv2D(
        layer.filters, 1, activation=layer.activation, use_bias=layer.use_bias, **_common(layer, "expand")
    )
    return _built(convolution, matrix, bias)


def _core(
    layer: keras.layers.Conv2D, kernel: NDArray[np.float32], bias: list[NDArray[np.float32]] | None
) -> keras.Layer:
    """The spatial convolution; with `bias` it is the last one and carries the activation too."""
    last = bias is not None
    convolution = keras.layers.Conv2D(
        kernel.shape[OUT],
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        activation=layer.activation if last else None,
        use_bias=layer.use_bias and last,
        **_common(layer, "core"),
    )
    return _built(convolution, kernel, bias or [])
