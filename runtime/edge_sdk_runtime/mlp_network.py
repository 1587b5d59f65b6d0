"""A network as one vector of numbers, with its forward and backward pass and Adam's step: what training in NumPy is made of.

All memory is taken beforehand and every operation works in place, since on small networks the calls cost more than the sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .mlp import MlpHead

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Adam", "Network", "Parameters"]

_MOMENTUM, _SQUARES, _EPSILON = 0.9, 0.999, 1e-7
"""Adam's β₁ and β₂, and what keeps its quotient finite."""


class Parameters:
    """Kernels and biases as views of one vector, kernels first: a step is a few operations however deep the network is."""

    def __init__(self, widths: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.widths = tuple(widths)
        shapes = list(pairwise(widths))
        self.kernel_size = sum(math.prod(shape) for shape in shapes)
        self.flat = np.zeros(self.kernel_size + sum(widths[1:]), dtype)
        parts = iter(np.split(self.flat, np.cumsum([*(math.prod(shape) for shape in shapes), *widths[1:]])[:-1]))
        self.kernels = [next(parts).reshape(shape) for shape in shapes]
        self.biases = list(parts)

    @classmethod
    def like(cls, head: MlpHead, dtype: np.dtype[Any]) -> Parameters:
        """A copy of a head's numbers."""
        parameters = cls((head.inputs, *(kernel.shape[1] for kernel in head.kernels)), dtype)
        for into, values in zip((*parameters.kernels, *parameters.biases), (*head.kernels, *head.biases), strict=True):
            into[...] = values
        return parameters

    def head(self) -> MlpHead:
        """The network as a head, with arrays of its own."""
        return MlpHead(tuple(each.copy() for each in self.kernels), tuple(each.copy() for each in self.biases))


class Network:
    """Forward and backward pass of at most `rows` examples, all memory taken beforehand."""

    def __init__(self, parameters: Parameters, rows: int) -> None:
        dtype = parameters.flat.dtype
        self.gradient = Parameters(parameters.widths, dtype)
        self._kernels, self._biases = parameters.kernels, parameters.biases
        self._outputs = [np.empty((rows, width), dtype) for width in parameters.widths[1:]]
        self._errors = [np.empty_like(output) for output in self._outputs]
        self._index = np.arange(rows)

    def forward(self, x: NDArray[np.floating[Any]]) -> None:
        """Compute every layer; the last one's scores are shifted so that the largest is 0."""
        rows, last = len(x), len(self._kernels) - 1
        for layer, (kernel, bias) in enumerate(zip(self._kernels, self._biases, strict=True)):
            x = np.matmul(x, kernel, out=self._outputs[layer][:rows])
            x += bias
            if layer < last:
                np.maximum(x, 0, out=x)
        x -= x.max(axis=1, keepdims=True)

    def losses(self, targets: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Cross-entropy of every example after `forward`, `[N]`."""
        rows = len(targets)
        scores, powers = self._outputs[-1][:rows], self._errors[-1][:rows]
        np.exp(scores, out=powers)
        losses: NDArray[np.floating[Any]] = np.log(powers.sum(axis=1)) - scores[self._index[:rows], targets]
        return losses

    def backward(
        self,
        x: NDArray[np.floating[Any]],
        targets: NDArray[np.int64],
        weights: NDArray[np.floating[Any]] | None,
    ) -> None:
        """Gradient of the mean loss after `forward`, by the weights."""
        rows = len(x)
        error = np.exp(self._outputs[-1][:rows], out=self._errors[-1][:rows])
        error /= error.sum(axis=1, keepdims=True)
        error[self._index[:rows], targets] -= 1
        error *= 1 / rows if weights is None else (weights / rows)[:, np.newaxis]
        for layer in range(len(self._kernels) - 1, -1, -1):
            below = self._outputs[layer - 1][:rows] if layer else x
            np.matmul(below.T, error, out=self.gradient.kernels[layer])
            np.add.reduce(error, axis=0, out=self.gradient.biases[layer])
            if layer:
                error = np.matmul(error, self._kernels[layer].T, out=self._errors[layer - 1][:rows])
                error *= below > 0


class Adam:
    """Adam with decoupled weight decay, in place on one vector of parameters.

    Args:
        parameters: What is learnt.
        learning_rate: Size of a step, about; above 0.
        weight_decay: A step shrinks the kernels by this share of the learning rate, as in Keras's AdamW.
    """

    def __init__(self, parameters: Parameters, learning_rate: float, weight_decay: float) -> None:
        self._flat, self._kernels = parameters.flat, parameters.flat[: parameters.kernel_size]
        self._mean, self._square, self._scratch = (np.zeros_like(parameters.flat) for _ in range(3))
        self._rate, self._decay, self._steps = learning_rate, weight_decay, 0

    def step(self, gradient: NDArray[np.float32], schedule: float) -> None:
        """Follow a gradient; `schedule` scales the step and the decay."""
        self._steps += 1
        scratch = np.multiply(gradient, 1 - _MOMENTUM, out=self._scratch)
        self._mean *= _MOMENTUM
        self._mean += scratch
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - _SQUARES
        self._square *= _SQUARES
        self._square += scratch
        np.sqrt(self._square, out=scratch)
        scratch *= (1 - _SQUARES**self._steps) ** -0.5
        scratch += _EPSILON
        np.divide(self._mean, scratch, out=scratch)
        scratch *= schedule * self._rate / (1 - _MOMENTUM**self._steps)
        self._kernels *= 1 - schedule * self._rate * self._decay
        self._flat -= scratch
