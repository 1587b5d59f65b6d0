"""Environments of an emulated board with an interpreter of one's choice, to be deployed into as they are."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from ..deploy.environment import fetch_wheels
from ..deploy.wheel import runtime_wheel
from ..errors import DeviceError
from ..systems import System, known_systems
from .board import EmulatedPi, Interpreter

__all__ = ["interpreter_system", "make_environment"]

_READY = "ready"


def interpreter_system(interpreter: Interpreter) -> System:
    """Raspberry Pi OS Bookworm, 64-bit, with an interpreter: its own one, or that of the 32-bit system."""
    systems = known_systems()
    own, narrow = systems["raspberry-pi-os-bookworm-64"], systems["raspberry-pi-os-bookworm-32"]
    if interpreter is Interpreter.LITERT:
        return own
    return dataclasses.replace(own, interpreter=narrow.interpreter, constraints=narrow.constraints)


def make_environment(board: EmulatedPi, interpreter: Interpreter, told: Callable[[str], None]) -> Path:
    """Make an environment with an interpreter and this runtime, or find it made.

    Args:
        board: A board that is built.
        interpreter: Which one.
        told: Is told what is being done.

    Returns:
        Its folder.

    Raises:
        DeployError: The wheels cannot be fetched.
        DeviceError: They cannot be installed.
    """
    system, wheel = interpreter_system(interpreter), runtime_wheel()
    folder = board.environment(interpreter)
    made_of = hashlib.sha256(f"{system.constraints_text()}{wheel.digest}".encode()).hexdigest()
    if (folder / _READY).is_file() and (folder / _READY).read_text(encoding="utf-8") == made_of:
        return folder
    told(f"making an environment with {system.interpreter}")
    wheels = board.folder / "wheels" / interpreter.value
    fetch_wheels(system, "3.11", wheels)
    shutil.rmtree(folder, ignore_errors=True)
    write_atomically(wheels.parent / wheel.name, wheel.content)
    _run(board, "-m", "venv", "--without-pip", str(folder))
    pip = ["-m", "pip", "--python", str(folder / "bin/python"), "install", "--quiet", "--no-compile", "--no-input"]
    pip += ["--disable-pip-version-check", "--no-index", "--find-links", str(wheels)]
    _run(board, *pip, "--constraint", str(wheels / system.constraints_file), *system.requirements)
    # Alone: on 64 bits the runtime asks for LiteRT, which is not what was chosen here.
    _run(board, *pip, "--no-deps", str(wheels.parent / wheel.name))
    write_atomically(folder / _READY, made_of.encode())
    return folder


def _run(board: EmulatedPi, *words: str) -> None:
    """Run the board's Python."""
    command = [str(board.python), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=board.variables(board.folder), cwd=board.folder
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise DeviceError(
            f"The emulated board must be able to install wheels. Received: {lines[-1] if lines else done.returncode}. "
            f"Delete {board.folder} and build it again."
        )
