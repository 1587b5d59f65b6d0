"""Which activations of a network a static int8 file stores, and so rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ..graph import Call, Graph

__all__ = ["is_kernel", "stored_activations"]

_KERNELS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_SAME_VALUES = (
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GaussianNoise,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Identity,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.SpatialDropout2D,
    keras.layers.UpSampling2D,
    keras.layers.ZeroPadding2D,
)
"""What moves values without changing them."""
_TAKES_RELU = (*_KERNELS, keras.layers.Add)
"""What TFLite computes together with a ReLU behind it."""


def is_kernel(operation: keras.Operation) -> bool:
    """Whether it is a layer with one kernel that a file stores."""
    return isinstance(operation, _KERNELS)


def stored_activations(graph: Graph, is_stored: Callable[[str], bool]) -> tuple[str, ...]:
    """Names of the layers and operations whose outputs are stored, in the order in which they run.

    Not stored is what a ReLU behind takes up, what only moves values, and the probabilities at the end.

    Args:
        graph: A flat network.
        is_stored: Whether a layer's activations are to be stored in int8 at all.
    """
    readers: dict[int, list[keras.Operation | None]] = {id(tensor): [None] for tensor in graph.outputs}
    for call in graph.calls:
        for tensor in call.inputs:
            readers.setdefault(id(tensor), []).append(call.layer)
    names = (
        call.layer.name
        for call in graph.calls
        if is_stored(call.layer.name) and _is_stored(call, readers.get(id(call.outputs[0]), []))
    )
    return tuple(dict.fromkeys(names))


def _is_stored(call: Call, readers: list[Any]) -> bool:
    operation = call.layer
    if isinstance(operation, _SAME_VALUES) or "float" not in str(call.outputs[0].dtype) or len(call.outputs) != 1:
        return False
    if readers == [None] and not is_kernel(operation):
        return False
    fused = isinstance(operation, _TAKES_RELU) and len(readers) == 1 and _is_relu(readers[0])
    return not fused


def _is_relu(operation: Any) -> bool:
    """Whether TFLite knows it as an activation of the operator before it."""
    if isinstance(operation, keras.layers.ReLU):
        return operation.max_value in (None, 6) and not operation.negative_slope and not operation.threshold
    known = (keras.activations.relu, keras.activations.relu6)
    return isinstance(operation, keras.layers.Activation) and operation.activation in known
