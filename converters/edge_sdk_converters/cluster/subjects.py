"""What a layer has that can be shared, and what sharing makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..sparsify.kernels import kernels_of
from .codebook import binary_values, shared_values
from .config import ClusterConfig, Form
from .kernels import shared_kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..sparsify.kernels import Kernel

__all__ = ["Subject", "bias_of", "subjects_of"]

_OUTPUT_AXIS = {-2: -1, -1: -2, None: -2}
"""Where a kernel has its output channels, by where it has those that a product sums over."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A layer whose weights are to be shared.

    Attributes:
        name: Name of the layer.
        kernels: Its kernels; two for a separable convolution.
        bias: Its bias, where biases are shared too.
    """

    name: str
    kernels: tuple[Kernel, ...]
    bias: keras.Variable | None

    @property
    def tensors(self) -> tuple[keras.Variable, ...]:
        """Every tensor that is shared: the kernels, then the bias."""
        return (*(kernel.variable for kernel in self.kernels), *(() if self.bias is None else (self.bias,)))

    def values(self) -> tuple[NDArray[np.float32], ...]:
        """What the tensors hold."""
        return tuple(np.asarray(tensor.numpy(), np.float32) for tensor in self.tensors)

    def assign(self, values: Sequence[NDArray[np.float32]]) -> None:
        """Put values into the tensors."""
        for tensor, value in zip(self.tensors, values, strict=True):
            tensor.assign(value)

    def shared(self, count: int, config: ClusterConfig) -> tuple[NDArray[np.float32], ...]:
        """What the tensors become.

        Args:
            count: Shared values of each codebook of the kernels, beside zero.
            config: What is shared, and where k-means begins.
        """
        kernels = [_shared_kernel(kernel, count, config) for kernel in self.kernels]
        if self.bias is None:
            return tuple(kernels)
        return (*kernels, shared_values(self.bias.numpy(), 2**config.bias_bits, config.init, config.seed))


def subjects_of(layers: Iterable[keras.Layer], config: ClusterConfig) -> tuple[Subject, ...]:
    """Every layer that has a kernel and is not skipped.

    Args:
        layers: Built leaf layers.
        config: Which are skipped, and whether biases are shared.
    """
    found = ((layer, kernels_of([layer])) for layer in layers if layer.name not in config.skip)
    return tuple(
        Subject(layer.name, kernels, bias_of(layer) if config.bias_bits else None)
        for layer, kernels in found
        if kernels
    )


def bias_of(layer: keras.Layer) -> keras.Variable | None:
    """The bias of a layer that has a kernel, or of the layer that it wraps; None where there is none."""
    if isinstance(layer, keras.layers.Wrapper):
        return bias_of(layer.layer)
    return layer.bias if kernels_of([layer]) and layer.use_bias else None


def _shared_kernel(kernel: Kernel, count: int, config: ClusterConfig) -> NDArray[np.float32]:
    """One kernel, in groups of output channels that have a codebook each."""
    weights, axis = kernel.variable.numpy(), _OUTPUT_AXIS[kernel.axis]
    step = config.group or weights.shape[axis]
    parts = np.split(weights, range(step, weights.shape[axis], step), axis=axis)
    return np.concatenate([_shared_part(part, count, config) for part in parts], axis=axis)


def _shared_part(weights: NDArray[Any], count: int, config: ClusterConfig) -> NDArray[np.float32]:
    if config.form is Form.BINARY:
        return binary_values(weights)
    spatial = weights.ndim > 2 and any(side > 1 for side in weights.shape[:-2])
    share = shared_kernels if config.form is Form.KERNELS and spatial else shared_values
    return share(weights, count, config.init, config.seed)
