"""Factorize every layer of a model that gains by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..cost import layer_macs, macs_between
from ..graph import rebuild, require_layers, trace
from .conv import channel_spectra, factorize_conv, factorize_pointwise
from .dense import factorize_dense
from .rank import rank_for_energy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..graph import Call, Graph
    from .config import FactorizeConfig

__all__ = ["FactorizeResult", "LayerChange", "factorize"]


@dataclass(frozen=True)
class LayerChange:
    """One layer that was replaced by its factors.

    Attributes:
        name: Name of the layer; its factors are called `{name}_reduce`, `{name}_core` and `{name}_expand`.
        kind: "dense", "pointwise" (a 1×1 convolution) or "conv".
        ranks: One rank for "dense" and "pointwise", input and output channel rank for "conv".
        macs_before: Multiply-accumulates of one image through the layer, over all of its calls.
        macs_after: The same through its factors.
    """

    name: str
    kind: str
    ranks: tuple[int, ...]
    macs_before: int
    macs_after: int


@dataclass(frozen=True)
class FactorizeResult:
    """What a factorization pass did.

    Attributes:
        model: The new model, built but not compiled.
        replaced: Layers that were replaced, in order of their first call.
        kept: Names of the other layers with multiply-accumulates, each with the reason.
    """

    model: keras.Model
    replaced: tuple[LayerChange, ...]
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Factors:
    kind: str
    ranks: tuple[int, ...]
    layers: list[keras.Layer]


def factorize(model: keras.Model, config: FactorizeConfig) -> FactorizeResult:
    """Replace dense and convolution layers by low-rank factors wherever that saves enough multiply-accumulates.

    Dense layers and 1×1 convolutions are split by truncated singular value decomposition, other convolutions by Tucker-2
    over their channels (Kim et al., 2015). Each rank is the smallest that keeps `config.energy` of the kernel. The layer
    that produces the model's output, depthwise and grouped convolutions are left alone.

    Args:
        model: A functional or sequential Keras model with known image size. It stays untouched.
        config: Ranks, least saving, and layers to skip.

    Returns:
        The new model and what was done; where nothing gains, the model is a flat copy.

    Raises:
        ModelError: The model has no functional graph, or its image size is not known.
        RecipeError: `config.skip` names a layer that the model does not have.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    last = _output_layers(graph)
    factors: dict[int, _Factors] = {}
    replaced: list[LayerChange] = []
    kept: list[tuple[str, str]] = []
    for layer in graph.layers:
        calls = [call for call in graph.calls if call.layer is layer]
        before = sum(map(layer_macs, calls))
        if before == 0:
            continue
        result = _reason_to_keep(layer, config, last) or _factorize_layer(layer, config)
        after = before if isinstance(result, str) else sum(_macs_of_chain(result.layers, call) for call in calls)
        if isinstance(result, str):
            kept.append((layer.name, result))
        elif after > (1 - config.min_saving) * before:
            saving = 1 - after / before
            kept.append((layer.name, f"ranks {result.ranks} save {saving:.0%}, less than {config.min_saving:.0%}"))
        else:
            factors[id(layer)] = result
            replaced.append(LayerChange(layer.name, result.kind, result.ranks, before, after))
    smaller = rebuild(graph, lambda layer: factors[id(layer)].layers if id(layer) in factors else None)
    return FactorizeResult(smaller, tuple(replaced), tuple(kept))


def _output_layers(graph: Graph) -> set[int]:
    """Layers with weights that produce the output, seen through activations and the like behind them."""
    makers = {id(tensor): call for call in graph.calls for tensor in call.outputs}
    found: set[int] = set()
    pending = list(graph.outputs)
    while pending:
        call = makers.get(id(pending.pop()))
        if call is not None and getattr(call.layer, "weights", None):
            found.add(id(call.layer))
        elif call is not None:
            pending.extend(call.inputs)
    return found


def _reason_to_keep(layer: keras.Layer, config: FactorizeConfig, last: set[int]) -> str | None:
    if layer.name in config.skip:
        return "skipped by the recipe"
    if type(layer) not in (keras.layers.Dense, keras.layers.Conv2D):
        return f"a {type(layer).__name__} has no channel product to factorize"
    if id(layer) in last:
        return "it produces the model's output"
    if isinstance(layer, keras.layers.Conv2D) and layer.data_format != "channels_last":
        return "its data format is not channels_last"
    if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
        return "it is a grouped convolution"
    return None


def _factorize_layer(layer: keras.Layer, config: FactorizeConfig) -> _Factors | str:
    """Factors at the ranks that keep the energy, or why there are none."""
    kernel = layer.get_weights()[0]
    if isinstance(layer, keras.layers.Dense) or set(layer.kernel_size) == {1}:
        matrix = kernel.reshape(kernel.shape[-2:])
        rank = rank_for_energy(np.linalg.svd(matrix, compute_uv=False), config.energy, multiple=config.multiple)
        if isinstance(layer, keras.layers.Dense):
            return _Factors("dense", (rank,), factorize_dense(layer, rank))
        return _Factors("pointwise", (rank,), factorize_pointwise(layer, rank))
    spectra = channel_spectra(kernel)
    rank_in, rank_out = (rank_for_energy(values, config.energy, multiple=config.multiple) for values in spectra)
    positions = math.prod(layer.kernel_size)  # more channels on one side than these could not be told apart
    rank_in, rank_out = min(rank_in, positions * rank_out), min(rank_out, positions * rank_in)
    if (rank_in, rank_out) == kernel.shape[-2:]:
        return "its energy needs the full ranks"
    return _Factors("conv", (rank_in, rank_out), factorize_conv(layer, rank_in, rank_out))


def _macs_of_chain(layers: Sequence[keras.Layer], call: Call) -> int:
    """Multiply-accumulates of layers in sequence on the input of a call."""
    shape, total = call.inputs[0].shape, 0
    for layer in layers:
        output = layer.compute_output_shape(shape)
        total += macs_between(layer, shape, output)
        shape = output
    return total
