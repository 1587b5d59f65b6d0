"""Remove the channels that matter least from a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..graph import require_layers, trace
from .channels import analyze, stays
from .criteria import CRITERIA
from .rebuild import shrink
from .select import choose_units

if TYPE_CHECKING:
    import keras

    from .channels import Analysis
    from .config import PruneConfig

__all__ = ["LayerWidth", "PruneResult", "prune"]


@dataclass(frozen=True)
class LayerWidth:
    """Output channels of one layer.

    Attributes:
        name: Name of the layer.
        channels_before: Output channels of the original.
        channels_after: Output channels that remain.
    """

    name: str
    channels_before: int
    channels_after: int


@dataclass(frozen=True)
class PruneResult:
    """What a pruning pass did.

    Attributes:
        model: The smaller model, built but not compiled.
        layers: Width of every layer that makes channels, in order of its first call.
        frozen: Names of layers whose channels all had to stay, each with the reason.
    """

    model: keras.Model
    layers: tuple[LayerWidth, ...]
    frozen: tuple[tuple[str, str], ...]


def prune(model: keras.Model, config: PruneConfig) -> PruneResult:
    """Remove the least important channels of a model, so that its tensors get smaller.

    Structured pruning: whole filters and neurons go, with everything that depends on them. Channels that meet in an
    addition go together; what pruning cannot look into keeps its channels and is reported.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched.
        config: How many channels go, judged how, and what has to stay.

    Returns:
        A model that computes what the original would with those channels masked, and what was done.

    Raises:
        ModelError: The model has no functional graph, or no channel that could be removed.
        RecipeError: `config.skip` names a layer that the model does not have.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    analysis = analyze(graph, config.skip)
    if analysis.count == 0:
        raise ModelError(_nothing_removable(model.name, analysis))
    removed = choose_units(analysis, CRITERIA[config.criterion].scores(analysis), config)
    widths = [
        LayerWidth(producer.layer.name, len(producer.units), int(stays(producer.units, removed).sum()))
        for producer in analysis.producers
    ]
    return PruneResult(shrink(analysis, removed), tuple(widths), analysis.frozen)


def _nothing_removable(name: str, analysis: Analysis) -> str:
    reasons = (
        "; ".join(f"'{layer}' stays, {reason}" for layer, reason in analysis.frozen[:3]) or "no convolution or dense"
    )
    return (
        f"Pruning needs a channel that can be removed. Received: '{name}', where {reasons}. "
        "Leave pruning out of the recipe for this model."
    )
