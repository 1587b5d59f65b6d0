"""Train, count, remove, and again until nothing is left to remove.

The cycle of Çallı, "Optimizing networks for mobile devices" (Master's thesis, 2017), after Hu et al., "Network Trimming"
(2016), for any Keras model and any loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..errors import ModelError
from ..graph import flatten, require_layers, trace
from .apply import LayerWidth, widths_without
from .balance import balance
from .calibration import require_fitting
from .channels import Analysis, analyze, require_known
from .criteria.activations import measure_activity
from .merge import merge_units
from .rebuild import shrink
from .select import Spare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .config import ActivationCycleConfig

__all__ = ["CycleResult", "CycleRound", "prune_by_activation"]


@dataclass(frozen=True)
class CycleRound:
    """What one round did.

    Attributes:
        layers: Width of every layer that makes channels, before and after the round.
        loss: What `train` returned before anything was removed; None where it returns nothing.
    """

    layers: tuple[LayerWidth, ...]
    loss: float | None

    @property
    def removed(self) -> int:
        """Channels that went."""
        return sum(layer.channels_before - layer.channels_after for layer in self.layers)


@dataclass(frozen=True)
class CycleResult:
    """What the cycle made of a model.

    Attributes:
        model: The smaller model, trained since the last removal; its optimizer and loss are those of `train`.
        rounds: What each round did, in order.
        loss: What `train` returned last; None where it returns nothing.
    """

    model: keras.Model
    rounds: tuple[CycleRound, ...]
    loss: float | None


def prune_by_activation(
    model: keras.Model,
    train: Callable[[keras.Model], float | None],
    x: NDArray[Any],
    config: ActivationCycleConfig,
) -> CycleResult:
    """Train a model, count how often each of its units is active, remove those that hardly are, and begin again.

    A unit is active at an (image, position) where its value is above what its activation makes of 0. The variants of the
    thesis are switches of `config`, in any combination. `distorted` adds zero-mean uniform noise of the range 1 − var(W) to
    the kernels that make units, and the next round trains on from there. `regularized` puts the L1 term on every trainable
    weight, biases and batch-norm scales included: with ReLU, which is positively homogeneous, it is least where few units do
    the work, and a unit that does none is left without any weight that could make it active.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched.
        train: Trains the model it is given in place, compiling it first, and may return its loss.
        x: Model inputs to count over, `[N, …]`.
        config: Threshold, variants, rounds.

    Returns:
        The smaller model and the rounds.

    Raises:
        ModelError: The model has no functional graph, a layer of a kind that is not known (see `Unknown`), no unit that
            could be removed, or takes other inputs.
        RecipeError: `config.skip` names a layer that the model does not have.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    require_fitting(x, graph)
    found = analyze(graph, config.skip)
    require_known(found, config.unknown)
    if found.count == 0:
        raise ModelError(
            f"The cycle needs a channel that can be removed. Received: '{model.name}' without one. Choose another model."
        )
    rng, current = np.random.default_rng(config.seed), flatten(model)
    rounds: list[CycleRound] = []
    while len(rounds) < config.rounds and (len(rounds) < config.patience or _removed(rounds[-config.patience :])):
        loss = _trained(current, train, config)
        if config.distorted:
            _distort(current, config, rng)
        smaller, widths = _reduced(current, x, config)
        rounds.append(CycleRound(widths, loss))
        current = smaller if rounds[-1].removed else current
    if config.distorted or rounds[-1].removed:
        loss = _trained(current, train, config)
    return CycleResult(current, tuple(rounds), loss)


def _removed(rounds: list[CycleRound]) -> bool:
    return any(each.removed for each in rounds)


def _trained(
    model: keras.Model, train: Callable[[keras.Model], float | None], config: ActivationCycleConfig
) -> float | None:
    """Train with or without the L1 term, which does not outlast the training."""
    weights = list(model.trainable_weights)
    before = [weight.regularizer for weight in weights]
    for weight in weights if config.regularized else ():
        weight.regularizer = keras.regularizers.L1(config.l1)
    loss = train(model)
    for weight, regularizer in zip(weights, before, strict=True):
        weight.regularizer = regularizer
    return loss


def _distort(model: keras.Model, config: ActivationCycleConfig, rng: np.random.Generator) -> None:
    """Add noise to the kernels of layers that units can be removed from."""
    for producer in analyze(trace(model), config.skip).producers:
        if (producer.units >= 0).any():
            layer = model.get_layer(producer.layer.name)
            kernel, *others = layer.get_weights()
            noise = rng.uniform(-0.5, 0.5, kernel.shape) * (1 - kernel.var())
            layer.set_weights([(kernel + noise).astype(kernel.dtype), *others])


def _reduced(
    model: keras.Model, x: NDArray[Any], config: ActivationCycleConfig
) -> tuple[keras.Model, tuple[LayerWidth, ...]]:
    """The model without its idle units, and without those that others replace where the configuration says so."""
    analysis = analyze(trace(model), config.skip)
    idle = _idle(analysis, x, config)
    widths = widths_without(analysis, idle)
    smaller = shrink(analysis, idle)
    if not config.merged:
        return smaller, widths
    rest = analyze(trace(smaller), config.skip)
    merged = merge_units(rest, x, config.tolerance, min_channels=config.min_channels, seed=config.seed)
    balance(rest)
    after = widths_without(rest, merged)
    joined = [
        LayerWidth(one.name, one.channels_before, two.channels_after) for one, two in zip(widths, after, strict=True)
    ]
    return shrink(rest, merged), tuple(joined)


def _idle(analysis: Analysis, x: NDArray[Any], config: ActivationCycleConfig) -> NDArray[np.bool_]:
    """Which units go, the least active first while every layer keeps enough."""
    activity = measure_activity(analysis, x)
    goes = activity.active <= config.threshold
    if config.outliers:
        goes |= _outlying(analysis, activity.mean)
    removed, spare = np.zeros(analysis.count, np.bool_), Spare(analysis, lambda _: config.min_channels)
    for unit in np.lexsort((activity.mean, activity.active)).tolist():
        if goes[unit] and spare.allows(unit):
            spare.take(unit)
            removed[unit] = True
    return removed


def _outlying(analysis: Analysis, means: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Units whose mean activation lies more than two standard deviations below that of every layer that makes them."""
    outlying = np.ones(analysis.count, np.bool_)
    for producer in analysis.producers:
        units = producer.units[producer.units >= 0]
        if len(units):
            values = means[units]
            outlying[units] &= values < values.mean() - 2 * values.std()
    return outlying
