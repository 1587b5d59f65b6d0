"""Environments from wheels that are carried along; what is installed in them here are stand-ins, so that no index is asked."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_sdk_devices.deploy import DeployPlan, probe, runtime_wheel
from edge_sdk_devices.deploy.environment import prepare_environment
from edge_sdk_devices.deploy.remote import Remote, State
from edge_sdk_devices.errors import DeployError, DeviceFullError
from edge_sdk_devices.transports import LocalTransport
from edge_sdk_runtime.version import __version__
from tests.devices.test_deploy import VERIFIES, Device

pytestmark = pytest.mark.usefixtures("one_python")


def stand_in(folder: Path, distribution: str, version: str) -> None:
    """A wheel of an empty distribution."""
    stem = f"{distribution.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        about = f"{stem}.dist-info"
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")


def test_the_runtime_is_a_wheel_with_all_of_it() -> None:
    wheel = runtime_wheel()
    assert wheel == runtime_wheel() and wheel.version == __version__
    assert wheel.name == f"edge_sdk_runtime-{__version__}-py3-none-any.whl"
    path = Path(__file__).parents[2] / "runtime" / "edge_sdk_runtime"
    sources = {f"edge_sdk_runtime/{file.relative_to(path)}" for file in path.rglob("*.py")}
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        names = set(archive.namelist())
        record = archive.read(f"edge_sdk_runtime-{__version__}.dist-info/RECORD").decode().splitlines()
    assert sources | {"edge_sdk_runtime/py.typed", "edge_sdk_runtime/releases.json"} <= names
    assert {line.split(",")[0] for line in record} == names
    assert not any("__pycache__" in name for name in names)


def test_an_environment_is_made_from_wheels_carried_along_and_found_again(tmp_path: Path) -> None:
    wheelhouse, home = tmp_path / "wheels", tmp_path / "home"
    wheelhouse.mkdir()
    device = LocalTransport(home)
    found = probe(device)
    remote, told = Remote(device, found.python), []
    plan = DeployPlan(tmp_path / "x.edge", wheelhouse=wheelhouse)
    nothing = State((), {})
    with pytest.raises(DeployError, match="must be a folder of wheels"):
        prepare_environment(plan, found, nothing, remote, told.append)
    stand_in(wheelhouse, "numpy", "2.4.1")
    stand_in(wheelhouse, "opencv-python-headless", "5.0.0")
    root = home / ".local/share/edge-sdk"
    stand_in(wheelhouse, "ai-edge-litert", "2.3.0")
    path = prepare_environment(plan, found, nothing, remote, told.append)
    command = [
        f"{path}/bin/python",
        "-I",
        "-c",
        "import edge_sdk_runtime.version as v; print(v.__version__, v.__file__)",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{__version__} {path}") and (Path(path) / "bin" / "edge-run").exists()
    state = remote.state()
    assert state.environments == (Path(path).name,) and not (root / "wheelhouse").exists()
    assert prepare_environment(plan, found, state, remote, told.append) == path and "is there" in told[-1]
    remote.act("prune", "nothing needs it")
    assert not list((root / "environments").iterdir())


def test_a_device_without_room_or_venv_is_told(tmp_path: Path) -> None:
    device = Device(tmp_path / "home", VERIFIES)
    found, plan = probe(device), DeployPlan(tmp_path / "x.edge")
    remote = Remote(device, sys.executable)
    with pytest.raises(DeviceFullError, match=r"must have 500 MB free .* Received: 7 MB"):
        prepare_environment(
            plan, dataclasses.replace(found, free_bytes=7_000_000), State((), {}), remote, lambda what: None
        )
    with pytest.raises(DeployError, match="sudo apt install python3-venv"):
        prepare_environment(plan, dataclasses.replace(found, complete=False), State((), {}), remote, lambda what: None)
