"""Which interpreter runs: the argument, else the environment variable, else the first of an ordered list that is installed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import InterpreterUnavailableError
from .base import InterpreterPlug
from .tflite import LITERT, TFLITE_RUNTIME

__all__ = ["ENVIRONMENT_VARIABLE", "available_interpreters", "choose_interpreter", "interpreter_for"]

ENVIRONMENT_VARIABLE = "EDGE_SDK_INTERPRETER"
_ORDER: tuple[InterpreterPlug, ...] = (LITERT, TFLITE_RUNTIME)


def available_interpreters() -> list[tuple[InterpreterPlug, str | None]]:
    """Every plug in order of preference, with its installed version or None."""
    return [(plug, plug.version()) for plug in _ORDER]


def choose_interpreter(
    wanted: str | InterpreterPlug | None = None, plugs: Sequence[InterpreterPlug] = _ORDER
) -> InterpreterPlug:
    """Choose the plug that loads models.

    Args:
        wanted: A plug, its name, or None to ask the environment variable and then the ordered list.
        plugs: The ordered list.

    Returns:
        The plug; a named one is never silently exchanged for another.

    Raises:
        InterpreterUnavailableError: The named plug is unknown, or none is installed.
    """
    if wanted is not None and not isinstance(wanted, str):
        return wanted
    name = wanted or os.environ.get(ENVIRONMENT_VARIABLE)
    for plug in plugs:
        if name == plug.name or (not name and plug.installed()):
            return plug
    if name:
        known = ", ".join(plug.name for plug in plugs)
        source = "" if wanted else f" (from {ENVIRONMENT_VARIABLE})"
        raise InterpreterUnavailableError(
            f"An interpreter must be one of {known}. Received: {name!r}{source}. Choose one of them."
        )
    raise InterpreterUnavailableError(
        "A bundle needs an interpreter. Received: none installed. Run: pip install ai-edge-litert"
    )


def interpreter_for(models: Sequence[str], wanted: str | InterpreterPlug | None = None) -> InterpreterPlug:
    """Choose the plug that loads these models; where there are none, no interpreter is looked for.

    Args:
        models: Names of the .tflite files to load.
        wanted: As `choose_interpreter` takes it; without models nothing asks for it.

    Returns:
        What `choose_interpreter` gives; without models a plug called `"numpy"`, which stands for what does all the work then.

    Raises:
        InterpreterUnavailableError: There are models, and the named plug is unknown, or none is installed.
    """
    if models:
        return choose_interpreter(wanted)
    from .none import NUMPY  # nearly every bundle holds a model

    return NUMPY
