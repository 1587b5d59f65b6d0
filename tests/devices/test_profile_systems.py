from __future__ import annotations

import dataclasses
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edge_sdk_devices import resolve
from edge_sdk_devices.errors import ProfileError
from edge_sdk_devices.systems import System, known_systems

ROOT = Path(__file__).parents[2]
INSTALLABLE = [each for each in known_systems().values() if each.constraints]
DISTRIBUTIONS = [each for each in INSTALLABLE if each.os_release]


def test_constraint_files_hold_what_the_systems_pin(tmp_path: Path) -> None:
    for kind in set(resolve.FOLDERS.values()):
        (tmp_path / kind).mkdir()
    written = {path.relative_to(tmp_path): path.read_text() for path in resolve.write_constraints(tmp_path)}
    kept = {path.relative_to(ROOT / "devices") for path in (ROOT / "devices").glob("*/constraints-*.txt")}
    assert kept == set(written), "python -m edge_sdk_devices.resolve --write devices"
    for path, text in written.items():
        assert (ROOT / "devices" / path).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("system", DISTRIBUTIONS, ids=lambda system: system.name)
def test_pins_are_what_the_runtime_asks_for(system: System) -> None:
    there = {"platform_machine": system.architecture.machine, "python_version": system.pythons[0], "extra": ""}
    pins = dict(pin.split("==") for pin in system.constraints)
    for text in metadata.requires("edge-sdk-runtime") or []:
        asked = Requirement(text)
        if asked.marker is None or asked.marker.evaluate(there):
            assert asked.specifier.contains(pins[asked.name]), f"{system.name}: {asked}"
    assert system.interpreter in system.constraints


def test_bookworm_stays_with_numpy_1_and_trixie_does_not() -> None:
    versions = {
        name: dict(pin.split("==") for pin in each.constraints).get("numpy") for name, each in known_systems().items()
    }
    assert versions["raspberry-pi-os-bookworm-64"] == versions["raspberry-pi-os-bookworm-32"] == "1.26.4"
    assert str(versions["raspberry-pi-os-trixie-64"]).startswith("2.")


def test_what_a_person_types() -> None:
    systems = known_systems()
    assert systems["raspberry-pi-os-trixie-64"].commands == (
        "python3 -m venv ~/edge",
        "~/edge/bin/pip install -c constraints-raspberry-pi-os-trixie-64.txt edge-sdk-runtime",
    )
    assert systems["jetpack-4"].commands[0] == "uv venv --seed --python 3.11 ~/edge", "its own Python is 3.6"
    narrow = systems["raspberry-pi-os-bookworm-32"]
    assert narrow.bits == 32 and all("https://www.piwheels.org/simple" in line for line in narrow.commands[1:])
    assert narrow.commands[2].endswith("--no-deps edge-sdk-runtime"), "its kernel may say aarch64"
    assert systems["raspberry-pi-os-trixie-32"].commands == () == systems["browser"].commands


def test_what_the_runtime_asks_for_is_pinned_where_the_system_pins_it() -> None:
    systems = known_systems()
    assert systems["jetpack-6"].requirements == (
        "ai-edge-litert==2.3.0",
        "numpy==2.2.6",
        "opencv-python-headless==5.0.0.93",
    )
    assert systems["linux-arm64"].requirements == (
        "ai-edge-litert==2.3.0",
        "numpy>=1.26",
        "opencv-python-headless>=4.10",
    )
    assert systems["browser"].requirements == (), "nothing is installed on a phone"


def test_platforms_are_the_tags_that_a_c_library_takes() -> None:
    tags = known_systems()["jetpack-4"].platforms
    assert tags[0] == "manylinux_2_27_aarch64" and "manylinux2014_aarch64" in tags
    assert not any("2_28" in tag or "x86_64" in tag for tag in tags)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interpreter": ""}, "interpreter must be named"),
        ({"interpreter": "tflite-runtime==9.9"}, "A runtime must be one of"),
        ({"constraints": ("numpy>=2",)}, "constraints must pin one release each. Received: 'numpy>=2'"),
        ({"pythons": ("3",)}, "pythons and glibc must be major.minor. Received: '3'"),
        ({"glibc": "new"}, "pythons and glibc must be major.minor. Received: 'new'"),
    ],
)
def test_an_impossible_system_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        dataclasses.replace(known_systems()["jetpack-6"], **changes)  # type: ignore[arg-type]


def test_pip_is_asked_for_the_system_and_not_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels without content, for another machine, in the place of the package index."""
    for name, version, tag in (
        ("ai_edge_litert", "2.3.0", "cp310-cp310-manylinux_2_27_aarch64"),
        ("numpy", "2.2.6", "cp310-cp310-manylinux_2_17_aarch64"),
        ("numpy", "2.3.0", "cp311-cp311-manylinux_2_27_aarch64"),
        ("opencv_python_headless", "5.0.0.93", "cp37-abi3-manylinux_2_28_aarch64"),
    ):
        wheel(tmp_path, name, version, tag)
    for variable, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(tmp_path)), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(variable, value)
    found = resolve.resolve(known_systems()["jetpack-6"], "3.10")
    assert found.releases == ("ai-edge-litert==2.3.0", "numpy==2.2.6", "opencv-python-headless==5.0.0.93")
    assert resolve.main(["jetpack-4"]) == 1, "for it there is no wheel of the interpreter here"


def wheel(folder: Path, name: str, version: str, tag: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
