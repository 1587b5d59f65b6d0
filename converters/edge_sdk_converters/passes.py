"""What a pass is: a Keras model and a typed configuration in, a Keras model and an account of the changes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import keras

from .factorize.apply import factorize
from .factorize.config import FactorizeConfig
from .prune.apply import prune
from .prune.config import PruneConfig
from .recipe import PassConfig

__all__ = ["FactorizePass", "Pass", "PassOutcome", "PrunePass", "pass_for"]


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

    def apply(self, model: keras.Model) -> PassOutcome:
        """Rewrite a flat classifier into another one with the same input and output."""


@dataclass(frozen=True)
class FactorizePass:
    """Low-rank factorization of dense layers and convolutions."""

    config: FactorizeConfig

    def apply(self, model: keras.Model) -> PassOutcome:
        """Replace layers by products of thinner ones where that saves multiply-accumulates."""
        result = factorize(model, self.config)
        changes = (
            f"{change.name}: rank {' × '.join(map(str, change.ranks))}, "
            f"{change.macs_before:,} → {change.macs_after:,} multiply-accumulates"
            for change in result.replaced
        )
        return PassOutcome(result.model, tuple(changes) or ("no layer would have saved enough",))


@dataclass(frozen=True)
class PrunePass:
    """Structured pruning: whole channels removed."""

    config: PruneConfig

    def apply(self, model: keras.Model) -> PassOutcome:
        """Remove the least important channels, and with them every weight that made or read them."""
        result = prune(model, self.config)
        changed = (layer for layer in result.layers if layer.channels_after < layer.channels_before)
        return PassOutcome(
            result.model,
            tuple(f"{layer.name}: {layer.channels_before} → {layer.channels_after} channels" for layer in changed),
        )


def pass_for(config: PassConfig) -> Pass:
    """The pass that a configuration belongs to.

    Raises:
        TypeError: The configuration is of no pass that rewrites a model.
    """
    if isinstance(config, FactorizeConfig):
        return FactorizePass(config)
    if isinstance(config, PruneConfig):
        return PrunePass(config)
    raise TypeError(
        f"A rewriting pass must be factorize or prune. Received: {type(config).__name__}. See Recipe.rewrites."
    )
