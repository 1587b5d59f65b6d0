from __future__ import annotations

import re
from pathlib import Path

import pytest

import edge_sdk_devices.profile
from edge_sdk_devices.errors import EdgeSdkError, ProfileError
from edge_sdk_devices.hardware import Latency
from edge_sdk_devices.profile import Kind, Profile, known_profiles, load_profile, parse_target
from edge_sdk_devices.roofline import peak_macs_per_s
from edge_sdk_devices.systems import PROFILES
from edge_sdk_runtime.packages import Runtime

LITERT, TFLITE_RUNTIME = Runtime("ai-edge-litert", "2.3.0"), Runtime("tflite-runtime", "2.14.0")
PI = (PROFILES / "raspberry-pi-4.toml").read_text(encoding="utf-8")


def test_the_public_names() -> None:
    assert edge_sdk_devices.profile.__all__ == [
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


def test_every_kind_of_device_has_a_profile() -> None:
    assert list(known_profiles()) == [
        "jetson-nano",
        "jetson-orin-nano",
        "jetson-xavier-nx",
        "raspberry-pi-3b-plus",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "raspberry-pi-zero-2-w",
        "android",
        "iphone",
        "arm64",
        "armv7",
        "x86-64",
    ]


@pytest.mark.parametrize("profile", known_profiles().values(), ids=lambda profile: profile.name)
def test_every_profile_says_what_a_person_needs_and_where_it_is_from(profile: Profile) -> None:
    assert profile.title and profile.cameras
    assert profile.runtimes, "at least one interpreter runs on every device"
    assert all(latency.source and latency.software for latency in profile.latencies)
    if profile.kind is Kind.BOARD:
        assert profile.device_tree and profile.thermal and profile.memory.sizes_mb
        assert profile.cpu.cores and profile.cpu.clock_mhz
        assert profile.cpu.source and profile.memory.source


PUBLISHED = [
    (profile, latency)
    for profile in known_profiles().values()
    for latency in profile.latencies
    if profile.roofline and latency.million_macs
]


@pytest.mark.parametrize(("profile", "latency"), PUBLISHED, ids=lambda each: getattr(each, "name", ""))
def test_no_published_latency_is_below_what_the_cores_can_do(profile: Profile, latency: Latency) -> None:
    assert latency.million_macs
    at_least_s = latency.million_macs * 1e6 / peak_macs_per_s(profile, latency.arithmetic, latency.threads)
    assert latency.milliseconds / 1e3 > at_least_s


def test_a_profile_of_ones_own_may_bring_its_own_system(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    own = '[system.ours]\ntitle = "Ours"\narchitecture = "arm64"\ninterpreter = "ai-edge-litert==2.3.0"\n'
    path.write_text(PI.replace("systems = [", 'systems = ["ours", ') + own)
    profile = load_profile(str(path))
    assert (profile.name, profile.system("ours").runtime) == ("ours", LITERT)
    assert parse_target(f"{path}:ours") == (LITERT,)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Raspberry Pi 4 Model B"\n', "", "title must be there"),
        ("[cpu]\n", "[cpu]\ncolour = 1\n", "pi.toml: cpu: fields must be among name, architecture"),
        ('name = "Cortex-A72"\n', "", "pi.toml: cpu: name must be there"),
        ("cores = 4", "cores = 0", "pi.toml: cpu: cores must be above 0"),
        ("cores = 4", 'cores = "four"', "pi.toml: cpu: cores must be a whole number. Received: 'four'"),
        ("cores = 4", "cores = true", "pi.toml: cpu: cores must be a whole number"),
        ("threads = 4", "threads = 5", "threads must be at most the cores, 4. Received: 5"),
        ('"arm64"', '"mips"', "architecture must be one of arm64, armv7, x86-64. Received: 'mips'"),
        ("sizes_mb = [", "sizes_mb = [0, ", "memory: sizes_mb must be at least 1 each"),
        ("bandwidth_gb_s = 12.8", "bandwidth_gb_s = -1", "memory: bandwidth_gb_s must be above 0"),
        ("bandwidth_gb_s = 12.8", "bandwidth_gb_s = nan", "memory: bandwidth_gb_s must be above 0"),
        ("int8_macs_per_cycle = 8", "int8_macs_per_cycle = 2", "int8_macs_per_cycle must be at least float32"),
        ("[roofline]", "[rooflines]", "fields must be among"),
        ("milliseconds = 24", "milliseconds = 0", "latencies 2: milliseconds must be above 0"),
        ('arithmetic = "int8"', 'arithmetic = "int7"', "latencies 2: arithmetic must be one of float32, int8"),
        ("systems = [", 'systems = ["windows", ', "systems must be among raspberry-pi-os-trixie-64"),
        ("systems = [", "systems = [7, ", "systems must be among"),
        ("systems = [", "system = 3\nsystems = [", "system must be a table"),
        ("device_tree = [", 'device_tree = "Pi"\ncameras2 = [', "fields must be among"),
        ('device_tree = ["Raspberry Pi 4 Model B"', 'device_tree = [4', "device_tree 1 must be text. Received: 4"),
        ('title = "Raspberry', 'title = Raspberry', "A profile must be TOML"),
    ],
)  # fmt: skip
def test_an_impossible_profile_is_refused_by_file_field_and_rule(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in PI
    path = tmp_path / "pi.toml"
    path.write_text(PI.replace(old, new, 1))
    with pytest.raises(ProfileError, match=re.escape(words)) as error:
        load_profile(str(path))
    message = str(error.value)
    assert "pi.toml" in message and "Received: " in message and "\n" not in message
    assert isinstance(error.value, EdgeSdkError | ValueError)


def test_an_unknown_device_is_refused_with_those_known() -> None:
    with pytest.raises(ProfileError, match=r"one of jetson-nano, .*Received: 'raspberry-pi-1'\. Choose one"):
        load_profile("raspberry-pi-1")


def test_a_target_stands_for_the_interpreters_of_its_systems() -> None:
    assert parse_target("raspberry-pi-4") == (LITERT, TFLITE_RUNTIME)
    assert parse_target("raspberry-pi-4:bookworm-64") == (LITERT,)
    assert parse_target("raspberry-pi-4:raspberry-pi-os-bookworm-32") == (TFLITE_RUNTIME,)
    with pytest.raises(ProfileError, match=r"A system of raspberry-pi-4 must be one of .*Received: 'windows'"):
        parse_target("raspberry-pi-4:windows")
    with pytest.raises(ProfileError, match=r"must have an interpreter.*32-bit wheels for Python 3\.13"):
        parse_target("raspberry-pi-4:trixie-32")
