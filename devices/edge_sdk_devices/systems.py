"""Operating systems of boards: their Python and C library, which interpreter has wheels for them, and what pip must be told.

One file, `profiles/systems.toml`, holds them all, since boards share them. What it pins is also written out as constraint files
for people, beside the notes of each kind of board; `python -m edge_sdk_devices.resolve` asks pip whether they hold.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from edge_sdk_runtime.errors import UsageError
from edge_sdk_runtime.packages import Runtime, version_numbers
from edge_sdk_runtime.releases import parse_runtime

from .errors import ProfileError
from .tables import from_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PROFILES", "Architecture", "System", "distinct_runtimes", "known_systems", "read_toml"]

PROFILES = Path(__file__).with_name("profiles")
"""The folder of the profiles that come with the SDK."""
_RUNTIME = "edge-sdk-runtime"
_MANYLINUX = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_36", "2_38", "2_39", "2_41")
"""Tags of C libraries that wheels are published for."""


class Architecture(str, Enum):
    """What machine code a processor runs."""

    ARM64 = "arm64"
    """64-bit Arm: `aarch64` to Linux."""
    ARMV7 = "armv7"
    """32-bit Arm: `armv7l` to Linux."""
    X86_64 = "x86-64"

    @property
    def machine(self) -> str:
        """What Linux and wheels call it."""
        return {Architecture.ARM64: "aarch64", Architecture.ARMV7: "armv7l", Architecture.X86_64: "x86_64"}[self]


@dataclass(frozen=True)
class System:
    """An operating system that a kind of board has.

    Attributes:
        name: What it is called here, such as `"raspberry-pi-os-bookworm-64"`.
        title: What people call it.
        architecture: Of its programs, which may be narrower than its processor.
        pythons: Versions that bundles can run with there, such as `"3.11"`; of a distribution, its own.
        glibc: Its C library, such as `"2.36"`; empty where wheels play no part.
        interpreter: A release that runs there, such as `"ai-edge-litert==2.3.0"`; empty where there is none.
        constraints: All that pip installs beside the runtime, pinned.
        os_release: What `ID` and `VERSION_ID` of its /etc/os-release begin with, such as `"debian 12"`.
        own_python: The distribution's Python where that is too old, and one of `pythons` has to be installed beside it.
        extra_index: A package index that some of the constraints come from, beside PyPI.
        trouble: Why the runtime does not run there; empty where it does.
        notes: What a person must know, one sentence each.
    """

    name: str
    title: str
    architecture: Architecture
    pythons: tuple[str, ...] = ()
    glibc: str = ""
    interpreter: str = ""
    constraints: tuple[str, ...] = ()
    os_release: str = ""
    own_python: str = ""
    extra_index: str = ""
    trouble: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.trouble and not self.interpreter:
            raise ProfileError("interpreter must be named. Received: none. Name a release, or tell the trouble.")
        if self.interpreter:
            _check_interpreter(self.interpreter)
        for pin in self.constraints:
            if not all(pin.partition("==")):
                raise ProfileError(f"constraints must pin one release each. Received: {pin!r}. Write name==version.")
        for version in (*self.pythons, *filter(None, (self.glibc,))):
            if len(version_numbers(version)) != 2:
                raise ProfileError(f"pythons and glibc must be major.minor. Received: {version!r}. Mend the version.")

    @property
    def runtime(self) -> Runtime | None:
        """The interpreter as the gate knows it; None where there is none."""
        return parse_runtime(self.interpreter) if self.interpreter else None

    @property
    def bits(self) -> int:
        """Width of its programs' addresses."""
        return 32 if self.architecture is Architecture.ARMV7 else 64

    @property
    def constraints_file(self) -> str:
        """What its constraint file is called."""
        return f"constraints-{self.name}.txt"

    @property
    def platforms(self) -> tuple[str, ...]:
        """The tags of wheels that install there, newest C library first, as `pip --platform` takes them."""
        own, machine = version_numbers(self.glibc), self.architecture.machine
        fitting = [tag for tag in _MANYLINUX if version_numbers(tag.replace("_", ".")) <= own]
        return (
            *(f"manylinux_{tag}_{machine}" for tag in reversed(fitting)),
            f"manylinux2014_{machine}",
            f"linux_{machine}",
        )

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the runtime asks for there, pinned where the system pins it: installed first, the runtime may go without its own."""
        pins = {pin.partition("==")[0]: pin for pin in self.constraints}
        asked = (
            self.interpreter,
            pins.get("numpy", "numpy>=1.26"),
            pins.get("opencv-python-headless", "opencv-python-headless>=4.10"),
        )
        return asked if self.constraints else ()

    @property
    def commands(self) -> tuple[str, ...]:
        """The lines that install the runtime there, from the folder that holds the constraint file."""
        if self.trouble or not self.constraints:
            return ()
        pip = f"~/edge/bin/pip install{f' --extra-index-url {self.extra_index}' if self.extra_index else ''}"
        if self.architecture is Architecture.ARMV7:
            # Under a 64-bit kernel a 32-bit Python says aarch64, for which the runtime would ask for LiteRT.
            return (self._make_environment, f"{pip} {self._pins('-r')}", f"{pip} --no-deps {_RUNTIME}")
        return (self._make_environment, f"{pip} {self._pins('-c')} {_RUNTIME}")

    def _pins(self, option: str) -> str:
        """The pins of a distribution as its file, those of any other system in place."""
        return f"{option} {self.constraints_file}" if self.os_release else " ".join(self.constraints)

    @property
    def _make_environment(self) -> str:
        return f"uv venv --seed --python {self.pythons[-1]} ~/edge" if self.own_python else "python3 -m venv ~/edge"

    def constraints_text(self) -> str:
        """The content of its constraint file."""
        python = " or ".join(self.pythons)
        return "\n".join([f"# {self.title}: Python {python}, glibc {self.glibc}", *self.constraints, ""])


@functools.cache
def known_systems() -> dict[str, System]:
    """Every operating system that comes with the SDK, by name."""
    path = PROFILES / "systems.toml"
    tables = read_toml(path.read_text(encoding="utf-8"), path.name)["system"]
    return {name: from_table(System, {"name": name, **table}, f"{path.name}: {name}") for name, table in tables.items()}


def read_toml(text: str, source: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ProfileError: It is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"A profile must be TOML. Received: {source} ({error}). Mend that line.") from error


def distinct_runtimes(systems: Sequence[System]) -> tuple[Runtime, ...]:
    """The interpreters of some systems, without repetitions."""
    return tuple(dict.fromkeys(each.runtime for each in systems if each.runtime and not each.trouble))


def _check_interpreter(interpreter: str) -> None:
    try:
        parse_runtime(interpreter)
    except UsageError as error:
        raise ProfileError(f"interpreter: {error}") from error
