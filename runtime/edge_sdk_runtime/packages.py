"""The packages that hold an interpreter; known without importing anything, so that the doctor can speak where NumPy cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .records import dataclass

__all__ = [
    "LITERT_PACKAGE",
    "PACKAGES",
    "TFLITE_RUNTIME_PACKAGE",
    "InterpreterPackage",
    "Runtime",
    "promised",
    "version_numbers",
]


class Runtime(NamedTuple):
    """A release of an interpreter's package.

    Attributes:
        package: What pip calls it.
        version: The release.
    """

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def version_numbers(version: str) -> tuple[int, ...]:
    """A release's numbers, for comparing: 2.14 equals 2.14.0, and what follows the numbers counts for nothing."""
    numbers = []
    for part in version.strip().split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def promised(release: Runtime, requires: Mapping[str, str]) -> bool:
    """Whether a bundle says that a release runs its models.

    Args:
        release: What is installed.
        requires: The oldest release of each package that runs them.
    """
    oldest = requires.get(release.package)
    return oldest is not None and version_numbers(release.version) >= version_numbers(oldest)


@dataclass(frozen=True)
class InterpreterPackage:
    """An installable package with TensorFlow Lite's interpreter.

    Attributes:
        name: What a user calls it.
        distribution: What pip calls it.
        module: Where its `Interpreter` is.
        install: The command that installs it.
    """

    name: str
    distribution: str
    module: str
    install: str


LITERT_PACKAGE = InterpreterPackage(
    "litert", "ai-edge-litert", "ai_edge_litert.interpreter", "pip install ai-edge-litert"
)
TFLITE_RUNTIME_PACKAGE = InterpreterPackage(
    "tflite-runtime", "tflite-runtime", "tflite_runtime.interpreter", "pip install tflite-runtime==2.14.0 'numpy<2'"
)

PACKAGES = (LITERT_PACKAGE, TFLITE_RUNTIME_PACKAGE)
"""In the order in which they are preferred."""
