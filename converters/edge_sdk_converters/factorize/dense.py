"""Dense layers as the product of two: truncated singular value decomposition.

`X·W ≈ (X·U√S)·(√S·Vᵀ)` pays when `rank · (inputs + units) < inputs · units` (Denton et al., "Exploiting Linear Structure
Within Convolutional Networks", 2014; Xue et al., "Restructuring of Deep Neural Network Acoustic Models", 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_rank", "factorize_dense", "split_matrix"]


def factorize_dense(layer: keras.layers.Dense, rank: int) -> list[keras.Layer]:
    """Write a dense layer as two with `rank` values between them.

    Args:
        layer: A built dense layer with kernel `[inputs, units]`. It stays untouched.
        rank: Values between the two, from 1 to min(inputs, units).

    Returns:
        A linear layer without bias and one with the bias and activation of the original, both built. The product of
        their kernels, `U·√S` and `√S·Vᵀ`, is the best approximation of that rank in the sense of least squares.

    Raises:
        ModelError: The rank is outside what it may be.
    """
    kernel, *bias = layer.get_weights()
    check_rank(layer.name, rank, min(kernel.shape))
    left, right = split_matrix(kernel, rank)
    common: dict[str, Any] = {"dtype": layer.dtype_policy, "trainable": layer.trainable}
    reduce = keras.layers.Dense(rank, use_bias=False, name=f"{layer.name}_reduce", **common)
    expand = keras.layers.Dense(
        layer.units, activation=layer.activation, use_bias=layer.use_bias, name=f"{layer.name}_expand", **common
    )
    reduce.build((None, kernel.shape[0]))
    expand.build((None, rank))
    reduce.set_weights([left])
    expand.set_weights([right, *bias])
    return [reduce, expand]


def split_matrix(matrix: NDArray[np.floating], rank: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split a matrix `[m, n]` into `U·√S`, `[m, rank]`, and `√S·Vᵀ`, `[rank, n]`, of comparable magnitude.

    Args:
        matrix: The matrix to approximate.
        rank: Components to keep, from 1 to min(m, n).

    Returns:
        The two factors.
    """
    u, values, vt = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    root = np.sqrt(values[:rank])
    return (u[:, :rank] * root).astype(np.float32), (root[:, None] * vt[:rank]).astype(np.float32)


def check_rank(name: str, rank: int, full: int) -> None:
    """Refuse a rank outside 1 to `full`.

    Args:
        name: Name of the layer, for the message.
        rank: The rank asked for.
        full: The largest rank possible.

    Raises:
        ModelError: Says which ranks are possible.
    """
    if not 1 <= rank <= full:
        raise ModelError(
            f"The rank of '{name}' must be between 1 and {full}. Received: {rank}. Choose a rank in that range."
        )
