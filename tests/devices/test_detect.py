from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edge_sdk_devices.detect import Facts, detect, local_facts, refined, system_for
from edge_sdk_devices.errors import ProfileError
from edge_sdk_devices.hardware import Arithmetic
from edge_sdk_devices.isa import x86_roofline
from edge_sdk_devices.profile import known_profiles, load_profile
from edge_sdk_devices.roofline import peak_macs_per_s
from tests.devices.boards import BOARDS
from tests.runtime.bench.boards import JETSON, PI, board


@pytest.mark.parametrize(("name", "facts"), BOARDS.items())
def test_every_board_is_known_by_what_it_calls_itself(name: str, facts: Facts) -> None:
    assert detect(facts).name == name


SYSTEMS = {
    "raspberry-pi-zero-2-w": "raspberry-pi-os-bookworm-64",
    "raspberry-pi-3b-plus": "raspberry-pi-os-bookworm-32",
    "raspberry-pi-4": "raspberry-pi-os-bookworm-32",
    "raspberry-pi-5": "raspberry-pi-os-trixie-64",
    "jetson-nano": "jetpack-4",
    "jetson-xavier-nx": "jetpack-5",
    "jetson-orin-nano": "jetpack-6",
    "arm64": "linux-arm64",
    "armv7": "linux-armv7",
    "x86-64": "linux-x86-64",
}


@pytest.mark.parametrize(("name", "system"), SYSTEMS.items())
def test_every_board_gets_the_system_that_it_has(name: str, system: str) -> None:
    facts = BOARDS[name]
    assert system_for(detect(facts), facts).name == system


def test_relatives_of_a_board_are_its_kind_and_strangers_are_not() -> None:
    def kind(model: str) -> str:
        return detect(dataclasses.replace(BOARDS["arm64"], model=model)).name

    assert kind("Raspberry Pi 400 Rev 1.0") == kind("Raspberry Pi Compute Module 4 Rev 1.0") == "raspberry-pi-4"
    assert kind("Raspberry Pi 500 Rev 1.0") == "raspberry-pi-5"
    assert kind("Raspberry Pi 3 Model B Rev 1.2") == kind("") == "arm64"


def test_another_distribution_on_a_known_board_is_any_linux() -> None:
    facts = dataclasses.replace(BOARDS["raspberry-pi-5"], system="ubuntu 24.04", python="3.12.3")
    assert system_for(detect(facts), facts).name == "linux-arm64"


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("raspberry-pi-4", {"machine": "armv6l"}, r"must be one of aarch64.*'armv6l' \(Raspberry Pi 4 Model B Rev 1.4\)"),
        ("x86-64", {"machine": "riscv64"}, "Received: 'riscv64'. No interpreter has wheels"),
        ("raspberry-pi-4", {"system": "raspbian 13", "python": "3.13.5"}, "neither LiteRT nor tflite-runtime.*install the 64-bit"),
        ("raspberry-pi-zero-2-w", {"system": "debian 11", "python": "3.9.2"}, r"Python 3\.9 is too old .*install Bookworm"),
        ("jetson-nano", {"python": "3.6.9"}, r"must be 3\.11\. Received: 3\.6\. Install one beside .*: uv venv --seed"),
        ("raspberry-pi-5", {"python": "3.12.1"}, r"must be 3\.13\. Received: 3\.12\. Use the system's own"),
        ("armv7", {"python": "3.12.1"}, r"must be 3\.10 or 3\.11\. Received: 3\.12\. Install one of them"),
        ("x86-64", {"python": "3.14.0"}, r"Received: 3\.14"),
        ("x86-64", {"python": ""}, "Received: none"),
        ("x86-64", {"glibc": ""}, r"glibc 2\.27 or later\. Received: another one"),
        ("x86-64", {"glibc": "2.17"}, r"glibc 2\.27 or later\. Received: 2\.17"),
    ],
)  # fmt: skip
def test_where_the_runtime_cannot_run_it_is_said_what_to_do(name: str, changes: dict[str, str], words: str) -> None:
    facts = dataclasses.replace(BOARDS[name], **changes)  # type: ignore[arg-type]
    with pytest.raises(ProfileError, match=words) as error:
        system_for(detect(facts), facts)
    assert "Received: " in str(error.value) and "\n" not in str(error.value)


