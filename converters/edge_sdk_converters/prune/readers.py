"""Where channels are mixed: the layers that read units with weights of their own for each input channel.

A unit is gone for good once nothing that reads it sees it; between its maker and its readers every channel is treated
alone. So what a unit is worth can be said entirely by what its readers get.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from .rules import PRODUCERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Call
    from .channels import Analysis

__all__ = ["Reader", "input_axis", "kernel_of", "readers"]


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads removable units.

    Attributes:
        layer: Convolution or dense layer, as it is in the graph.
        calls: Every call of it.
        units: The unit of each input channel, `int64 [channels]`, -1 for one that has to stay; at every call the same.
    """

    layer: keras.Layer
    calls: tuple[Call, ...]
    units: NDArray[np.int64]


def readers(analysis: Analysis) -> tuple[Reader, ...]:
    """List the layers that read removable units, in order of their first call.

    Args:
        analysis: What can be removed.
    """
    calls: dict[int, list[Call]] = {}
    for call in analysis.graph.calls:
        if isinstance(call.layer, PRODUCERS) and call.inputs and (analysis.units[id(call.inputs[0])] >= 0).any():
            calls.setdefault(id(call.layer), []).append(call)
    return tuple(Reader(each[0].layer, tuple(each), analysis.units[id(each[0].inputs[0])]) for each in calls.values())


def kernel_of(layer: keras.Layer) -> NDArray[np.float64]:
    """The linear map of a layer, without its bias.

    Args:
        layer: Dense, convolution, transposed or separable convolution.

    Returns:
        `float64 [positions of the kernel, input channels, output channels]`.
    """
    weights = [np.asarray(weight, np.float64) for weight in layer.get_weights()]
    if isinstance(layer, keras.layers.SeparableConv2D):
        depth = weights[0].reshape(-1, *weights[0].shape[-2:])
        point = weights[1].reshape(*weights[0].shape[-2:], -1)
        product: NDArray[np.float64] = np.einsum("kcm,cmo->kco", depth, point)
        return product
    kernel = weights[0].reshape(-1, *weights[0].shape[-2:])
    return kernel.swapaxes(1, 2) if isinstance(layer, keras.layers.Conv2DTranspose) else kernel


def input_axis(layer: keras.Layer) -> int:
    """The axis of a layer's first weight along which its input channels run."""
    return -1 if isinstance(layer, keras.layers.Conv2DTranspose) else -2
