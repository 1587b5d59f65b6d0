"""From a clean emulated Raspberry Pi to a bundle that is verified and measured there, by one command; then the same command again.

The command is `edge-sdk deploy BUNDLE TARGET --offline --bench`: it fetches the wheels for the board, carries them there, makes the
environment, verifies, switches, and measures. What is stated is its work: processor time of the workstation's side and of everything
that is emulated, which other programs of this machine do not stretch. No figure of the emulated board's own bench is kept here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edge_sdk_devices.emulation import build, serving
from edge_sdk_runtime import Interpolation
from edge_sdk_runtime.cache import CACHE_VARIABLE

from .harness import Figure, Outcome, at_most, command
from .models import random_bundle

_KEPT = Path(__file__).parents[1] / ".emulated" / "pi"
_CLEAN, _AGAIN = "clean board to a verified and measured bundle", "again, already installed"
_GOALS = {_CLEAN: 90.0, _AGAIN: 15.0}
"""Seconds of work."""
_QUICK = (_CLEAN,)
_SETTLES_S = 60.0


def measure(quick: bool) -> Outcome:
    """Work and time of the command on a clean board, and again; quickly, once on a folder of this machine that plays a device."""
    with tempfile.TemporaryDirectory() as folder, _target(Path(folder), quick) as target:
        bundle = Path(folder) / "journey.edge"
        random_bundle(32, Interpolation.AREA).write(bundle)
        options = ["--environment", sys.prefix] if quick else ["--offline"]
        rows = [
            {"run": name, **_journey(bundle, target, options, Path(folder))}
            for name in (_GOALS if not quick else _QUICK)
        ]
    assert [row["changed"] for row in rows] == [True, False][: len(rows)], "a second time changes nothing"
    figures = [at_most(f"{row['run']}: work", row["work s"], _GOALS[row["run"]], "s") for row in rows]
    figures += [Figure(f"{row['run']}: by the clock", row["clock s"], "s") for row in rows]
    notes = [
        f"Work is processor time of {os.cpu_count()} shared processors, on which {os.getloadavg()[2]:.1f} processes wanted to run in "
        "the last quarter of an hour; the clock counts their waiting too.",
        "The wheels were fetched by the first run, nothing of them was there before. Building the board itself is not counted.",
    ]
    return Outcome(rows[0]["board"], figures, rows, notes=notes)


@contextlib.contextmanager
def _target(folder: Path, quick: bool) -> Iterator[str]:
    """A device on which nothing has been installed yet."""
    if quick:
        yield f"local:{folder / 'home'}"
        return
    with serving(build(_KEPT), folder / "board") as file:
        yield f"emulated:{file}"


def _journey(bundle: Path, target: str, options: list[str], folder: Path) -> dict[str, Any]:
    """Run the command, and count what it took on both sides."""
    program = Path(sys.executable).with_name("edge-sdk")
    line = [str(program), "deploy", str(bundle), target, "--bench", "--json", *options]
    environment = {**os.environ, CACHE_VARIABLE: str(folder / "cache")}
    worked, begun = _work(), time.perf_counter()
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    seconds = time.perf_counter() - begun
    said = json.loads(done.stdout)
    return {
        "board": f"{said['board']}{' (EMULATED)' if said['emulated'] else ''}",
        "work s": round(_work() - worked, 2),
        "clock s": round(seconds, 2),
        "changed": said["changed"],
        "verified": said["verified"],
    }


def _work() -> float:
    """Seconds of processors that this process's children have taken so far, sessions of the board's server among them."""
    own, until = os.getpid(), time.monotonic() + _SETTLES_S
    while True:
        processes = dict(_processes())
        servers = [number for number, process in processes.items() if process.parent == own]
        sessions = [number for number, process in processes.items() if process.parent in servers]
        if not sessions or time.monotonic() > until:
            return sum(processes[number].reaped_s for number in (own, *servers))
        time.sleep(0.05)  # a session counts when it has ended


class _Process(NamedTuple):
    """A process: its parent, and the processor time of its children that have ended, with theirs."""

    parent: int
    reaped_s: float


def _processes() -> Iterator[tuple[int, _Process]]:
    """All of this machine, as /proc/PID/stat has them (proc(5): ppid, cutime, cstime)."""
    ticks = os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            yield int(path.parent.name), _Process(int(fields[1]), (int(fields[13]) + int(fields[14])) / ticks)


if __name__ == "__main__":
    sys.exit(command("pi_journey", measure))
