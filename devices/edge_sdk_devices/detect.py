"""Which kind of device a machine is, from what it tells of itself, and what pip has to be told there.

The device tells facts; everything that is known of boards stays on the workstation.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sdk_runtime.bench.system import read_board, read_text
from edge_sdk_runtime.packages import version_numbers

from .errors import ProfileError
from .isa import x86_roofline
from .profile import Profile, known_profiles
from .systems import Architecture, System, known_systems
from .tables import from_table

__all__ = ["Facts", "detect", "local_facts", "refined", "system_for"]

_MACHINES = {
    "aarch64": Architecture.ARM64,
    "arm64": Architecture.ARM64,
    "armv7l": Architecture.ARMV7,
    "armv8l": Architecture.ARMV7,  # a 32-bit system under a 64-bit kernel
    "x86_64": Architecture.X86_64,
    "amd64": Architecture.X86_64,
}


@dataclass(frozen=True)
class Facts:
    """What a machine tells of itself.

    Attributes:
        machine: As `uname -m` has it, such as `"aarch64"`.
        model: What the board calls itself (/proc/device-tree/model); empty on PCs.
        bits: Width of the addresses of its Python, which a 64-bit kernel does not tell.
        python: The version of that Python, such as `"3.11.2"`; empty where there is none.
        glibc: The version of its C library, such as `"2.36"`; empty where it is another one.
        system: `ID` and `VERSION_ID` of /etc/os-release, such as `"debian 12"`.
        cpu: The name of its processor.
        cores: Logical processors; 0 where that is not known.
        clock_mhz: The highest clock of any of them, MHz; 0 where that is not known.
        memory_bytes: All of its memory; 0 where that is not known.
        flags: Instruction sets, as /proc/cpuinfo names them.
    """

    machine: str
    model: str = ""
    bits: int = 64
    python: str = ""
    glibc: str = ""
    system: str = ""
    cpu: str = ""
    cores: int = 0
    clock_mhz: int = 0
    memory_bytes: int = 0
    flags: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, answer: Mapping[str, Any], where: str = "the device's answer") -> Facts:
        """Facts as a device's probe prints them; keys that mean nothing here are passed over, since a newer probe may tell more.

        Raises:
            ProfileError: `machine` is missing, or a value is of another type.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        return from_table(cls, {key: value for key, value in answer.items() if key in known}, where)


def detect(facts: Facts) -> Profile:
    """The profile of a machine: its board's where it is a known one, else the generic one of its architecture.

    Args:
        facts: What it tells of itself.

    Raises:
        ProfileError: The SDK knows nothing of such machines.
    """
    named = [(prefix, profile) for profile in known_profiles().values() for prefix in profile.device_tree]
    fitting = [(len(prefix), profile.name) for prefix, profile in named if facts.model.startswith(prefix)]
    if fitting:
        return known_profiles()[max(fitting)[1]]  # "Raspberry Pi 4" must not answer for "Raspberry Pi 400"
    return known_profiles()[_architecture(facts).value]


def system_for(profile: Profile, facts: Facts) -> System:
    """The operating system that a machine has: one of its profile's where it is known there, else the architecture's generic one.

    Args:
        profile: What the machine is.
        facts: What it tells of itself.

    Raises:
        ProfileError: The runtime cannot run there: no interpreter, a Python that is too old or too new, another C library. Says
            what to do.
    """
    architecture = _architecture(facts)
    own = (each for each in profile.systems if each.architecture is architecture and each.os_release)
    generic = known_systems()[f"linux-{architecture.value}"]
    system = next((each for each in own if f"{facts.system} ".startswith(f"{each.os_release} ")), generic)
    _check_system(system, facts)
    return system


def refined(profile: Profile, facts: Facts) -> Profile:
    """A profile with what a machine tells of itself in the place of what differs between machines of its kind.

    Args:
        profile: What the machine is.
        facts: What it tells of itself.

    Returns:
        With cores, clock and memory where the profile has none, and with the roofline of a PC's instruction sets.
    """
    cpu, pc = profile.cpu, profile.cpu.architecture is Architecture.X86_64
    clock = max(cpu.clock_mhz or 0, facts.clock_mhz)
    own = profile.cpu.cores is None
    cpu = dataclasses.replace(
        cpu,
        name=facts.cpu if own and facts.cpu else cpu.name,
        cores=cpu.cores or facts.cores or None,
        clock_mhz=clock or None,
        features=cpu.features or facts.flags,
        source=cpu.source or "what the machine tells of itself",
    )
    memory = profile.memory
    if not memory.sizes_mb and facts.memory_bytes:
        memory = dataclasses.replace(memory, sizes_mb=(facts.memory_bytes >> 20,))
    roofline = profile.roofline or (x86_roofline(facts.flags, clock) if pc and facts.flags else None)
    return dataclasses.replace(profile, cpu=cpu, memory=memory, roofline=roofline)


def local_facts(root: Path = Path("/")) -> Facts:
    """What this machine tells of itself.

    Args:
        root: The folder that holds `proc`, `sys` and `etc`; another one than `/` plays another machine's hardware.
    """
    board = read_board(root)
    clocks = (read_text(path) for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq"))
    release = dict(line.split("=", 1) for line in read_text(root / "etc/os-release").splitlines() if "=" in line)
    library, version = platform.libc_ver()
    return Facts(
        machine=platform.machine(),
        model=board.model,
        bits=8 * struct.calcsize("P"),
        python=platform.python_version(),
        glibc=version if library == "glibc" else "",
        system=" ".join(release.get(key, "").strip('"') for key in ("ID", "VERSION_ID")).strip(),
        cpu=board.cpu,
        cores=board.cores or os.cpu_count() or 0,
        clock_mhz=max((int(clock) // 1000 for clock in clocks if clock.isdigit()), default=0),
        memory_bytes=board.memory_bytes or 0,
        flags=_flags(read_text(root / "proc/cpuinfo")),
    )


def _architecture(facts: Facts) -> Architecture:
    found = _MACHINES.get(facts.machine.lower())
    if found is None:
        raise ProfileError(
            f"A device must be one of {', '.join(_MACHINES)}. Received: {facts.machine!r}"
            f"{f' ({facts.model})' if facts.model else ''}. No interpreter has wheels for others; take another device."
        )
    return Architecture.ARMV7 if found is Architecture.ARM64 and facts.bits == 32 else found


def _check_system(system: System, facts: Facts) -> None:
    if system.trouble:
        raise ProfileError(
            f"The runtime must have an interpreter. Received: {system.title}: {system.trouble.replace('; ', '. ', 1)}."
        )
    python = ".".join(facts.python.split(".")[:2])
    if python not in system.pythons:
        raise ProfileError(
            f"Python on {system.title} must be {' or '.join(system.pythons)}. Received: {python or 'none'}. "
            f"{_python_advice(system)}"
        )
    if version_numbers(facts.glibc) < version_numbers(system.glibc):
        raise ProfileError(
            f"The C library must be glibc {system.glibc} or later. Received: {facts.glibc or 'another one'} on "
            f"{facts.system or 'this system'}. Install a newer system."
        )


def _python_advice(system: System) -> str:
    if system.own_python:
        return f"Install one beside the system's own: {system.commands[0]}."
    return f"Use the system's own Python {system.pythons[0]}." if system.os_release else "Install one of them."


def _flags(information: str) -> tuple[str, ...]:
    """The first processor's instruction sets: `flags` on PCs, `Features` on Arm."""
    for line in information.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return tuple(value.split())
    return ()
