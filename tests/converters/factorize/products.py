"""Layers with weights, what they compute, and the kernel that factors multiply to: written once more, independently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from edge_sdk_converters.factorize.kinds import KINDS
from edge_sdk_converters.factorize.methods import build_factors
from edge_sdk_converters.factorize.moments import Moments, collect_moments
from edge_sdk_converters.factorize.target import Target
from edge_sdk_converters.graph import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_sdk_converters.factorize.methods import Factorization, Ranks

__all__ = ["OPTIONS", "batch_for", "built", "layer_for", "moments_of", "product_of", "through", "way_for"]

OPTIONS: tuple[dict[str, Any], ...] = (
    {"strides": 2, "padding": "same"},
    {"padding": "valid"},
    {"dilation_rate": 2, "padding": "same", "use_bias": False},
    {"strides": 2, "padding": "valid", "use_bias": False},
    {"padding": "same", "activation": "relu"},
)


def layer_for(kind: str, seed: int, channels: int, filters: int, options: dict[str, Any]) -> keras.Layer:
    """A built layer with random weights that the way of this name suits."""
    if kind == "dense":
        kept = {key: value for key, value in options.items() if key in ("use_bias", "activation")}
        layer = layers.Dense(filters, name="layer", **kept)
    else:
        kept = {key: value for key, value in options.items() if kind != "pointwise" or key != "dilation_rate"}
        layer = layers.Conv2D(filters, 1 if kind == "pointwise" else (3, 2), name="layer", **kept)
    layer.build((None, 7, 6, channels))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, 0.5, weight.shape).astype(np.float32) for weight in layer.get_weights()])
    return layer


def batch_for(seed: int, channels: int, count: int = 12) -> NDArray[np.float32]:
    """Inputs `[count, 7, 6, channels]` with a mean, and with channels that vary together."""
    rng = np.random.default_rng(seed + 1)
    mixing = rng.normal(size=(channels, channels)) * np.geomspace(1, 0.02, channels)
    return (rng.normal(size=(count, 7, 6, channels)) @ mixing + rng.normal(size=channels)).astype(np.float32)


def moments_of(layer: keras.Layer, batch: NDArray[np.float32]) -> Moments:
    """What the layer sees when every position of every image is looked at."""
    image = keras.Input(batch.shape[1:])
    copy = type(layer).from_config(layer.get_config())
    graph = trace(keras.Model(image, copy(image)))
    graph.layers[0].set_weights(layer.get_weights())
    return collect_moments(graph, graph.layers, batch)[id(graph.layers[0])]


def way_for(kind: str, layer: keras.Layer, moments: Moments | None = None, seed: int = 0) -> Factorization:
    return next(each for each in KINDS if each.kind == kind)(Target(layer, moments), seed)


def built(way: Factorization, ranks: Ranks) -> list[keras.Layer]:
    """The layers of a product at some ranks."""
    return build_factors(type(way), way.target.layer, ranks, way.factors(ranks))  # type: ignore[attr-defined]


def through(chain: Sequence[keras.Layer], batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """What layers make of inputs, one after the other."""
    x = keras.ops.convert_to_tensor(batch)
    for layer in chain:
        x = layer(x)
    return np.asarray(keras.ops.convert_to_numpy(x))


def product_of(chain: Sequence[keras.Layer]) -> NDArray[np.float64]:
    """The kernel `[height, width, in, out]` of linear layers in sequence, strides of all but one being 1 along each axis."""
    total = None
    for layer in chain:
        kernel = np.asarray(layer.get_weights()[0], np.float64)
        kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
        if isinstance(layer, layers.DepthwiseConv2D):
            kernel = kernel[..., 0][:, :, :, None] * np.eye(kernel.shape[2])
        total = kernel if total is None else _convolved(total, kernel)
    assert total is not None
    return total


def _convolved(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (a + b - 1 for a, b in zip(first.shape[:2], second.shape[:2], strict=True))
    total = np.zeros((height, width, first.shape[2], second.shape[3]))
    for row, column in np.ndindex(first.shape[:2]):
        for down, right in np.ndindex(second.shape[:2]):
            total[row + down, column + right] += first[row, column] @ second[down, right]
    return total
