"""What a board says of itself: what it is, how it is set, how warm it is, and whether it has throttled.

Everything is read below one root folder, `/` on a real board, so that a test can play any board with a few small files.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Board", "BoardState", "read_board", "read_state", "read_text"]

_PI_NOW = {
    0: "under-voltage: the supply or its cable is too weak",
    1: "Arm frequency capped",
    2: "throttled",
    3: "soft temperature limit active",
}
"""Bits of the Raspberry Pi's `get_throttled`; 16 places further up the same have been so since the board was started."""
_SINCE = 16
_ARM_PARTS = {
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xB76): "ARM1176",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}
"""Implementer and part, as /proc/cpuinfo of Arm boards has them in the place of a name (Arm's MIDR registers)."""


@dataclass(frozen=True)
class Board:
    """What a board is.

    Attributes:
        model: What it calls itself; empty where it does not, as on a PC.
        cpu: The name of its processor.
        cores: Logical processors.
        memory_bytes: All of its memory, or None where that is not known.
        kernel: The kernel's release; empty where that is not known.
    """

    model: str
    cpu: str
    cores: int
    memory_bytes: int | None
    kernel: str

    @property
    def emulated(self) -> bool:
        """Whether it is an emulation, which says so in its model; its times mean nothing for any board."""
        return "emulated" in self.model


@dataclass(frozen=True)
class BoardState:
    """How a board is at one moment.

    Attributes:
        governors: The clock governors of its processors, without repetitions.
        frequencies_mhz: Their clock rates, MHz.
        temperatures_c: Of every thermal zone, °C, by the zone's name.
        power_mode: Jetson's power mode; empty elsewhere.
        load: Average number of processes that wanted to run in the last minute, or None where that is not known.
        throttled: What limits the clock now, in words.
        throttled_since_start: What has limited it since the board was started, in words.
        counters: How often something limited the clock, by what it was; only differences have a meaning.
        readable: Whether anything that tells of throttling could be read.
    """

    governors: tuple[str, ...] = ()
    frequencies_mhz: tuple[int, ...] = ()
    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_mode: str = ""
    load: float | None = None
    throttled: tuple[str, ...] = ()
    throttled_since_start: tuple[str, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    readable: bool = False

    @property
    def hottest_c(self) -> float | None:
        """The highest temperature, °C; None where there is no thermal zone."""
        return max(self.temperatures_c.values(), default=None)


def read_board(root: Path = Path("/")) -> Board:
    """What a board is.

    Args:
        root: The folder that holds `proc` and `sys`.
    """
    information = read_text(root / "proc/cpuinfo")
    memory = next((line.split()[1] for line in _lines(root / "proc/meminfo") if line.startswith("MemTotal:")), None)
    return Board(
        model=read_text(root / "proc/device-tree/model"),
        cpu=_cpu(information),
        cores=sum(line.startswith("processor") for line in information.splitlines()) or os.cpu_count() or 1,
        memory_bytes=None if memory is None else int(memory) * 1024,
        kernel=read_text(root / "proc/sys/kernel/osrelease"),
    )


def read_state(root: Path = Path("/")) -> BoardState:
    """How a board is now.

    Args:
        root: The folder that holds `proc`, `sys` and `usr`.
    """
    clocks = sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq"))
    flags = _pi_flags(root)
    cooled = _cooled(root)
    counters = dict(_counters(root))
    load = read_text(root / "proc/loadavg").split()
    return BoardState(
        governors=tuple(dict.fromkeys(filter(None, (read_text(clock / "scaling_governor") for clock in clocks)))),
        frequencies_mhz=tuple(khz // 1000 for clock in clocks if (khz := _number(clock / "scaling_cur_freq"))),
        temperatures_c=_temperatures(root),
        power_mode=_power_mode(root),
        load=float(load[0]) if load else None,
        throttled=(*_words(flags or 0), *(cooled or ())),
        throttled_since_start=tuple(_words((flags or 0) >> _SINCE)),
        counters=counters,
        readable=flags is not None or cooled is not None or bool(counters),
    )


def read_text(path: Path) -> str:
    """What a small file of the kernel holds, stripped; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:  # also what a sensor says that is switched off
        return ""


def _cpu(information: str) -> str:
    fields: dict[str, str] = {}
    for line in information.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    if "model name" in fields and not fields["model name"].startswith("ARMv"):
        return fields["model name"]
    try:
        implementer, part = int(fields["CPU implementer"], 16), int(fields["CPU part"], 16)
    except (KeyError, ValueError):
        return fields.get("model name", "unknown")
    return _ARM_PARTS.get((implementer, part), f"Arm implementer {implementer:#x}, part {part:#x}")


def _temperatures(root: Path) -> dict[str, float]:
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        millidegrees = _number(zone / "temp")
        if millidegrees is not None and millidegrees > -40_000:  # Jetson: a zone that is off says −256 °C
            found[read_text(zone / "type") or zone.name] = millidegrees / 1000
    return found


def _pi_flags(root: Path) -> int | None:
    """A Raspberry Pi's throttle flags: from its firmware's tool, else from the kernel."""
    said = _ask(root, ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd"), "get_throttled").partition("=")[2]
    places = (read_text(path) for path in root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled"))
    for text in (said, *places):
        try:
            return int(text, 16)
        except ValueError:
            continue
    return None


def _words(flags: int) -> Iterable[str]:
    return (word for bit, word in _PI_NOW.items() if flags >> bit & 1)


def _cooled(root: Path) -> tuple[str, ...] | None:
    """Cooling by a slower clock that is at work now; None where there is no such cooling. A fan limits nothing."""
    kinds = {device: read_text(device / "type") for device in sorted(root.glob("sys/class/thermal/cooling_device*"))}
    slowing = {
        device: kind
        for device, kind in kinds.items()
        if kind.startswith(("cpufreq", "thermal-cpufreq", "Processor")) or kind.endswith("throttle-alert")
    }
    if not slowing:
        return None
    return tuple(
        f"clock lowered by {kind}" for device, kind in slowing.items() if (_number(device / "cur_state") or 0) > 0
    )


def _counters(root: Path) -> Iterable[tuple[str, int]]:
    """Events that the kernel counts: heat on PCs, over-current on Jetsons."""
    heat = [
        _number(path) for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    if heat:
        yield "core throttled by heat", sum(filter(None, heat))
    for path in sorted(root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt")):
        yield f"over-current {path.name.removesuffix('_event_cnt')}", _number(path) or 0


def _power_mode(root: Path) -> str:
    said = _ask(root, ("usr/sbin/nvpmodel",), "-q")
    modes = (line.split(":", 1)[1].strip() for line in said.splitlines() if line.startswith("NV Power Mode:"))
    return next(modes, "")


def _ask(root: Path, places: Iterable[str], *arguments: str) -> str:
    """What a board's own tool says; empty where it is not there, or not allowed to ask."""
    tool = next((root / place for place in places if (root / place).is_file()), None)
    if tool is None:
        return ""
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _number(path: Path) -> int | None:
    try:
        return int(read_text(path))
    except ValueError:
        return None


def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines()