def test_facts_come_from_a_probe_and_newer_probes_may_tell_more() -> None:
    answer = {"machine": "aarch64", "bits": 64, "flags": ["fp", "asimd"], "smell": "of dust"}
    assert Facts.from_json(answer) == Facts("aarch64", flags=("fp", "asimd"))
    with pytest.raises(ProfileError, match=r"pi@raspberrypi: bits must be a whole number\. Received: '64'"):
        Facts.from_json({**answer, "bits": "64"}, "pi@raspberrypi")
    with pytest.raises(ProfileError, match="machine must be there"):
        Facts.from_json({"bits": 64})


def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    release = {"etc/os-release": 'PRETTY_NAME="x"\nVERSION_ID="12"\nID=debian\n'}
    clock = {"sys/devices/system/cpu/cpu3/cpufreq/cpuinfo_max_freq": "1800000\n"}
    facts = local_facts(board(tmp_path / "pi", {**PI, **release, **clock}))
    assert (facts.model, facts.system, facts.cores, facts.clock_mhz) == (
        "Raspberry Pi 4 Model B Rev 1.4", "debian 12", 4, 1800,
    )  # fmt: skip
    assert detect(facts).name == "raspberry-pi-4"
    assert local_facts(board(tmp_path / "jetson", JETSON)).clock_mhz == 0


def test_this_machine_is_known() -> None:
    profile = refined(detect(local_facts()), local_facts())
    assert profile.name in known_profiles() and profile.cpu.cores


def test_a_generic_profile_is_filled_by_the_machine_and_a_board_stays_what_it_is() -> None:
    told = Facts(
        "x86_64", cpu="Some CPU", cores=8, clock_mhz=3000, memory_bytes=16 << 30, flags=("sse2", "avx", "avx2")
    )
    pc = refined(load_profile("x86-64"), told)
    assert (pc.cpu.name, pc.cpu.cores, pc.cpu.clock_mhz, pc.memory.sizes_mb) == ("Some CPU", 8, 3000, (16384,))
    assert peak_macs_per_s(pc, Arithmetic.FLOAT32, 2) == 2 * 3e9 * 16
    silent = refined(load_profile("x86-64"), dataclasses.replace(told, clock_mhz=0))
    assert peak_macs_per_s(silent, Arithmetic.FLOAT32, 1) == 6.2e9 * 16 and silent.cpu.clock_mhz is None
    pi = load_profile("raspberry-pi-4")
    assert refined(pi, Facts("aarch64", cores=2, cpu="x")).cpu.cores == 4
    assert refined(pi, Facts("aarch64", clock_mhz=2000)).cpu.clock_mhz == 2000, "an overclocked board"


@pytest.mark.parametrize(
    ("flags", "float32", "int8"),
    [
        ("sse2", 8, 16),
        ("sse2 ssse3", 8, 32),
        ("sse2 ssse3 avx avx2 fma", 16, 64),
        ("sse2 ssse3 avx avx2 avx512f avx512bw", 32, 128),
        ("sse2 ssse3 avx avx2 avx512f avx512bw avx512_vnni", 32, 128),
        ("sse2 ssse3 avx avx2 avx512f avx512bw avx512_vnni amx_int8", 32, 1024),
    ],
)
def test_the_widest_instructions_bound_a_pc(flags: str, float32: int, int8: int) -> None:
    roofline = x86_roofline(flags.split(), 3000)
    assert (roofline.float32_macs_per_cycle, roofline.int8_macs_per_cycle) == (float32, int8)
