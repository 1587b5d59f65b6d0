"""Remove the channels that matter least from a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..graph import require_layers, trace
from .calibration import draw
from .channels import analyze, require_known, stays
from .contributions import refit
from .criteria.criterion import require_images
from .criteria.table import CRITERIA
from .rebuild import shrink
from .search import choose_within, priced
from .select import choose_units

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..learning import LearningData
    from .channels import Analysis
    from .config import PruneConfig
    from .search import ModelMeter

__all__ = ["LayerWidth", "PruneResult", "prune", "widths_without"]


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
        latency_ns: Median time of one image before and after, nanoseconds; None where no latency was limited.
    """

    model: keras.Model
    layers: tuple[LayerWidth, ...]
    frozen: tuple[tuple[str, str], ...]
    latency_ns: tuple[float, float] | None = None


def prune(
    model: keras.Model, config: PruneConfig, data: LearningData | None = None, meter: ModelMeter | None = None
) -> PruneResult:
    """Remove the least important channels of a model, so that its tensors get smaller.

    Structured pruning: whole filters and neurons go, with everything that depends on them. Channels that meet in an
    addition go together; what has to stay is reported.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched.
        config: How many channels go, judged how, and what has to stay.
        data: Images for the criteria that judge by them, and for a limit on accuracy; None is enough for the others.
        meter: Measures latency where the budget limits it; the interpreter at hand where None.

    Returns:
        A model that computes what the original would with those channels masked, and what was done. Under
        `Criterion.THINET` the layers that read the remaining channels are rescaled as well.

    Raises:
        ModelError: The model has no functional graph, a layer of a kind that is not known (see `Unknown`), no channel
            that could be removed, or takes other images.
        RecipeError: `config.skip` names a layer that the model does not have, or `data` is missing.
        BudgetError: The budget cannot be met.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    analysis = analyze(graph, config.skip)
    require_known(analysis, config.unknown)
    if analysis.count == 0:
        raise ModelError(_nothing_removable(model.name, analysis))
    criterion = CRITERIA[config.criterion]
    calibration = draw(data.train, graph, config.samples, config.seed) if data and criterion.needs_images else None
    scores = criterion.scores(analysis, calibration)
    meter = _meter(config, meter)
    removed = _choose(analysis, scores, config, data, meter)
    if criterion.refits:
        refit(analysis, removed, require_images(calibration, config.criterion.value))
    pruned = shrink(analysis, removed)
    latency_ns = (meter.model_ns(model), meter.model_ns(pruned)) if meter else None
    return PruneResult(pruned, widths_without(analysis, removed), analysis.frozen, latency_ns)


def widths_without(analysis: Analysis, removed: NDArray[np.bool_]) -> tuple[LayerWidth, ...]:
    """The width of every layer that makes channels when some units are gone.

    Args:
        analysis: What can be removed.
        removed: Which units go, `bool [analysis.count]`.

    Returns:
        In order of the layers' first calls.
    """
    return tuple(
        LayerWidth(producer.layer.name, len(producer.units), int(stays(producer.units, removed).sum()))
        for producer in analysis.producers
    )


def _meter(config: PruneConfig, meter: ModelMeter | None) -> ModelMeter | None:
    """What measures latency, where the budget limits it."""
    if config.budget is None or config.budget.latency is None:
        return None
    if meter is None:
        from ..latency import LatencyMeter

        return LatencyMeter()
    return meter


def _choose(
    analysis: Analysis,
    scores: NDArray[np.float64],
    config: PruneConfig,
    data: LearningData | None,
    meter: ModelMeter | None,
) -> NDArray[np.bool_]:
    if config.budget is None:
        return choose_units(analysis, scores, config)
    ranked = priced(analysis, scores, config.budget, CRITERIA[config.criterion].estimates_loss)
    return choose_within(analysis, ranked, config, config.budget, data.validation if data else None, meter)


def _nothing_removable(name: str, analysis: Analysis) -> str:
    reasons = (
        "; ".join(f"'{layer}' stays, {reason}" for layer, reason in analysis.frozen[:3]) or "no convolution or dense"
    )
    return (
        f"Pruning needs a channel that can be removed. Received: '{name}', where {reasons}. "
        "Leave pruning out of the recipe for this model."
    )
