"""An emulated Raspberry Pi, built once beside the checkout, and served for one run of the tests with a home folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk_devices.deploy.environment import fetch_wheels
from edge_sdk_devices.emulation import EmulatedPi, Interpreter, build, find_server, serving, trouble_here
from edge_sdk_devices.emulation.environments import interpreter_system
from edge_sdk_devices.errors import DeployError, DeviceConnectionError
from edge_sdk_devices.transports import ShellTransport, open_transport

KEPT = Path(__file__).parents[2] / ".emulated"


@pytest.fixture(scope="session")
def wheels() -> Path:
    """What the board would get from the package index, fetched for it here."""
    folder = KEPT / "wheels"
    try:
        fetch_wheels(interpreter_system(Interpreter.LITERT), "3.11", folder)
    except DeployError as error:
        pytest.skip(f"no wheels for 64-bit Arm: {error}")
    return folder


@pytest.fixture(scope="session")
def board() -> EmulatedPi:
    """With an environment for the interpreter that a deployment would not choose."""
    if trouble := trouble_here():
        pytest.skip(f"no board can be emulated here: {trouble}")
    try:
        built = build(KEPT / "pi", [Interpreter.TFLITE_RUNTIME])
    except (DeviceConnectionError, DeployError) as error:
        pytest.skip(f"no board can be built here: {error}")
    if find_server(built.folder / "openssh") is None:
        pytest.skip("no OpenSSH server: install openssh-server, or name its sshd in EDGE_SDK_SSHD")
    return built


@pytest.fixture(scope="session")
def target(board: EmulatedPi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A board on which nothing has been installed yet, as a person names it."""
    with serving(board, tmp_path_factory.mktemp("pi")) as file:
        yield f"emulated:{file}"


@pytest.fixture(scope="session")
def transport(target: str) -> Iterator[ShellTransport]:
    with open_transport(target) as way:
        yield way
