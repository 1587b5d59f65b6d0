"""Profiles: what the SDK knows about a kind of device before it has seen one.

A profile is a TOML file; those in `profiles/` come with the SDK. Every figure names where it is from. What no source tells is
left out: it is never guessed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from edge_sdk_runtime.packages import Runtime

from .errors import ProfileError
from .hardware import Arithmetic, Cpu, Latency, Memory, Roofline, check_positive
from .systems import PROFILES, System, distinct_runtimes, known_systems, read_toml
from .tables import from_table

__all__ = [
    "Arithmetic",
    "Cpu",
    "Kind",
    "Latency",
    "Memory",
    "Profile",
    "Roofline",
    "System",
    "known_profiles",
    "load_profile",
    "parse_target",
]


class Kind(str, Enum):
    """What sort of device a profile tells of."""

    BOARD = "board"
    PHONE = "phone"
    """A browser on it; nothing is installed."""
    GENERIC = "generic"
    """Any machine of an architecture."""


@dataclass(frozen=True)
class Profile:
    """A kind of device.

    Attributes:
        name: What it is called here, such as `"raspberry-pi-4"`.
        title: What people call it.
        kind: What sort of device it is.
        cpu: Its processor.
        systems: The operating systems it is used with, the recommended one first.
        memory: Its memory.
        threads: Threads that a bundle gets where nobody asks for another number.
        device_tree: What boards of this kind call themselves begins with one of these (/proc/device-tree/model).
        cameras: How cameras are reached there.
        thermal: What to know of heat and power, a sentence each, sources named.
        roofline: The most that a core can compute; None where no source tells.
        latencies: What others measured.
    """

    name: str
    title: str
    kind: Kind
    cpu: Cpu
    systems: tuple[System, ...]
    memory: Memory = field(default_factory=Memory)
    threads: int = 1
    device_tree: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    thermal: tuple[str, ...] = ()
    roofline: Roofline | None = None
    latencies: tuple[Latency, ...] = ()

    def __post_init__(self) -> None:
        check_positive(self, ("threads",))
        if self.cpu.cores and self.threads > self.cpu.cores:
            raise ProfileError(
                f"threads must be at most the cores, {self.cpu.cores}. Received: {self.threads}. Choose fewer threads."
            )

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The interpreters that its systems have, which a bundle for it has to run on."""
        return distinct_runtimes(self.systems)

    def system(self, name: str) -> System:
        """One of its systems by name, or by the end of its name where only one ends so.

        Raises:
            ProfileError: It has no such system, or several.
        """
        found = [each for each in self.systems if each.name == name or each.name.endswith(f"-{name}")]
        if len(found) != 1:
            raise ProfileError(
                f"A system of {self.name} must be one of {', '.join(each.name for each in self.systems)}. "
                f"Received: {name!r}. Choose one of them."
            )
        return found[0]


@functools.cache
def known_profiles() -> dict[str, Profile]:
    """Every profile that comes with the SDK, by name: boards, phones, then generic ones."""
    paths = sorted(path for path in PROFILES.glob("*.toml") if path.name != "systems.toml")
    found = [_parse(path.read_text(encoding="utf-8"), path.name) for path in paths]
    order = list(Kind)
    return {profile.name: profile for profile in sorted(found, key=lambda each: (order.index(each.kind), each.name))}


def load_profile(name_or_path: str) -> Profile:
    """A profile that comes with the SDK by name, or one from a TOML file.

    Args:
        name_or_path: Such as `"raspberry-pi-4"` or `"boards/ours.toml"`. A file may name systems that come with the SDK, and
            define others under `[system.NAME]`.

    Raises:
        ProfileError: There is neither, or the file says something impossible; names file, field and rule.
    """
    if name_or_path in known_profiles():
        return known_profiles()[name_or_path]
    try:
        text = Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(
            f"A device must be one of {', '.join(known_profiles())}, or a TOML file. Received: {name_or_path!r}. "
            "Choose one, or check the path."
        ) from error
    return _parse(text, name_or_path)


def parse_target(text: str) -> tuple[Runtime, ...]:
    """The interpreters that a bundle has to run on, from how a person names the device it is for.

    Args:
        text: `PROFILE`, for all of its systems, or `PROFILE:SYSTEM`, such as `raspberry-pi-4:bookworm-32`.

    Raises:
        ProfileError: There is no such profile or system, or the runtime does not run there.
    """
    name, _, system = text.partition(":")
    profile = load_profile(name)
    chosen = (profile.system(system),) if system else profile.systems
    runtimes = distinct_runtimes(chosen)
    if not runtimes:
        raise ProfileError(
            f"A target must have an interpreter. Received: {text!r} ({chosen[0].trouble}). Choose another."
        )
    return runtimes


def _parse(text: str, source: str) -> Profile:
    document = {"name": Path(source).stem, **read_toml(text, source)}
    own = document.pop("system", {})
    if not isinstance(own, dict):
        raise ProfileError(f"{source}: system must be a table. Received: {own!r}. Write [system.NAME].")
    names = document.get("systems")
    if isinstance(names, list):
        document["systems"] = [_system(name, own, source) for name in names]
    return from_table(Profile, document, source)


def _system(name: object, own: Mapping[str, Any], source: str) -> System:
    """A system that a profile names: one that its file defines, or one that comes with the SDK."""
    if name in own:
        return from_table(System, {"name": name, **own[str(name)]}, f"{source}: system.{name}")
    if not isinstance(name, str) or name not in known_systems():
        known = ", ".join((*own, *known_systems()))
        raise ProfileError(
            f"{source}: systems must be among {known}. Received: {name!r}. Choose among them, or define it."
        )
    return known_systems()[name]
