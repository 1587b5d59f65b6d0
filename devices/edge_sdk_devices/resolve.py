"""Whether what a system's constraints pin can be installed there: asked from pip, for that system, on any machine.

```sh
python -m edge_sdk_devices.resolve                    # every system, from the package index
python -m edge_sdk_devices.resolve jetpack-6          # one
python -m edge_sdk_devices.resolve --write devices    # write the constraint files into devices/raspberry_pi and devices/jetson
```
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from .systems import System, known_systems

__all__ = ["FOLDERS", "Resolution", "main", "resolve", "write_constraints"]

FOLDERS = {"raspberry-pi-os": "raspberry_pi", "jetpack": "jetson"}
"""What systems with constraint files are called, and the folder that keeps those files."""


@dataclass(frozen=True)
class Resolution:
    """What pip says of a system's constraints.

    Attributes:
        system: Name of the system.
        python: The version that was asked for.
        releases: What it would install, `name==version`, sorted; empty where it cannot.
        trouble: Why it cannot; empty where it can.
    """

    system: str
    python: str
    releases: tuple[str, ...] = ()
    trouble: str = ""


def resolve(system: System, python: str) -> Resolution:
    """Ask pip what it would install on a system; needs the package index.

    Args:
        system: One that the runtime runs on.
        python: One of its Pythons.
    """
    done = _ask(system, python, *system.requirements)
    if done.returncode:
        return Resolution(system.name, python, trouble=_trouble(system, python, done.stderr))
    found = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return Resolution(system.name, python, tuple(sorted(f"{each['name']}=={each['version']}" for each in found)))


def _ask(system: System, python: str, *asked: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / system.constraints_file
        constraints.write_text(system.constraints_text(), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "--target", folder]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        command += [f"--platform={tag}" for tag in system.platforms]
        command += [f"--extra-index-url={system.extra_index}"] if system.extra_index else []
        command += ["--constraint", str(constraints), *asked]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _trouble(system: System, python: str, said: str) -> str:
    """Why pip cannot; where a second index plays a part, whether the interpreter at least is there."""
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[0] if errors else "pip failed"
    if not system.extra_index:
        return reason
    alone = _ask(system, python, "--no-deps", system.interpreter)
    there = "is there" if alone.returncode == 0 else "is not there either"
    return f"{system.interpreter} {there}; the rest is not, with or without {system.extra_index} ({reason})"


def write_constraints(folder: Path) -> tuple[Path, ...]:
    """Write the constraint files of all boards below a folder.

    Args:
        folder: What holds the folders `raspberry_pi` and `jetson`.

    Returns:
        What was written.
    """
    written = []
    for system in known_systems().values():
        kind = next((kept for prefix, kept in FOLDERS.items() if system.name.startswith(prefix)), None)
        if kind and not system.trouble:
            path = folder / kind / system.constraints_file
            write_atomically(path, system.constraints_text().encode())
            written.append(path)
    return tuple(written)


def main(arguments: Sequence[str] | None = None) -> int:
    """Resolve systems, or write their files; exit status 1 where one cannot be resolved."""
    systems = {name: each for name, each in known_systems().items() if each.platforms and each.constraints}
    parser = argparse.ArgumentParser(prog="python -m edge_sdk_devices.resolve", description="Check what is pinned.")
    parser.add_argument("names", nargs="*", metavar="SYSTEM", help=f"one of {', '.join(systems)} (default: all)")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the constraint files below it instead")
    options = parser.parse_args(arguments)
    if options.write:
        sys.stdout.write("".join(f"{path}\n" for path in write_constraints(options.write)))
        return 0
    if unknown := sorted(set(options.names) - set(systems)):
        parser.error(f"SYSTEM must be one of {', '.join(systems)}. Received: {', '.join(unknown)}.")
    asked = [(systems[name], python) for name in options.names or systems for python in systems[name].pythons]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(resolve, *zip(*asked, strict=True)))
    for each in answers:
        said = f"NOT RESOLVED: {each.trouble}" if each.trouble else ", ".join(each.releases)
        sys.stdout.write(f"{each.system}, Python {each.python}: {said}\n")
    return 1 if any(each.trouble for each in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
