"""Keeping weights shared while a network trains, on any back end: what learns is the codebook.

Deep Compression, section 3.3: the gradient of a shared value is the sum of the gradients of its weights. So it comes out by itself
where the kernel is looked up in a codebook that is a variable, and every optimizer treats a shared value as the one
weight that it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..source import leaves
from ..sparsify.kernels import kernels_of
from .subjects import bias_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Codes", "codes_of", "sharing_kept"]

_MOST_VALUES = 2**16
"""A tensor with more different values shares none; a layer of many channel groups may have thousands."""

_SURELY_SHARED = 256
"""Up to so many values a single repetition tells sharing from chance; beyond, a tenth of the weights has to repeat another."""


@dataclass(frozen=True, eq=False)
class Codes:
    """A tensor of shared weights as codebook and indices.

    Attributes:
        values: Shared values beside zero, `float32 [K]`.
        indices: Of the tensor's shape, `int32`: 0 for a weight that is zero, else 1 + the place of its value.
        signs: ±1 of the tensor's shape where two values ±a share one magnitude; else None.
    """

    values: NDArray[np.float32]
    indices: NDArray[np.int32]
    signs: NDArray[np.float32] | None = None


def codes_of(weights: NDArray[Any]) -> Codes | None:
    """Tell shared weights by their values.

    Weights are shared where values repeat that are not zero: weights that learnt one by one do not meet. Two values ±a share
    their magnitude. A tensor of one value has not learnt yet, and may.

    Args:
        weights: Of any shape.

    Returns:
        Codebook and indices; None where nothing is shared.
    """
    there = weights[weights != 0]
    if not there.size or np.unique(there[: 4 * _MOST_VALUES]).size > _MOST_VALUES:
        return None
    values = np.unique(there)
    enough = there.size - 1 if values.size <= _SURELY_SHARED else int(0.9 * there.size)
    if not 1 < values.size <= min(enough, _MOST_VALUES):
        return None
    signs = None
    if values.size == 2 and values[0] == -values[1]:
        signs, values = np.where(weights < 0, np.float32(-1), np.float32(1)), values[1:]
    places = np.searchsorted(values, weights if signs is None else np.abs(weights))
    return Codes(values.astype(np.float32), np.where(weights == 0, 0, 1 + places).astype(np.int32), signs)


@contextlib.contextmanager
def sharing_kept(model: keras.Model) -> Iterator[keras.Model]:
    """Keep the shared weights of a network shared, and its zeros zero, while a block trains it.

    Kernels and biases whose weights repeat are looked up in codebooks. Their constraints do not apply meanwhile; their
    regularizers do.

    Args:
        model: A built model of one input and one output.

    Yields:
        The model to compile and train: the given one where nothing is shared, else one that computes the same and learns
        codebooks. What it has learnt is in the given model after the block, however the block ends.
    """
    shared = [_Shared(each, codes) for each in _tensors_of(model) if (codes := codes_of(each.numpy())) is not None]
    if not shared:
        yield model
        return
    trainable = [each.variable.trainable for each in shared]
    lookup = _Lookup(model, shared)
    for each in shared:
        each.variable.trainable = False
    try:
        image = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        yield keras.Model(image, lookup(image), name=model.name)
    finally:
        lookup.write()
        for each, learns in zip(shared, trainable, strict=True):
            each.variable.trainable = learns


@dataclass(frozen=True, eq=False)
class _Shared:
    """A tensor of the network, and what is shared in it."""

    variable: keras.Variable
    codes: Codes


class _Lookup(keras.layers.Layer):
    """A network whose shared tensors are looked up in codebooks, which are the layer's own weights."""

    def __init__(self, network: keras.Model, shared: Sequence[_Shared]) -> None:
        super().__init__(name=f"{network.name}_shared")
        self.network, self._shared = network, tuple(shared)
        self._codebooks = [self._weight("codebook", each.codes.values, each.variable.trainable) for each in shared]
        self._indices = [self._weight("indices", each.codes.indices) for each in shared]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The network's output, every shared tensor in the place of its variable."""
        tensors = {
            id(each.variable): _looked_up(codebook, indices, each.codes.signs)
            for codebook, indices, each in zip(self._codebooks, self._indices, self._shared, strict=True)
        }
        state = [(variable, tensors.get(id(variable), variable.value)) for variable in self.network.variables]
        with keras.StatelessScope(state, collect_losses=True) as scope:
            outputs = self.network(inputs, training=training)
        self._keep_state(scope, set(tensors))
        penalties = [each.variable.regularizer(tensors[id(each.variable)]) for each in self._regularized()]
        self.add_loss([*scope.losses, *penalties])
        return outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the network."""
        return tuple(self.network.compute_output_shape(input_shape))

    def write(self) -> None:
        """Put the values that the codebooks have into the network's own tensors."""
        for codebook, each in zip(self._codebooks, self._shared, strict=True):
            tensor = np.concatenate([np.zeros(1, np.float32), codebook.numpy()])[each.codes.indices]
            each.variable.assign(tensor if each.codes.signs is None else tensor * each.codes.signs)

    def _weight(self, name: str, value: NDArray[Any], trainable: bool = False) -> keras.Variable:
        weight = self.add_weight(
            shape=value.shape, initializer="zeros", dtype=value.dtype.name, trainable=trainable, name=name
        )
        weight.assign(value)
        return weight

    def _regularized(self) -> list[_Shared]:
        return [each for each in self._shared if each.variable.regularizer is not None]

    def _keep_state(self, scope: keras.StatelessScope, looked_up: set[int]) -> None:
        """What the network has changed of itself: statistics of batches, the state of random numbers."""
        for variable in self.network.non_trainable_variables:
            if id(variable) not in looked_up:
                variable.assign(scope.get_current_value(variable))


def _looked_up(codebook: keras.Variable, indices: keras.Variable, signs: NDArray[np.float32] | None) -> Any:
    # Padded with the zero that nothing trains: its gradient goes with the padding.
    tensor = keras.ops.take(keras.ops.pad(codebook, [[1, 0]]), indices, axis=0)
    return tensor if signs is None else tensor * signs


def _tensors_of(model: keras.Model) -> list[keras.Variable]:
    """Every kernel, and the biases of layers that have one, each once."""
    kernels = [kernel.variable for kernel in kernels_of(model.layers)]
    biases = {id(bias): bias for layer in leaves(model) if (bias := bias_of(layer)) is not None}
    return [*kernels, *biases.values()]
