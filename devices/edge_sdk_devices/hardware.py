"""What is known of a device's hardware: processor, memory, and the most that they can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .errors import ProfileError
from .systems import Architecture

__all__ = ["Arithmetic", "Cpu", "Latency", "Memory", "Roofline", "check_positive"]


class Arithmetic(str, Enum):
    """What products are computed in."""

    FLOAT32 = "float32"
    INT8 = "int8"


@dataclass(frozen=True)
class Cpu:
    """A processor.

    Attributes:
        name: Its cores' name, such as `"Cortex-A72"`.
        architecture: What machine code it runs.
        cores: How many cores it has, or None where that differs.
        clock_mhz: The highest clock of any core, MHz, or None where that differs.
        features: Instruction sets beyond the architecture's first version, as /proc/cpuinfo names them.
        source: Where this is from.
    """

    name: str
    architecture: Architecture
    cores: int | None = None
    clock_mhz: int | None = None
    features: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        check_positive(self, ("cores", "clock_mhz"))


@dataclass(frozen=True)
class Memory:
    """What stands behind the processor.

    Attributes:
        sizes_mb: The sizes that are sold, MiB.
        kind: Such as `"LPDDR4-3200, 32 bits"`.
        bandwidth_gb_s: What the bus can carry at most, GB/s (10⁹ bytes), or None where no source tells.
        cache_kb: All caches that data stays in from one image to the next, together, KiB; None where no source tells.
        source: Where this is from.
    """

    sizes_mb: tuple[int, ...] = ()
    kind: str = ""
    bandwidth_gb_s: float | None = None
    cache_kb: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        check_positive(self, ("bandwidth_gb_s", "cache_kb"))
        if any(size < 1 for size in self.sizes_mb):
            raise ProfileError(f"sizes_mb must be at least 1 each. Received: {list(self.sizes_mb)}. Write megabytes.")
        if (self.bandwidth_gb_s or self.cache_kb) and not self.source:
            raise ProfileError("source must be named where figures are. Received: none. Write where they are from.")


@dataclass(frozen=True)
class Roofline:
    """The most that one core can compute: an upper bound, from the widths and numbers of its units.

    Attributes:
        float32_macs_per_cycle: Float32 multiply-accumulates that can start in a cycle.
        int8_macs_per_cycle: The same of int8 factors; at least as many, since int8 can be computed as float32.
        source: Where this is from.
        clock_mhz: A clock that no such core exceeds, MHz, for a processor whose own is not known; None where it is.
    """

    float32_macs_per_cycle: float
    int8_macs_per_cycle: float
    source: str
    clock_mhz: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, ("float32_macs_per_cycle", "int8_macs_per_cycle", "clock_mhz"))
        if self.int8_macs_per_cycle < self.float32_macs_per_cycle:
            raise ProfileError(
                f"int8_macs_per_cycle must be at least float32_macs_per_cycle. Received: {self.int8_macs_per_cycle:g} and "
                f"{self.float32_macs_per_cycle:g}. Write at least as many, since int8 can be computed as float32."
            )
        if not self.source:
            raise ProfileError("source must be named. Received: none. Write where the figures are from.")


@dataclass(frozen=True)
class Latency:
    """A latency that others published for a known network, for scale.

    Attributes:
        model: The network, with its input size.
        arithmetic: What it was computed in.
        threads: How many threads computed it.
        milliseconds: Time of one image, ms.
        software: What ran it.
        source: Who published it.
        million_macs: Multiply-accumulates of the network as its authors count them, millions; None where unknown.
    """

    model: str
    arithmetic: Arithmetic
    threads: int
    milliseconds: float
    software: str
    source: str
    million_macs: float | None = None

    def __post_init__(self) -> None:
        check_positive(self, ("threads", "milliseconds", "million_macs"))


def check_positive(config: object, names: Sequence[str]) -> None:
    """Refuse figures of a dataclass that are not above zero; None is an absent one.

    Raises:
        ProfileError: One is zero or less; names it.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ProfileError(
                f"{name} must be above 0. Received: {value!r}. Write the figure, or leave the field out."
            )
