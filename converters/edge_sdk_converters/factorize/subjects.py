"""Which layers may be replaced, and why the others may not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from ..cost import layer_macs, macs_between
from ..errors import RecipeError
from .config import RankRule
from .moments import LARGEST_PATCH, is_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..graph import Call, Graph
    from ..latency import LatencyMeter
    from .config import FactorizeConfig

__all__ = ["Subject", "find_subjects"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A layer that may be replaced.

    Attributes:
        layer: The layer.
        calls: Every call of it.
        macs: Multiply-accumulates of one image over all calls.
        parameters: Weights of the layer.
    """

    layer: keras.Layer
    calls: tuple[Call, ...]
    macs: int
    parameters: int

    @classmethod
    def of(cls, layer: keras.Layer, calls: Sequence[Call]) -> Subject:
        """Count what a layer costs."""
        return cls(layer, tuple(calls), sum(map(layer_macs, calls)), int(layer.count_params()))

    def chain_macs(self, layers: Sequence[keras.Layer]) -> int:
        """Multiply-accumulates of layers in sequence in the place of this one, over all calls."""
        return sum(_chain_macs(layers, call) for call in self.calls)

    def chain_ns(self, layers: Sequence[keras.Layer], meter: LatencyMeter) -> float:
        """Measured nanoseconds of layers in sequence in the place of this one, over all calls."""
        return sum(meter.chain_ns(layers, tuple(call.inputs[0].shape[1:])) for call in self.calls)


def find_subjects(graph: Graph, config: FactorizeConfig, *, aware: bool) -> tuple[list[Subject], list[tuple[str, str]]]:
    """Divide the layers with multiply-accumulates into those that may be replaced and the others.

    Args:
        graph: What `trace` returned.
        config: Says which layers to skip, and which have ranks of their own.
        aware: Whether calibration images are used, which bounds the size of a convolution's patch.

    Returns:
        Layers that may be replaced, and names of the others with the reason, both in order of their first call.

    Raises:
        RecipeError: `config.ranks` names a layer that does not exist or cannot be replaced; it would silently do nothing.
        ModelError: The image size is not known.
    """
    last = _output_layers(graph)
    subjects: list[Subject] = []
    kept: dict[str, str] = {}
    for layer in graph.layers:
        calls = [call for call in graph.calls if call.layer is layer]
        if not sum(map(layer_macs, calls)):
            continue
        reason = _unsuitable(layer, aware) or _unwanted(layer, config, last)
        if reason is None:
            subjects.append(Subject.of(layer, calls))
        else:
            kept[layer.name] = reason
    _check_names(config, [subject.layer.name for subject in subjects], kept)
    return subjects, list(kept.items())


def _unsuitable(layer: keras.Layer, aware: bool) -> str | None:
    """Why no recipe could have the layer factorized."""
    if type(layer) not in (keras.layers.Dense, keras.layers.Conv2D):
        return f"a {type(layer).__name__} has no channel product to factorize"
    if isinstance(layer, keras.layers.Dense):
        return None
    if layer.data_format != "channels_last":
        return "its data format is not channels_last"
    if layer.groups > 1:
        return "it is a grouped convolution"
    if aware and not is_matrix(layer) and math.prod(layer.kernel.shape[:-1]) > LARGEST_PATCH:
        return (
            f"its input patch holds more than the {LARGEST_PATCH} values that can be calibrated; use data_aware = false"
        )
    return None


def _unwanted(layer: keras.Layer, config: FactorizeConfig, last: set[int]) -> str | None:
    """Why this recipe leaves the layer alone."""
    if layer.name in config.skip:
        return "skipped by the recipe"
    if layer.name in config.ranks:
        return None
    if config.rank is RankRule.GIVEN:
        return "the recipe gives it no ranks"
    return "it produces the model's output" if id(layer) in last else None


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


def _check_names(config: FactorizeConfig, known: Sequence[str], kept: dict[str, str]) -> None:
    for name in config.ranks:
        if name not in known:
            raise RecipeError(
                f"ranks must name dense layers and convolutions of the model. Received: '{name}' "
                f"({kept.get(name, 'there is no such layer')}). Choose from model.summary()."
            )


def _chain_macs(layers: Sequence[keras.Layer], call: Call) -> int:
    """Multiply-accumulates of layers in sequence on the input of a call."""
    shape, total = call.inputs[0].shape, 0
    for layer in layers:
        output = layer.compute_output_shape(shape)
        total += macs_between(layer, shape, output)
        shape = output
    return total
