"""What a user installs is the wheel, not this checkout: both are built, and the runtime's runs alone where nothing else is."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.bundles import digits_bundle, write_digit

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.wheel


def run(*command: object) -> str:
    finished = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "runtime"):
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, project)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


def top_level(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}


def test_wheels_hold_no_stray_top_level_name(wheels: dict[str, Path]) -> None:
    assert top_level(wheels["edge_sdk"]) == {"edge_sdk", "edge_sdk_converters", "edge_sdk_devices"}
    assert top_level(wheels["edge_sdk_runtime"]) == {"edge_sdk_runtime"}


def test_wheels_hold_licence_types_and_resources(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["edge_sdk"]) as archive:
        names = archive.namelist()
    assert "edge_sdk/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "edge_sdk").rglob("*") if path.suffix in (".py", ".css")
    }
    assert sources <= set(names)


def test_runtime_wheel_alone_classifies_without_tensorflow(wheels: dict[str, Path], tmp_path: Path) -> None:
    bundle, image = tmp_path / "digits.edge", tmp_path / "digit.png"
    digits_bundle().write(bundle)
    label = write_digit(image)
    venv.create(tmp_path / "device")
    pip = (sys.executable, "-m", "pip", "--python", tmp_path / "device" / "bin" / "python")
    run(*pip, "install", "--quiet", "-c", ROOT / "constraints.txt", wheels["edge_sdk_runtime"])

    installed = {line.split("==")[0].lower() for line in run(*pip, "freeze").splitlines()}
    assert not installed & {"tensorflow", "keras", "scikit-learn", "edge-sdk", "matplotlib"}

    edge_run = tmp_path / "device" / "bin" / "edge-run"
    assert "Verified" in run(edge_run, "verify", bundle)
    printed = run(edge_run, "classify", bundle, image)
    assert printed.splitlines()[0].split() == [
        "image",
        "label",
        "score",
        "preprocess",
        "embed",
        "similarity",
        "head",
        "unknown",
        "total",
    ]
    assert printed.splitlines()[1].split()[1] == label
