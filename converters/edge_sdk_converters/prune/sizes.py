"""What a pruned network would cost, counted from the channels that stay without building it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..cost import layer_macs
from .channels import stays
from .rules import PRODUCERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..graph import Call
    from .channels import Analysis

__all__ = ["count_pruned_macs", "count_pruned_parameters", "savings"]


def count_pruned_parameters(analysis: Analysis, removed: NDArray[np.bool_]) -> int:
    """Count the weights that remain, as `count_parameters` would on the shrunk model.

    Args:
        analysis: What can be removed.
        removed: Which units go, `bool [analysis.count]`.
    """
    first = {id(call.layer): call for call in reversed(analysis.graph.calls) if isinstance(call.layer, keras.Layer)}
    return sum(_parameters(call, *_sides(analysis, call, removed)) for call in first.values())


def count_pruned_macs(analysis: Analysis, removed: NDArray[np.bool_]) -> int:
    """Count the multiply-accumulates that remain, as `count_macs` would on the shrunk model.

    Args:
        analysis: What can be removed.
        removed: Which units go, `bool [analysis.count]`.

    Raises:
        ModelError: A size that the count needs is not known.
    """
    return sum(_macs(call, *_sides(analysis, call, removed)) for call in analysis.graph.calls)


def savings(analysis: Analysis, count: Callable[[Analysis, NDArray[np.bool_]], int]) -> NDArray[np.float64]:
    """What the removal of each unit alone would save; units of the same layers save alike.

    Args:
        analysis: What can be removed.
        count: `count_pruned_parameters` or `count_pruned_macs`.

    Returns:
        `float64 [analysis.count]`, 1 or more.
    """
    makers: list[list[int]] = [[] for _ in range(analysis.count)]
    for index, producer in enumerate(analysis.producers):
        for unit in producer.units[producer.units >= 0].tolist():
            makers[unit].append(index)
    whole = count(analysis, np.zeros(analysis.count, np.bool_))
    known: dict[tuple[int, ...], int] = {}
    for unit, group in enumerate(map(tuple, makers)):
        if group not in known:
            known[group] = max(whole - count(analysis, np.arange(analysis.count) == unit), 1)
    return np.array([known[tuple(group)] for group in makers], np.float64)


def _sides(analysis: Analysis, call: Call, removed: NDArray[np.bool_]) -> tuple[_Side, _Side]:
    """What stays of a call's input and output channels; all of it where it has none."""
    tensors = (*call.inputs[:1], *call.outputs[:1])
    found = [_Side(stays(analysis.units[id(tensor)], removed)) for tensor in tensors]
    return (found[0], found[-1]) if found else (_Side(np.ones(1, np.bool_)),) * 2


class _Side:
    """Channels before and after pruning, to scale whole counts by exactly."""

    def __init__(self, kept: NDArray[np.bool_]) -> None:
        self.all, self.kept = max(len(kept), 1), int(kept.sum()) if len(kept) else 1

    def of(self, count: int) -> int:
        """The part of a count along all channels that remains along those that stay."""
        return count * self.kept // self.all if self.kept < self.all else count


def _parameters(call: Call, before: _Side, behind: _Side) -> int:
    kernels = 2 if isinstance(call.layer, keras.layers.SeparableConv2D) else 1
    total = 0
    for index, weight in enumerate(call.layer.weights):
        size = math.prod(weight.shape)
        if isinstance(call.layer, (*PRODUCERS, keras.layers.DepthwiseConv2D)) and index < kernels:
            mixing = isinstance(call.layer, PRODUCERS) and index == kernels - 1
            total += behind.of(before.of(size)) if mixing else before.of(size)
        else:  # biases, batch normalisation and PReLU run along the output's channels
            total += behind.of(size)
    return total


def _macs(call: Call, before: _Side, behind: _Side) -> int:
    macs, layer = layer_macs(call), call.layer
    if isinstance(layer, keras.layers.SeparableConv2D):
        area = math.prod(layer.kernel_size)
        places = macs // (area + layer.filters)
        return before.of(places) * (area + behind.of(int(layer.filters)))
    if isinstance(layer, PRODUCERS):
        return behind.of(before.of(macs))
    return before.of(macs)
