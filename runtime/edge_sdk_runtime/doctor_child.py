"""Runs apart from the doctor, since what it tries may end the process: imports a module, or runs a model with it.

Called by path with a module's name and, for an interpreter, the folder of the model; imports nothing of the runtime. Prints a
line of JSON before every step and after the last, so that a process that died tells how far it came.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def main(name: str, model: str = "") -> None:
    """Try it; an error is told, with the first of its causes, and ends the process with status 1."""
    _tell(step="import")
    try:
        module = importlib.import_module(name)
        package = sys.modules[name.partition(".")[0]]
        _tell(step="imported", version=str(getattr(package, "__version__", "")))
        if model:
            _run(module, Path(model).read_bytes())
    except BaseException as error:
        traceback.print_exc()
        _tell(step="failed", kind=type(_first(error)).__name__, message=str(_first(error)))
        sys.exit(1)
    _tell(step="done")


def _run(module: Any, model: bytes) -> None:
    import numpy as np

    interpreter = module.Interpreter(model_content=model, num_threads=1)
    _tell(step="constructed")
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(taken["index"], np.array([[1, 2, 3, 255]], np.uint8))
    interpreter.invoke()
    _tell(step="invoked", answer=interpreter.get_tensor(given["index"])[0].tolist())


def _first(error: BaseException) -> BaseException:
    """The error that the others came of."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _tell(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
