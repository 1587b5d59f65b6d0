"""A lower bound on a bundle's latency on a device nobody has at hand: an estimate from its profile, nothing measured.

The roofline model (Williams, Waterman, Patterson, "Roofline: an insightful visual performance model", 2009), layer by layer: a
layer takes at least as long as its multiply-accumulates at the cores' highest rate, and as its bytes at the memory's highest
bandwidth. Weights stay in the caches from one image to the next as far as they fit; which ones stay is chosen so that the bound is
lowest, so it holds for any cache. Real latencies are higher: kernels do not reach these rates, and what is no product is taken
as free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .costs import LayerCost
from .errors import ProfileError
from .hardware import Arithmetic
from .profile import Profile

__all__ = ["BoundBy", "LayerBound", "LowerBound", "lower_bound", "peak_macs_per_s"]


class BoundBy(str, Enum):
    """What keeps a layer from being faster."""

    COMPUTE = "compute"
    MEMORY = "memory"
    NOTHING = "not counted"
    """It has no products, and its bytes stay in the caches."""


@dataclass(frozen=True)
class LayerBound:
    """The least time of one layer.

    Attributes:
        cost: What it has to do.
        seconds: The least that takes.
        bound_by: What keeps it from being faster.
    """

    cost: LayerCost
    seconds: float
    bound_by: BoundBy


@dataclass(frozen=True)
class LowerBound:
    """The least latency of a bundle or model on a device, preprocessing excepted.

    Attributes:
        profile: Name of the device's profile.
        threads: Threads that the interpreter has.
        seconds: The bound: the sum over all layers.
        layers: What it is made of.
        memory_counted: Whether the profile knows the memory's bandwidth and caches; only products count where not.
    """

    profile: str
    threads: int
    seconds: float
    layers: tuple[LayerBound, ...]
    memory_counted: bool

    @property
    def bound_by(self) -> BoundBy:
        """What bounds most of the time."""
        kinds = list(BoundBy)
        return max(kinds, key=lambda kind: sum(each.seconds for each in self.layers if each.bound_by is kind))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.cost.macs for layer in self.layers)

    def __str__(self) -> str:
        counted = "" if self.memory_counted else "products alone, memory not counted; "
        return (
            f"at least {self.seconds * 1e3:.3g} ms with {self.threads} thread{'s' if self.threads > 1 else ''} (an estimate, "
            f"the roofline's lower bound: {counted}nothing measured, preprocessing not included)"
        )


def lower_bound(costs: Sequence[LayerCost], profile: Profile, threads: int | None = None) -> LowerBound:
    """The least latency on a device.

    Args:
        costs: Of all layers, by `bundle_costs` or `model_costs`.
        profile: The device; a generic one has to be `refined` by what the machine tells first.
        threads: Threads of the interpreter; the profile's own where None. No more of them count than there are cores.

    Raises:
        ProfileError: The profile lacks what the bound is made of, or threads is less than 1.
    """
    chosen = profile.threads if threads is None else threads
    if chosen < 1:
        raise ProfileError(f"threads must be at least 1. Received: {threads}. Choose 1 or more.")
    cores = profile.cpu.cores or 1
    computing = [
        cost.macs / peak_macs_per_s(profile, cost.arithmetic, cores if cost.every_core else chosen) for cost in costs
    ]
    waiting = _beyond_cache(costs, computing, profile)
    layers = tuple(map(_layer_bound, costs, computing, waiting))
    counted = profile.memory.bandwidth_gb_s is not None and profile.memory.cache_kb is not None
    return LowerBound(profile.name, chosen, sum(layer.seconds for layer in layers), layers, counted)


def peak_macs_per_s(profile: Profile, arithmetic: Arithmetic, threads: int) -> float:
    """The most multiply-accumulates a second that a number of threads can reach: cores × clock × what a core starts per cycle.

    Args:
        profile: The device.
        arithmetic: What is multiplied.
        threads: At least 1; no more count than there are cores.

    Raises:
        ProfileError: The profile does not know the cores, their clock, or what they start per cycle.
    """
    roofline, cores = profile.roofline, profile.cpu.cores
    clock = profile.cpu.clock_mhz or (roofline.clock_mhz if roofline else None)
    if roofline is None or clock is None or cores is None:
        raise ProfileError(
            f"A lower bound needs cores, clock_mhz and a roofline. Received: the profile {profile.name}, which has no source "
            "for all of them. Choose another device, or write a profile of your own."
        )
    integer = arithmetic is Arithmetic.INT8
    per_cycle = roofline.int8_macs_per_cycle if integer else roofline.float32_macs_per_cycle
    return min(threads, cores) * clock * 1e6 * per_cycle


def _beyond_cache(costs: Sequence[LayerCost], computing: Sequence[float], profile: Profile) -> list[float]:
    """Seconds by which each layer's traffic with the memory outlasts its computing.

    Of weights and activations together only what the caches cannot hold has to come from memory for every image. The bytes that
    stay are credited where they save time, in proportion: no choice of the cache's could save more in sum.
    """
    bandwidth, cache = profile.memory.bandwidth_gb_s, profile.memory.cache_kb
    if bandwidth is None or cache is None:
        return [0.0] * len(costs)
    rate, held = bandwidth * 1e9, cache * 1024
    excess = [max(0.0, _traffic(cost, held) / rate - seconds) for cost, seconds in zip(costs, computing, strict=True)]
    total = sum(excess)
    left = max(0.0, total - held / rate) / total if total else 0.0
    return [seconds * left for seconds in excess]


def _traffic(cost: LayerCost, held: int) -> int:
    """Bytes between memory and caches when no weights are held: those, and activations that no cache can hold."""
    return cost.weight_bytes + max(0, cost.input_bytes - held) + max(0, cost.output_bytes - held)


def _layer_bound(cost: LayerCost, computing: float, waiting: float) -> LayerBound:
    if waiting:
        return LayerBound(cost, computing + waiting, BoundBy.MEMORY)
    return LayerBound(cost, computing, BoundBy.COMPUTE if cost.macs else BoundBy.NOTHING)
