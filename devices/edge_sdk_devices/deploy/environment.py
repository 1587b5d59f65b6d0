"""The Python environment of a device: found, or made from the index or from wheels that are carried along."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_sdk_runtime.cache import cache_status

from ..errors import DeployError, DeviceFullError
from ..systems import Architecture, System
from .plan import ROOT, DeployPlan
from .probe import Probe
from .remote import Remote, State, home_quoted
from .wheel import RuntimeWheel, runtime_wheel

__all__ = ["fetch_wheels", "prepare_environment"]

_NEEDED_BYTES = 500_000_000
"""NumPy, OpenCV and an interpreter unpacked, and the wheels beside them while they are."""
_INSTALL_S = 3600.0
"""A Raspberry Pi Zero takes minutes to unpack OpenCV."""


def prepare_environment(
    plan: DeployPlan, found: Probe, state: State, remote: Remote, told: Callable[[str], None]
) -> str:
    """The path of an environment with this runtime; made where there is none.

    Args:
        plan: What is to be deployed, and how.
        found: What the device is.
        state: What is deployed there.
        remote: Actions on it.
        told: Is told what is being done.

    Raises:
        DeviceError: It cannot be made; nothing is left of it.
    """
    if plan.environment:
        return _given(plan.environment, found, remote)
    wheel, system = runtime_wheel(), found.usable_system
    name, ready = _name(plan, system, found, state, wheel)
    if ready:
        told(f"environment {name} is there")
        return f"{found.home}/{ROOT[2:]}/environments/{name}"
    _check_room(found, remote)
    carried = _carry_wheels(plan, system, found, remote, told)
    wheel_path = f"{ROOT}/wheelhouse/{wheel.name}"
    remote.transport.put(wheel.content, _absolute(wheel_path, found))
    told(f"making environment {name}: {', '.join(_requirements(system))} and the runtime {wheel.version}")
    answer = remote.act(
        "environment",
        "The runtime must be installable",
        _INSTALL_S,
        name=name,
        wheel=wheel_path,
        runtime=wheel.version,
        requirements=_requirements(system),
        constraints=system.constraints_text(),
        extra_index=system.extra_index,
        wheelhouse=f"{ROOT}/wheelhouse" if carried else "",
        system_packages=plan.system_packages,
        # Under a 64-bit kernel a 32-bit Python says aarch64, for which the runtime would ask for LiteRT.
        alone=system.architecture is Architecture.ARMV7,
    )
    return str(answer["path"])


def fetch_wheels(system: System, python: str, folder: Path) -> tuple[Path, ...]:
    """Fetch the wheels that a system needs, on this machine, from the package index; those that are there stay.

    Args:
        system: The device's.
        python: Its Python, such as `"3.11"`.
        folder: Where they go.

    Returns:
        Every wheel in the folder.

    Raises:
        DeployError: The index does not answer, or has no such wheels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    constraints = folder / system.constraints_file
    constraints.write_text(system.constraints_text(), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += [f"--platform={tag}" for tag in system.platforms]
    command += [f"--extra-index-url={system.extra_index}"] if system.extra_index else []
    command += ["--constraint", str(constraints), *_requirements(system)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise DeployError(
            f"The wheels for {system.title} must be on the index. Received: {lines[-1] if lines else 'pip failed'}. "
            "Carry them along with --wheelhouse."
        )
    return tuple(sorted(folder.glob("*.whl")))


def _requirements(system: System) -> list[str]:
    return list(system.requirements) or [system.interpreter, "numpy>=1.26", "opencv-python-headless>=4.10"]


def _name(plan: DeployPlan, system: System, found: Probe, state: State, wheel: RuntimeWheel) -> tuple[str, bool]:
    """The name of the environment, and whether it is there; what it holds decides its name."""
    parts = (wheel.digest, system.constraints_text(), *_requirements(system), found.facts.python, plan.system_packages)
    base = f"{wheel.version}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"
    same = [name for name in state.environments if name.partition("+")[0] == base]
    if not plan.fresh:
        return (max(same, key=_number), True) if same else (base, False)
    return f"{base}+{max(map(_number, same), default=0) + 1}", False


def _number(name: str) -> int:
    return int(name.partition("+")[2] or 0)


def _given(environment: str, found: Probe, remote: Remote) -> str:
    path = _absolute(environment.rstrip("/"), found)
    ask = "from importlib.metadata import version; print(version('edge-sdk-runtime'))"
    done = remote.transport.run(f"{home_quoted(f'{path}/bin/python')} -c {shlex.quote(ask)}")
    if done.status:
        raise DeployError(
            f"An environment must hold the runtime. Received: {environment} on {remote.transport.address} ({done.reason}). "
            f"Run there: {environment}/bin/pip install edge-sdk-runtime"
        )
    return path


def _absolute(path: str, found: Probe) -> str:
    if path.startswith("~/"):
        return f"{found.home}/{path[2:]}"
    return path if path.startswith("/") else f"{found.home}/{path}"


def _check_room(found: Probe, remote: Remote) -> None:
    if not found.complete:
        raise DeployError(
            f"Python on the device must be able to make environments. Received: {found.python} on {remote.transport.address}, "
            "without venv, or without pip and ensurepip. Run there: sudo apt install python3-venv"
        )
    if found.free_bytes < _NEEDED_BYTES:
        raise DeviceFullError(
            f"The device's disk must have {_NEEDED_BYTES / 1e6:.0f} MB free for the runtime. Received: "
            f"{found.free_bytes / 1e6:.0f} MB on {remote.transport.address}. Free some space there, then run the same command again."
        )


def _carry_wheels(plan: DeployPlan, system: System, found: Probe, remote: Remote, told: Callable[[str], None]) -> bool:
    """Copy wheels to the device where it is not to ask an index; those that have arrived before stay."""
    if plan.wheelhouse is None and not plan.offline:
        return False
    wheels = _wheels(plan, system, found, told)
    there = _there(remote)
    for wheel in wheels:
        if there.get(wheel.name) != wheel.stat().st_size:
            told(f"carrying {wheel.name}")
            remote.transport.put(wheel, _absolute(f"{ROOT}/wheelhouse/{wheel.name}", found), timeout=_INSTALL_S)
    return True


def _wheels(plan: DeployPlan, system: System, found: Probe, told: Callable[[str], None]) -> tuple[Path, ...]:
    if plan.wheelhouse is None:
        python = ".".join(found.facts.python.split(".")[:2])
        kept = cache_status()
        if kept.folder is None or kept.problem:
            raise DeployError(f"Fetched wheels must be kept in the cache. Received: {kept}. Or use --wheelhouse.")
        told(f"fetching wheels for {system.title}")
        return fetch_wheels(system, python, kept.folder / "wheelhouses" / f"{system.name}-{python}")
    wheels = tuple(sorted(plan.wheelhouse.glob("*.whl")))
    if not wheels:
        raise DeployError(
            f"A wheelhouse must be a folder of wheels. Received: {plan.wheelhouse}, which holds none. "
            f"Fill it, or use --offline, which fetches them."
        )
    return wheels


def _there(remote: Remote) -> dict[str, Any]:
    folder = home_quoted(f"{ROOT}/wheelhouse")
    done = remote.transport.run(f'cd {folder} 2>/dev/null && for w in *.whl; do wc -c "$w"; done; true')
    pairs = (line.split(None, 1) for line in done.text.splitlines() if line.strip())
    return {name: int(size) for size, name in pairs}
