"""What a pass is: a Keras model and a typed configuration in, a Keras model and an account of the changes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import keras

from .cluster.apply import ClusterResult, LayerSharing, cluster
from .cluster.config import ClusterConfig
from .factorize.apply import FactorizeResult, LayerChange, factorize
from .factorize.config import FactorizeConfig
from .learning import PassContext
from .prune.apply import LayerWidth, PruneResult, prune
from .prune.config import ActivationCycleConfig, PruneConfig
from .prune.cycle import CycleRound, prune_by_activation
from .recipe import PassConfig
from .recover.apply import recover
from .sparsify.apply import sparsify
from .sparsify.config import SparsifyConfig

__all__ = ["ClusterPass", "CyclePass", "FactorizePass", "Pass", "PassOutcome", "PrunePass", "SparsifyPass", "pass_for"]


@dataclass(frozen=True)
class PassOutcome:
    """What a pass gives back.

    Attributes:
        model: The rewritten model; the given one is untouched.
        details: What changed, a line per layer.
    """

    model: keras.Model
    details: tuple[str, ...]


class Pass(Protocol):
    """A step that rewrites a model. A new pass implements `apply` and joins `pass_for`."""

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Rewrite a flat classifier into another one with the same input and output."""


@dataclass(frozen=True)
class FactorizePass:
    """Low-rank factorization of dense layers and convolutions."""

    config: FactorizeConfig

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Replace layers by products of thinner ones where that saves."""
        result = factorize(model, self.config, context.data, told=context.told)
        changes = tuple(map(_factorized, result.replaced)) or ("no layer would have saved enough",)
        return PassOutcome(result.model, changes + _latency(result))


@dataclass(frozen=True)
class PrunePass:
    """Structured pruning: whole channels removed."""

    config: PruneConfig

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Remove the least important channels, and with them every weight that made or read them."""
        result = prune(model, self.config, context.data)
        return PassOutcome(result.model, _narrowed(result.layers) + _kept(result))


@dataclass(frozen=True)
class CyclePass:
    """Structured pruning in rounds: train, count activations, remove."""

    config: ActivationCycleConfig

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Train in every round as recovery does, and remove units until a round removes none."""
        done = 0

        def train(student: keras.Model) -> None:
            nonlocal done
            if context.told:
                context.told("cycle: round", done, self.config.rounds)
            done += 1
            data = context.data
            recover(
                student,
                context.teacher,
                data.train,
                data.validation,
                self.config.training,
                seed=context.seed,
                augment=data.augment,
            )

        result = prune_by_activation(model, train, context.data.train.x, self.config)
        return PassOutcome(result.model, tuple(map(_round, range(1, len(result.rounds) + 1), result.rounds)))


@dataclass(frozen=True)
class SparsifyPass:
    """Unstructured pruning: scattered weights become zero."""

    config: SparsifyConfig

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Set the smallest weights to zero while the network learns to do without them."""
        told = context.told
        result = sparsify(
            model,
            context.teacher,
            self.config,
            context.data,
            seed=context.seed,
            progress=(lambda done, planned, _: told("sparsify", done, planned)) if told else None,
        )
        lines = (f"{layer.name}: {layer.zeros:,} of {layer.weights:,} weights are zero" for layer in result.layers)
        return PassOutcome(result.model, tuple(lines))


@dataclass(frozen=True)
class ClusterPass:
    """Weight sharing: few values per layer."""

    config: ClusterConfig

    def apply(self, model: keras.Model, context: PassContext) -> PassOutcome:
        """Replace weights by the nearest of the values that their layer shares."""
        result = cluster(model, self.config, context.data, context.told)
        return PassOutcome(result.model, tuple(map(_shared, result.layers)) + _unfolded(result))


def pass_for(config: PassConfig) -> Pass:
    """The pass that a configuration belongs to.

    Raises:
        TypeError: The configuration is of no pass that rewrites a model.
    """
    if isinstance(config, FactorizeConfig):
        return FactorizePass(config)
    if isinstance(config, PruneConfig):
        return PrunePass(config)
    if isinstance(config, ActivationCycleConfig):
        return CyclePass(config)
    if isinstance(config, SparsifyConfig):
        return SparsifyPass(config)
    if isinstance(config, ClusterConfig):
        return ClusterPass(config)
    raise TypeError(
        "A rewriting pass must be factorize, prune, cycle, sparsify or cluster. "
        f"Received: {type(config).__name__}. See Recipe.rewrites."
    )


def _factorized(change: LayerChange) -> str:
    line = (
        f"{change.name}: {change.kind}, rank {' × '.join(map(str, change.ranks))}, "
        f"{change.macs_before:,} → {change.macs_after:,} multiply-accumulates, error {change.error:.1%}"
    )
    if change.ns_before is None or change.ns_after is None:
        return line
    return f"{line}, {change.ns_before / 1e3:.0f} → {change.ns_after / 1e3:.0f} µs"


def _latency(result: FactorizeResult) -> tuple[str, ...]:
    latency = result.latency
    if latency is None:
        return ()
    before, predicted, after = (ns / 1e3 for ns in (latency.before_ns, latency.predicted_ns, latency.after_ns))
    return (f"one image, float32: {before:.0f} → {after:.0f} µs measured, {predicted:.0f} µs predicted",)


def _narrowed(layers: tuple[LayerWidth, ...]) -> tuple[str, ...]:
    changed = (layer for layer in layers if layer.channels_after < layer.channels_before)
    return tuple(f"{layer.name}: {layer.channels_before} → {layer.channels_after} channels" for layer in changed)


def _kept(result: PruneResult) -> tuple[str, ...]:
    """What could not be narrowed, and what the interpreter measured; that the scores stay goes without saying."""
    output = {result.layers[-1].name} if result.layers else set()
    lines = tuple(f"{name} keeps its channels: {reason}" for name, reason in result.frozen if name not in output)
    if result.latency_ns is None:
        return lines
    before, after = (ns / 1e3 for ns in result.latency_ns)
    return (*lines, f"one image, float32: {before:.0f} → {after:.0f} µs measured")


def _round(number: int, done: CycleRound) -> str:
    return f"round {number}: {', '.join(_narrowed(done.layers)) or 'nothing → the end'}"


def _shared(layer: LayerSharing) -> str:
    zeros = f" and {layer.zeros:,} zeros" if layer.zeros else ""
    return (
        f"{layer.name}: {layer.weights:,} weights of {layer.values:,} values{zeros}, {layer.bits:.3g} bits, "
        f"at least {layer.coded_bytes:,} bytes coded, error {layer.error:.1%}"
    )


def _unfolded(result: ClusterResult) -> tuple[str, ...]:
    """What the converter may still scale, and what all layers come to."""
    total = sum(layer.coded_bytes for layer in result.layers)
    lines = tuple(f"{name} is not folded: {reason}" for name, reason in result.unfolded)
    return (*lines, f"all: at least {total:,} bytes coded")
