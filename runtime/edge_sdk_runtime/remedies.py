"""What keeps a part of a device from working, told by what it says, and the one command that mends it."""

from __future__ import annotations

import platform
import re
import signal
from collections.abc import Sequence
from enum import Enum
from typing import Any

from .packages import PACKAGES, TFLITE_RUNTIME_PACKAGE

__all__ = ["PIP", "Cause", "cause_of", "command_for"]

PIP = "python -m pip"
"""The pip of the Python that the doctor runs in."""

_ANSWER = [1 + 2 + 3 + 255, 1 - 2 + 3 - 255, 0.5 * 255]
"""What the built-in model makes of 1, 2, 3, 255."""
_OPENCV_FOR_NUMPY_1 = "opencv-python-headless==4.10.0.84"
_NUMPY_WORDS = (
    "_ARRAY_API not found",
    "numpy.core.multiarray failed to import",
    "numpy._core.multiarray failed to import",
    "compiled using NumPy",
    "compiled against API version",
    "compiled against ABI version",
    "dtype size changed",
)
_LIBRARY = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")
_TOO_OLD = re.compile(r"version [`'](GLIBC(?:XX)?_[\d.]+)' not found")
_DEBIAN = {
    "libatlas.so.3": "libatlas3-base",
    "libcblas.so.3": "libatlas3-base",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libopenblas.so.0": "libopenblas0",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
"""Debian's packages of the libraries that boards are known to miss."""


class Cause(str, Enum):
    """What keeps a part from working."""

    MISSING = "missing"
    """It is not installed."""
    NUMPY = "numpy"
    """It was built for another NumPy than the installed one."""
    LIBRARY = "library"
    """A shared library is not there, or is too old."""
    CRASHED = "crashed"
    """It ends the process."""
    FAILED = "failed"
    """It raises an error."""
    WRONG = "wrong"
    """It runs the model and gives another answer."""


def cause_of(returncode: int, steps: Sequence[dict[str, Any]], errors: str) -> tuple[Cause, str] | None:
    """What keeps a part from working, from what a process that tried it left behind.

    Args:
        returncode: How it ended; negative for a signal, as `subprocess` gives it.
        steps: What it told on its way.
        errors: What it wrote on standard error.

    Returns:
        The cause, and what was received in a few words; None where it works.
    """
    last = steps[-1] if steps else {}
    said = str(last.get("message", ""))
    for text in (said, errors):
        if found := _known_words(text):
            return found
    if returncode < 0:
        return Cause.CRASHED, f"{signal.Signals(-returncode).name} after step {last.get('step', 'none')}"
    if last.get("kind") == "ModuleNotFoundError":
        return Cause.MISSING, said
    if returncode or last.get("step") != "done":
        return Cause.FAILED, said.splitlines()[
            0
        ] if said else f"status {returncode} after step {last.get('step', 'none')}"
    answer = next((step["answer"] for step in steps if step["step"] == "invoked"), _ANSWER)
    wrong = any(abs(a - b) > 1e-3 for a, b in zip(answer, _ANSWER, strict=True))
    return (Cause.WRONG, f"{answer} instead of {_ANSWER}") if wrong else None


def _known_words(text: str) -> tuple[Cause, str] | None:
    """A cause that shows itself by its words, wherever they stand; a missing library goes before what comes of it."""
    if match := _LIBRARY.search(text):
        return Cause.LIBRARY, f"{match[1]} is missing"
    if match := _TOO_OLD.search(text):
        return Cause.LIBRARY, f"{match[1]} is newer than this system's"
    word = next((word for word in _NUMPY_WORDS if word in text), None)
    return None if word is None else (Cause.NUMPY, word)


def command_for(name: str, cause: Cause, detail: str, numpy: str) -> str:
    """The one command that mends a part.

    Args:
        name: `"numpy"`, `"opencv"`, or an interpreter's.
        cause: What keeps it from working.
        detail: What was received, as `cause_of` gives it.
        numpy: The installed NumPy; empty where it does not work.
    """
    package = next((each for each in PACKAGES if each.name == name), None)
    if cause is Cause.LIBRARY:
        return _mend_library(name, detail.split(maxsplit=1)[0])
    if package is TFLITE_RUNTIME_PACKAGE:
        if cause is Cause.NUMPY:
            return f"{PIP} install 'numpy<2' '{_OPENCV_FOR_NUMPY_1}'"
        return f"{PIP} install --force-reinstall {package.install.partition('install ')[2]}"
    if package is not None:
        return f"{PIP} install --upgrade {package.distribution}"
    if name == "opencv" and cause is Cause.NUMPY and numpy.startswith("1."):
        return f"{PIP} install '{_OPENCV_FOR_NUMPY_1}'"
    wanted = {"opencv": "opencv-python-headless"}.get(name, name)
    return f"{PIP} install {'' if cause is Cause.MISSING else '--upgrade --force-reinstall '}{wanted}"


def _mend_library(name: str, library: str) -> str:
    if library.startswith("GLIBC"):
        # Nothing installs a newer C library into a running system; LiteRT's wheels ask for an older one.
        newer = name != TFLITE_RUNTIME_PACKAGE.name or platform.machine() == "armv7l"
        return "sudo apt-get full-upgrade" if newer else f"{PIP} install ai-edge-litert"
    if name == "opencv" and library == "libGL.so.1":  # the OpenCV with windows, where none can be shown
        both = "opencv-python-headless"
        return f"{PIP} uninstall --yes opencv-python {both} && {PIP} install {both}"
    known = _DEBIAN.get(library)
    return (
        f"sudo apt-get install --yes {known}"
        if known
        else f"sudo apt-get install --yes apt-file && apt-file search {library}"
    )
