"""Factorize every layer of a model that gains by it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..budget import Budget
from ..cost import count_parameters, layer_macs
from ..errors import RecipeError
from ..graph import rebuild, require_layers, trace
from ..source import accuracy
from .config import RankRule
from .menu import menu_for
from .moments import collect_moments
from .search import Bench, Whole, search
from .subjects import find_subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..graph import Graph
    from ..latency import LatencyMeter
    from ..learning import LearningData, Told
    from .config import FactorizeConfig
    from .menu import Menu, Option
    from .moments import Moments
    from .search import Selection
    from .subjects import Subject

__all__ = ["FactorizeResult", "LayerChange", "ModelLatency", "factorize"]

_BUDGET = Budget(accuracy_drop=0.01)
"""What rank auto meets where no budget is given."""


@dataclass(frozen=True)
class LayerChange:
    """One layer that was replaced by its factors.

    Attributes:
        name: Name of the layer; its factors are called `{name}_reduce`, `{name}_core` and `{name}_expand`, those of a spatial
            pair `{name}_vertical` and `{name}_horizontal`.
        kind: "dense", "pointwise" (a 1×1 convolution), "tucker", "spatial" or "cp".
        ranks: Input and output channel rank for "tucker", one rank for the others.
        macs_before: Multiply-accumulates of one image through the layer, over all of its calls.
        macs_after: The same through its factors.
        parameters_before: Weights of the layer.
        parameters_after: Weights of its factors.
        error: Mean square of what the layer's output loses, as a share of its own: on the calibration images, or without any the
            relative squared error of the kernel.
        ns_before: Measured nanoseconds of one image through the layer, over all of its calls; None where not measured.
        ns_after: The same through its factors.
    """

    name: str
    kind: str
    ranks: tuple[int, ...]
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    error: float
    ns_before: float | None = None
    ns_after: float | None = None


@dataclass(frozen=True)
class ModelLatency:
    """Time of one image through the whole model, as float32 .tflite.

    Attributes:
        before_ns: Measured, before the pass.
        predicted_ns: What remains of it by what was measured of single layers.
        after_ns: Measured, after the pass.
    """

    before_ns: float
    predicted_ns: float
    after_ns: float


@dataclass(frozen=True)
class FactorizeResult:
    """What a factorization pass did.

    Attributes:
        model: The new model, built but not compiled.
        replaced: Layers that were replaced, in order of their first call.
        kept: Names of the other layers with multiply-accumulates, each with the reason.
        latency: Predicted and measured time, where the configuration asks for latency; else None.
    """

    model: keras.Model
    replaced: tuple[LayerChange, ...]
    kept: tuple[tuple[str, str], ...]
    latency: ModelLatency | None = None


def factorize(
    model: keras.Model,
    config: FactorizeConfig,
    data: LearningData | None = None,
    meter: LatencyMeter | None = None,
    told: Told | None = None,
) -> FactorizeResult:
    """Replace dense and convolution layers by low-rank factors wherever that saves enough multiply-accumulates.

    Dense layers and 1×1 convolutions are split by truncated singular value decomposition, other convolutions by Tucker-2,
    into spatial pairs or by CP. With calibration images the factors are those that change the layer's *output* least. The layer
    that produces the model's output is only factorized where `config.ranks` names it; depthwise and grouped convolutions
    are left alone.

    Args:
        model: A functional or sequential Keras model with known image size. It stays untouched.
        config: Methods, ranks or budget, least saving, and layers to skip.
        data: Training images to calibrate on, and validation images to measure accuracy on; needed where the configuration
            asks for either.
        meter: Measures latency where the configuration asks for it; None makes one.
        told: Told how many layers have been looked into, and of how many.

    Returns:
        The new model and what was done; where nothing gains, the model is a flat copy.

    Raises:
        ModelError: The model has no functional graph, its image size is not known, or the images do not have it.
        RecipeError: The configuration names a layer that the model does not have or that cannot have the ranks given, or needs
            data that is not there.
        BudgetError: The budget cannot be met; says which limit binds, and the best that was reached.
    """
    budget = (config.budget or _BUDGET) if config.rank is RankRule.AUTO else None
    _check_data(config, budget, data)
    graph = trace(model)
    require_layers(graph, config.skip)
    aware = config.data_aware is not False and data is not None
    subjects, kept = find_subjects(graph, config, aware=aware)
    moments = _calibrate(graph, subjects, config, data) if aware and data is not None else {}
    meter = _meter(config, budget, meter)
    menus = []
    for done, subject in enumerate(subjects, 1):
        menus.append(menu_for(subject, config, moments.pop(id(subject.layer), None), meter))
        if told:
            told("factorize", done, len(subjects))
    selection = _select(model, graph, menus, budget, data, meter)
    return _result(model, graph, menus, selection, kept, meter)


def _check_data(config: FactorizeConfig, budget: Budget | None, data: LearningData | None) -> None:
    if data is None and config.data_aware:
        raise RecipeError(
            "data_aware = true needs training images to calibrate on. Received: none. Pass data, or leave it out."
        )
    if budget is not None and budget.accuracy_drop is not None and (data is None or not len(data.validation.y)):
        raise RecipeError(
            "A budget on accuracy_drop needs validation images to measure it on. Received: none. "
            "Pass data, or write budget = { macs = 0.5 }."
        )


def _calibrate(
    graph: Graph, subjects: Sequence[Subject], config: FactorizeConfig, data: LearningData
) -> dict[int, Moments]:
    images = data.train.x
    if len(images) > config.samples:
        chosen = np.random.default_rng(config.seed).choice(len(images), config.samples, replace=False)
        images = images[np.sort(chosen)]
    return collect_moments(graph, [subject.layer for subject in subjects], images, seed=config.seed)


def _meter(config: FactorizeConfig, budget: Budget | None, given: LatencyMeter | None) -> LatencyMeter | None:
    """The meter, where the configuration asks for time."""
    if not config.latency and (budget is None or budget.latency is None):
        return None
    if given is not None:
        return given
    from ..latency import LatencyMeter

    return LatencyMeter()


def _select(
    model: keras.Model,
    graph: Graph,
    menus: Sequence[Menu],
    budget: Budget | None,
    data: LearningData | None,
    meter: LatencyMeter | None,
) -> Selection:
    if budget is None:
        return tuple(menu.options[0] if menu.options else None for menu in menus)
    whole = Whole(
        sum(map(layer_macs, graph.calls)), count_parameters(model), None if meter is None else meter.model_ns(model)
    )
    validation = None if data is None or budget.accuracy_drop is None else data.validation
    bench = Bench(
        partial(_build, graph, menus),
        None if validation is None else lambda smaller: accuracy(smaller, validation),
        None if meter is None else lambda smaller: _ratio(meter.models_ns([model, smaller])),
    )
    return search(menus, budget, whole, bench, 0.0 if validation is None else accuracy(model, validation))


def _ratio(times: Sequence[float]) -> float:
    return times[1] / times[0]


def _build(graph: Graph, menus: Sequence[Menu], selection: Selection) -> keras.Model:
    chosen = {id(menu.subject.layer): option for menu, option in zip(menus, selection, strict=True) if option}
    return rebuild(graph, lambda layer: chosen[id(layer)].layers() if id(layer) in chosen else None)


def _result(
    model: keras.Model,
    graph: Graph,
    menus: Sequence[Menu],
    selection: Selection,
    kept: Sequence[tuple[str, str]],
    meter: LatencyMeter | None,
) -> FactorizeResult:
    smaller = _build(graph, menus, selection)
    replaced = tuple(_change(menu, option) for menu, option in zip(menus, selection, strict=True) if option)
    reasons = dict(kept) | {
        menu.subject.layer.name: menu.reason or "the budget is met without it"
        for menu, option in zip(menus, selection, strict=True)
        if option is None
    }
    latency = None if meter is None else _latency(model, smaller, replaced, meter)
    in_order = tuple((layer.name, reasons[layer.name]) for layer in graph.layers if layer.name in reasons)
    return FactorizeResult(smaller, replaced, in_order, latency)


def _change(menu: Menu, option: Option) -> LayerChange:
    subject = menu.subject
    return LayerChange(
        subject.layer.name,
        option.way.kind,
        option.ranks,
        subject.macs,
        option.macs,
        subject.parameters,
        option.parameters,
        option.error,
        menu.ns,
        option.ns,
    )


def _latency(
    model: keras.Model, smaller: keras.Model, replaced: Sequence[LayerChange], meter: LatencyMeter
) -> ModelLatency:
    before, after = meter.models_ns([model, smaller])
    saved = sum((change.ns_before or 0.0) - (change.ns_after or 0.0) for change in replaced)
    return ModelLatency(before, before - saved, after)
