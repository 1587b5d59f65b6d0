"""Ask one release everything, in a process of the Python that has it."""

from __future__ import annotations

import base64
import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_runtime.gate import Runtime, Trouble
from edge_sdk_runtime.operator_names import BUILTIN_OPERATORS, CUSTOM

from ..errors import EdgeSdkError
from .graph import Graph
from .kernels import KernelQuestion, kernel_questions

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Answers", "Environment", "ProbeError", "ask", "run_models"]

_CUSTOM_NAMES = ("AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess")
"""Custom operators that TensorFlow Lite's own resolver has registered since it has custom operators at all."""
_TOLERANCE = 0.1
"""Of the largest value: int8 kernels miss the exact result by up to 4 %, those that go wrong by 100 % and more."""


class ProbeError(EdgeSdkError, RuntimeError):
    """An environment in which no interpreter answers."""


@dataclass(frozen=True)
class Environment:
    """Where a release is installed.

    Attributes:
        python: An interpreter of Python that has NumPy.
        folder: A folder that comes first on its path, as `pip install --target` fills one; none where None.
    """

    python: Path
    folder: Path | None = None


@dataclass(frozen=True)
class Answers:
    """What one release can do.

    Attributes:
        runtime: The release.
        versions: First and last version of every operator that it has.
        troubles: What it refuses or gets wrong among the kernels that were asked for, by signature.
    """

    runtime: Runtime
    versions: Mapping[str, tuple[int, int]]
    troubles: Mapping[str, Trouble]


def ask(environment: Environment, highest_version: int = 24) -> Answers:
    """Ask a release for all versions and all kernels.

    Args:
        environment: Where it is.
        highest_version: The highest version of an operator to ask for.

    Raises:
        ProbeError: No interpreter runs there.
    """
    versions = _version_questions(highest_version)
    kernels, expected = _kernel_questions()
    questions = [{"model": _text(model)} for model in versions.values()]
    questions += [_run(_using(name), np.zeros(1, np.float32)) for name in _CUSTOM_NAMES]
    questions += [_run(each.model, each.input) for each in kernels]
    runtime, said = _send(environment, questions)
    named = [*versions, *((name, 1) for name in _CUSTOM_NAMES)]
    registered = _registered(dict(zip(named, said, strict=False)))
    return Answers(runtime, registered, _troubles(kernels, said[len(named) :], expected, registered))


@functools.cache
def _kernel_questions() -> tuple[list[KernelQuestion], list[NDArray[np.float32]]]:
    """All of them, with the answers of their float32 models."""
    kernels = list(kernel_questions())
    return kernels, [_reference(each) for each in kernels]


@functools.cache
def _version_questions(highest: int) -> dict[tuple[str, int], bytes]:
    """By operator and version, a model that names it and does nothing; loading it is refused where the operator is absent."""
    builtin = [name for number, name in enumerate(BUILTIN_OPERATORS) if number != CUSTOM]
    return {(name, version): _naming(name, version) for name in builtin for version in range(1, highest + 1)}


def _naming(name: str, version: int) -> bytes:
    graph = Graph()
    graph.code(name, version)
    return graph.file()


def _using(name: str) -> bytes:
    """A custom operator is looked for only where it is used; whatever else it then says, it is there."""
    graph = Graph()
    taken, given = graph.tensor((1,)), graph.tensor((1,))
    graph.operator(name, [taken], given)
    return graph.file([taken], [given])


def _registered(said: Mapping[tuple[str, int], Any]) -> dict[str, tuple[int, int]]:
    """Versions that are found."""
    absent = ("Didn't find op", "out of range", "unresolved custom op")
    found: dict[str, tuple[int, int]] = {}
    for (name, version), message in said.items():
        if not any(word in str(message) for word in absent):
            found[name] = (min(version, found.get(name, (version,))[0]), version)
    return found


def _troubles(
    kernels: Sequence[KernelQuestion],
    said: Sequence[Any],
    expected: Sequence[NDArray[np.float32]],
    registered: Mapping[str, tuple[int, int]],
) -> dict[str, Trouble]:
    """What fails; weights behind a DEQUANTIZE that fails by itself are not held against the operator that takes them."""
    troubles: dict[str, Trouble] = {}
    for question, answer, right in zip(kernels, said, expected, strict=True):
        operator = question.signature.removeprefix("grouped ").split()[0]
        source = f"DEQUANTIZE {question.signature.rpartition(' ')[2]}" if "dequantized" in question.signature else ""
        if operator in registered and source not in troubles and (trouble := _judge(answer, right)):
            troubles[question.signature] = trouble
    return troubles


def _judge(answer: Any, right: NDArray[np.float32]) -> Trouble | None:
    if answer == "crashed":
        return Trouble.WRONG
    if isinstance(answer, str):
        # A kernel that reads a tensor's number from memory that is no number refuses by chance: at other times it answers.
        return Trouble.WRONG if "Invalid tensor index" in answer else Trouble.REFUSED
    missed = np.abs(np.array(answer, np.float32) - right.ravel()).max() / np.abs(right).max()
    return None if missed <= _TOLERANCE else Trouble.WRONG


def _reference(question: KernelQuestion) -> NDArray[np.float32]:
    """What the float32 model answers here."""
    from edge_sdk_runtime.interpreters.tflite import LITERT

    interpreter = LITERT.load(question.reference, 1)
    interpreter.input_view()[...] = question.input
    interpreter.invoke()
    answer: NDArray[np.float32] = interpreter.output_view().copy()
    interpreter.close()
    return answer


def _run(model: bytes, given: NDArray[np.generic]) -> dict[str, Any]:
    return {"model": _text(model), "input": given.ravel().tolist()}


def _text(model: bytes) -> str:
    return base64.b64encode(model).decode()


def run_models(
    environment: Environment, models: Sequence[tuple[bytes, NDArray[np.generic]]]
) -> tuple[Runtime, list[NDArray[np.float32] | str]]:
    """Run models in another environment, each in a process of its own.

    Args:
        environment: Where the interpreter is.
        models: .tflite files with one input and one output, and what they take, in numbers and not in steps of a scale.

    Returns:
        The release, and for each model its output, flat, or what was said instead.

    Raises:
        ProbeError: No interpreter runs there.
    """
    runtime, said = _send(environment, [_run(model, given) for model, given in models])
    return runtime, [each if isinstance(each, str) else np.array(each, np.float32) for each in said]


def _send(environment: Environment, questions: Sequence[Mapping[str, Any]]) -> tuple[Runtime, list[Any]]:
    """Run `child.py` there."""
    child = Path(__file__).with_name("child.py")
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "questions"), Path(folder, "answers")
        asked.write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
        variables = {**os.environ, **({"PYTHONPATH": str(environment.folder)} if environment.folder else {})}
        command = [str(environment.python), str(child), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise ProbeError(
                f"An interpreter must answer in {environment.python}. Received: {last}. Install one there, with a NumPy that it takes."
            )
        said = json.loads(answered.read_text(encoding="utf-8"))
    return Runtime(said["package"].replace("_", "-"), said["version"]), said["answers"]
