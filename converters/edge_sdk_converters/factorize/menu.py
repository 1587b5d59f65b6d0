"""What a layer could become: its ways and ranks, with what each costs and loses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RecipeError
from .allocate import lower_hull
from .config import RankRule
from .kinds import suitable
from .methods import build_factors, check_ranks
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from ..latency import LatencyMeter
    from .config import FactorizeConfig
    from .methods import Factorization, Factors, Ranks
    from .moments import Moments
    from .subjects import Subject

__all__ = ["Menu", "Option", "menu_for"]

_MOST_OPTIONS, _MOST_MEASURED = 16, 8
"""Options per layer and kind of cost that are kept; fewer where each is measured, which takes a second."""

_NEGLIGIBLE = 1e-6
"""Errors below it are equal: what decides between them is what they save."""


@dataclass(frozen=True, eq=False)
class Option:
    """One product that could take a layer's place.

    Attributes:
        way: How it is written.
        layer: The layer.
        ranks: Its ranks.
        factors: Its weights.
        macs: Its multiply-accumulates over all calls.
        parameters: Its weights' number.
        ns: Its measured nanoseconds over all calls; None where nothing was measured.
    """

    way: type[Factorization]
    layer: keras.Layer
    ranks: Ranks
    factors: Factors
    macs: int
    parameters: int
    ns: float | None = None

    @property
    def error(self) -> float:
        """Mean square of what the layer's output loses, as a share of its own."""
        return self.factors.error

    def layers(self) -> list[keras.Layer]:
        """The product as built layers."""
        return build_factors(self.way, self.layer, self.ranks, self.factors)


@dataclass(frozen=True, eq=False)
class Menu:
    """What a layer could become.

    Attributes:
        subject: The layer.
        options: Products that save enough, by ascending multiply-accumulates; none where `reason` says why.
        reason: Why there is no option.
        ns: Measured nanoseconds of the layer itself; None where nothing was measured.
        settled: Whether the layer has to take its option, since the recipe gives its ranks.
    """

    subject: Subject
    options: tuple[Option, ...]
    reason: str = ""
    ns: float | None = None
    settled: bool = False

    @property
    def offers(self) -> tuple[Option | None, ...]:
        """Everything that can be selected; None leaves the layer."""
        return self.options if self.settled and self.options else (None, *self.options)


def menu_for(
    subject: Subject, config: FactorizeConfig, moments: Moments | None, meter: LatencyMeter | None = None
) -> Menu:
    """Find out what a layer could become under a configuration.

    Args:
        subject: A dense layer or a channels-last convolution of one group.
        config: Says which ways and ranks come into question.
        moments: What the layer sees, as `collect_moments` gives it, or None for the error of its kernel.
        meter: Measures options, and drops those that are not faster; None measures nothing.

    Returns:
        Under rank auto the options on the lower hull of error against multiply-accumulates; else the one with the least error
        per multiply-accumulate saved.

    Raises:
        RecipeError: `config.ranks` gives the layer ranks that it cannot have.
    """
    target = Target(subject.layer, moments)
    ways = [way(target, config.seed) for way in suitable(subject.layer, config.method)]
    proposed = _proposed(subject.layer.name, ways, config)
    if not proposed:
        return Menu(subject, (), _nothing_proposed(ways, config))
    costs = [subject.chain_macs(way.layers(subject.layer, ranks)) for way, ranks in proposed]
    dearest = (1 - config.min_saving) * subject.macs
    options = [
        _option(subject, way, ranks, macs)
        for (way, ranks), macs in zip(proposed, costs, strict=True)
        if macs <= dearest and macs < subject.macs
    ]
    if not options:
        return Menu(subject, (), _saves_too_little(subject, proposed, costs, config))
    most = _MOST_OPTIONS if meter is None else _MOST_MEASURED
    settled = subject.layer.name in config.ranks
    menu = Menu(subject, tuple(_worthwhile(subject, options, config, most)), settled=settled)
    return menu if meter is None else _measured(menu, meter)


