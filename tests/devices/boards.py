"""What boards tell of themselves, as their kernels and distributions write it, and profiles with figures that are easy to reckon with."""

from __future__ import annotations

import dataclasses
from typing import Any

from edge_sdk_devices.costs import LayerCost
from edge_sdk_devices.detect import Facts
from edge_sdk_devices.hardware import Arithmetic, Cpu, Memory, Roofline
from edge_sdk_devices.profile import Kind, Profile, load_profile
from edge_sdk_devices.systems import Architecture

_TRIXIE: dict[str, Any] = {"machine": "aarch64", "python": "3.13.5", "glibc": "2.41", "system": "debian 13"}
_BOOKWORM: dict[str, Any] = {"machine": "aarch64", "python": "3.11.2", "glibc": "2.36", "system": "debian 12"}
_BOOKWORM_32 = _BOOKWORM | {"bits": 32, "system": "raspbian 12"}
_JETPACK_6: dict[str, Any] = {"machine": "aarch64", "python": "3.10.12", "glibc": "2.35", "system": "ubuntu 22.04"}

BOARDS = {
    "raspberry-pi-zero-2-w": Facts(model="Raspberry Pi Zero 2 W Rev 1.0", **_BOOKWORM),
    "raspberry-pi-3b-plus": Facts(model="Raspberry Pi 3 Model B Plus Rev 1.3", **_BOOKWORM_32 | {"machine": "armv7l"}),
    "raspberry-pi-4": Facts(model="Raspberry Pi 4 Model B Rev 1.4", **_BOOKWORM_32),
    "raspberry-pi-5": Facts(model="Raspberry Pi 5 Model B Rev 1.0", **_TRIXIE),
    "jetson-nano": Facts(
        model="NVIDIA Jetson Nano Developer Kit",
        machine="aarch64",
        python="3.11.9",
        glibc="2.27",
        system="ubuntu 18.04",
    ),
    "jetson-xavier-nx": Facts(
        model="NVIDIA Jetson Xavier NX Developer Kit",
        machine="aarch64",
        python="3.11.9",
        glibc="2.31",
        system="ubuntu 20.04",
    ),
    "jetson-orin-nano": Facts(model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", **_JETPACK_6),
    "arm64": Facts(model="Radxa ROCK 5B", **_BOOKWORM),
    "armv7": Facts(machine="armv7l", bits=32, python="3.11.2", glibc="2.36", system="debian 12"),
    "x86-64": Facts(machine="x86_64", python="3.12.3", glibc="2.39", system="ubuntu 24.04"),
}
"""By the profile that each must get."""


def round_profile(bandwidth_gb_s: float | None = 1.0, cache_kb: int | None = 1, cores: int = 4) -> Profile:
    """1 GHz; one float32 or four int8 products per cycle and core."""
    return Profile(
        "round",
        "A round board",
        Kind.BOARD,
        Cpu("core", Architecture.ARM64, cores, 1000),
        load_profile("arm64").systems,
        Memory(bandwidth_gb_s=bandwidth_gb_s, cache_kb=cache_kb, source="made up"),
        roofline=Roofline(1, 4, "made up"),
    )


def layer(macs: int = 0, weight_bytes: int = 0, **changes: Any) -> LayerCost:
    """A float32 layer of the interpreter's."""
    return dataclasses.replace(LayerCost("layer", "CONV_2D", Arithmetic.FLOAT32, macs, weight_bytes), **changes)
