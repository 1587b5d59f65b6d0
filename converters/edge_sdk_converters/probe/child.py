"""Runs where an interpreter is, with NumPy and nothing else: loads models, tells what became of each.

Called by path with two files: questions (JSON lines) in, answers (JSON) out. Every model of a kernel runs in a process of its
own, since some releases do not survive what they cannot compute.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
from typing import Any

import numpy as np

MODULES = ("ai_edge_litert", "tflite_runtime")


def main(questions: str, answers: str) -> None:
    """Answer every question, in order: an empty text where a model loads, numbers where it runs, else what was said."""
    package: Any = next(filter(None, map(_imported, MODULES)))
    interpreter = importlib.import_module(f"{package.__name__}.interpreter").Interpreter
    with open(questions, encoding="utf-8") as lines:  # noqa: PTH123
        said = [_answer(interpreter, json.loads(line)) for line in lines]
    with open(answers, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"package": package.__name__, "version": package.__version__, "answers": said}, file)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _answer(interpreter: Any, question: dict[str, Any]) -> Any:
    model = base64.b64decode(question["model"])
    if "input" not in question:
        return _loaded(interpreter, model)
    return _apart(interpreter, model, np.array(question["input"], np.float32))


def _loaded(interpreter: Any, model: bytes) -> str:
    try:
        interpreter(model_content=model)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def _apart(interpreter: Any, model: bytes, given: Any) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writer, "w") as file:
            json.dump(_run(interpreter, model, given), file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(said) if status == 0 else "crashed"


def _run(interpreter: Any, model: bytes, given: Any) -> Any:
    """The output as numbers, after two runs: a kernel that forgets to begin anew shows itself in the second."""
    try:
        loaded = interpreter(model_content=model, num_threads=1)
        loaded.allocate_tensors()
        taken, out = loaded.get_input_details()[0], loaded.get_output_details()[0]
        for _ in range(2):
            loaded.set_tensor(taken["index"], _quantized(given.reshape(taken["shape"]), taken))
            loaded.invoke()
        return _dequantized(loaded.get_tensor(out["index"]), out)
    except (ValueError, RuntimeError) as error:
        return str(error)


def _quantized(values: Any, details: Any) -> Any:
    if details["dtype"] is np.float32:
        return values
    scale, zero_point = details["quantization"]
    limits = np.iinfo(details["dtype"])
    steps = values / scale + zero_point if scale else values  # plain integers, such as pixels, have no scale
    return np.clip(np.rint(steps), limits.min, limits.max).astype(details["dtype"])


def _dequantized(values: Any, details: Any) -> list[float]:
    scale, zero_point = details["quantization"] if details["dtype"] is not np.float32 else (1.0, 0)
    numbers: list[float] = ((values.astype(np.float64) - zero_point) * scale).ravel().tolist()
    return numbers


if __name__ == "__main__":
    main(*sys.argv[1:])