def _proposed(name: str, ways: Sequence[Factorization], config: FactorizeConfig) -> list[tuple[Factorization, Ranks]]:
    """Every way with the ranks that come into question for it."""
    if name in config.ranks:
        return _given(name, ways, config.ranks[name])
    proposed: list[tuple[Factorization, Ranks]] = []
    for way in ways:
        if config.rank is RankRule.AUTO:
            proposed += [(way, ranks) for ranks in way.ladder(config.multiple)]
        elif config.rank is RankRule.ENERGY:
            proposed.append((way, way.keeping(config.energy, config.multiple)))
        elif (ranks := way.standing_out(config.multiple)) is not None:
            proposed.append((way, ranks))
    return proposed


def _given(name: str, ways: Sequence[Factorization], ranks: Ranks) -> list[tuple[Factorization, Ranks]]:
    fitting = [way for way in ways if len(way.full) == len(ranks)]
    if not fitting:
        counts = sorted({len(way.full) for way in ways})
        raise RecipeError(
            f"ranks of '{name}' must be {' or '.join(map(str, counts)) or 'left out: the method does not suit it'}"
            f"{' in number' if counts else ''}. Received: {list(ranks)}. Give one, or two for Tucker-2."
        )
    for way in fitting:
        check_ranks(name, ranks, way.full)
    return [(way, ranks) for way in fitting]


def _option(subject: Subject, way: Factorization, ranks: Ranks, macs: int) -> Option:
    factors = way.factors(ranks)
    bias = 0 if factors.bias is None else factors.bias.size
    weights = sum(kernel.size for kernel in factors.kernels) + bias
    return Option(type(way), subject.layer, ranks, factors, macs, weights)


def _worthwhile(subject: Subject, options: Sequence[Option], config: FactorizeConfig, most: int) -> list[Option]:
    """Under rank auto the lower hull, thinned out evenly; else the least error per multiply-accumulate saved."""
    if config.rank is not RankRule.AUTO or subject.layer.name in config.ranks:
        return [min(options, key=lambda option: max(option.error, _NEGLIGIBLE) / (subject.macs - option.macs))]
    errors = [option.error for option in options]
    costs = [option.macs for option in options], [option.parameters for option in options]
    hulls = (lower_hull(cost, errors) for cost in costs)
    chosen = {index for hull in hulls for index in _thinned(hull, most)}
    return sorted((options[index] for index in chosen), key=lambda option: option.macs)


def _thinned(hull: Sequence[int], most: int) -> list[int]:
    """At most so many points of a hull, its ends among them."""
    count = min(len(hull), most)
    return [hull[round(step * (len(hull) - 1) / max(1, count - 1))] for step in range(count)]


def _measured(menu: Menu, meter: LatencyMeter) -> Menu:
    """The menu with times, without the options that are not faster than the layer."""
    subject = menu.subject
    before = subject.chain_ns([subject.layer], meter)
    timed = [(option, subject.chain_ns(option.layers(), meter)) for option in menu.options]
    faster = tuple(dataclasses.replace(option, ns=ns) for option, ns in timed if ns < before)
    best = min(ns for _, ns in timed)
    reason = "" if faster else f"its factors would not be faster: {before / 1e3:,.1f} → {best / 1e3:,.1f} µs"
    return dataclasses.replace(menu, options=faster, reason=reason, ns=before)


def _nothing_proposed(ways: Sequence[Factorization], config: FactorizeConfig) -> str:
    if not ways:
        return f"the method {config.method.value} does not suit its kernel"
    return "variational Bayes finds nothing but noise in it"


def _saves_too_little(
    subject: Subject,
    proposed: Sequence[tuple[Factorization, Ranks]],
    costs: Sequence[int],
    config: FactorizeConfig,
) -> str:
    best = min(range(len(costs)), key=costs.__getitem__)
    way, ranks = proposed[best]
    written = " × ".join(map(str, ranks))
    saving = 1 - costs[best] / subject.macs
    return f"{way.kind} at rank {written} saves {saving:.0%}, less than {config.min_saving:.0%}"
