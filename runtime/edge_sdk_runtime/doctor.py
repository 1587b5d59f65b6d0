"""What is wrong with this device, and the one command that mends it.

Whether an interpreter works is known only after it has run a model: beside the wrong NumPy it imports well and fails, or ends
the process, when it is constructed. So every part is tried in a process of its own, on a model of a few hundred bytes. This
module imports the standard library alone: it has to work where nothing else does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .packages import PACKAGES, InterpreterPackage
from .remedies import PIP, Cause, cause_of, command_for

__all__ = ["Diagnosis", "PartCheck", "diagnose"]

_SECONDS = 60
_VARIABLE = "EDGE_SDK_INTERPRETER"
_ABSENT = "not installed"


@dataclass(frozen=True)
class PartCheck:
    """One thing that has to work.

    Attributes:
        name: `"numpy"`, `"opencv"`, or the name of an interpreter.
        version: What is installed; empty where that could not be found out.
        cause: What keeps it from working, or None.
        detail: What was received, in a few words; empty where it works.
        mend: The one command that mends it; empty where there is nothing to mend, or no command does.
    """

    name: str
    version: str = ""
    cause: Cause | None = None
    detail: str = ""
    mend: str = ""

    @property
    def works(self) -> bool:
        """Whether it was tried and works."""
        return self.cause is None


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        system: Python, processor, C library.
        board: What the board calls itself; empty where it does not.
        parts: NumPy and OpenCV.
        interpreters: Every interpreter known, in order of preference.
        interpreter: The one that would run bundles; named `"interpreter"` where there is none to choose.
        reason: Why that one; empty where there is none.
        cache: The folder of rebuilt models, or why there is none.
    """

    system: str
    board: str
    parts: tuple[PartCheck, ...]
    interpreters: tuple[PartCheck, ...]
    interpreter: PartCheck
    reason: str
    cache: str

    @property
    def troubles(self) -> tuple[PartCheck, ...]:
        """What keeps bundles from running: NumPy, OpenCV, or the interpreter that would be chosen."""
        return tuple(check for check in (*self.parts, self.interpreter) if not check.works)

    @property
    def healthy(self) -> bool:
        """Whether bundles run here."""
        return not self.troubles


def diagnose(wanted: str | None = None) -> Diagnosis:
    """Try everything that bundles need.

    Args:
        wanted: The interpreter asked for; chosen as for a bundle where None.

    Returns:
        What was found; nothing is raised for what is broken.
    """
    numpy = _try("numpy", "numpy")
    opencv = _try("opencv", "cv2", numpy.version)
    interpreters = tuple(_try_interpreter(package, numpy.version) for package in PACKAGES)
    chosen, reason = _choice(wanted, interpreters)
    return Diagnosis(
        system=_system(),
        board=_board(),
        parts=(numpy, opencv),
        interpreters=interpreters,
        interpreter=chosen,
        reason=reason,
        cache=_cache(),
    )


def _try_interpreter(package: InterpreterPackage, numpy: str) -> PartCheck:
    if importlib.util.find_spec(package.module.partition(".")[0]) is None:
        return PartCheck(package.name, "", Cause.MISSING, _ABSENT, f"python -m {package.install}")
    return _try(package.name, package.module, numpy, str(Path(__file__).with_name("doctor.tflite")))


def _try(name: str, module: str, numpy: str = "", *model: str) -> PartCheck:
    """Try one part in a process of its own."""
    child = str(Path(__file__).with_name("doctor_child.py"))
    try:
        done = subprocess.run(
            [sys.executable, child, module, *model],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return PartCheck(
            name, "", Cause.FAILED, f"no answer within {_SECONDS} s", command_for(name, Cause.FAILED, "", numpy)
        )
    steps = _steps(done.stdout)
    version = next((str(step["version"]) for step in steps if step.get("version")), "")
    found = cause_of(done.returncode, steps, done.stderr)
    if found is None:
        return PartCheck(name, version)
    return PartCheck(name, version, *found, command_for(name, *found, numpy))


def _steps(printed: str) -> list[dict[str, Any]]:
    steps = []
    for line in printed.splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            continue
        if isinstance(step, dict) and "step" in step:
            steps.append(step)
    return steps


def _choice(wanted: str | None, interpreters: Sequence[PartCheck]) -> tuple[PartCheck, str]:
    """Which interpreter a bundle would run with, and why; as `choose_interpreter` does."""
    named = wanted or os.environ.get(_VARIABLE)
    if named:
        source, undo = ("--interpreter", "edge-run doctor") if wanted else (_VARIABLE, f"unset {_VARIABLE}")
        unknown = PartCheck("interpreter", "", Cause.FAILED, f"{source} names {named!r}, which is unknown", undo)
        found = next((check for check in interpreters if check.name == named), None)
        return (found, f"named by {source}") if found else (unknown, "")
    first = next((check for check in interpreters if check.detail != _ABSENT), None)
    if first:
        return first, "the first installed of the list"
    return PartCheck("interpreter", "", Cause.MISSING, "none installed", f"{PIP} install ai-edge-litert"), ""


def _system() -> str:
    library = " ".join(platform.libc_ver()).strip()
    return ", ".join(filter(None, (f"Python {platform.python_version()}", platform.machine(), library)))


def _board() -> str:
    model = Path("/proc/device-tree/model")
    try:
        return model.read_text(encoding="utf-8").strip("\0\n ")
    except OSError:
        return ""


def _cache() -> str:
    try:
        from .cache import cache_status
    except ImportError:  # NumPy, which the codec needs; it has its own line
        return "unknown without NumPy"
    return str(cache_status())
