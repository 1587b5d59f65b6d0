"""How long a newcomer waits: a fresh clone, then `make test`, the installation of every package included."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .harness import Figure, Outcome, at_most, command

_ROOT = Path(__file__).parents[1]
_GOAL_S = 8 * 60


def measure(quick: bool) -> Outcome:
    """Seconds of `make test` in a clone of the last commit; quickly, only what it would do is printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "VIRTUAL_ENV")}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "edge-sdk"
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
        make = ["make", *(["--dry-run"] if quick else []), "test"]
        begun = time.perf_counter()
        finished = subprocess.run(make, cwd=clone, env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begun
    passed = re.search(r"(\d+) passed", finished.stdout)
    figures = [
        at_most("make test, installation included", seconds, _GOAL_S, "s"),
        Figure("tests passed", float(passed.group(1)) if passed else 0.0),
    ]
    notes = ["Packages come from pip's cache or index, whichever the machine has."]
    return Outcome("a fresh clone on a machine with Python, pip and make", figures, notes=notes)


if __name__ == "__main__":
    sys.exit(command("newcomer", measure))
