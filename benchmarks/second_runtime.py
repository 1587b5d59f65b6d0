"""Times .tflite files on tflite-runtime, as the process of another environment that a benchmark talks to.

It reads a line of JSON per burst, `{"path": …, "runs": …}`, and answers with one, `{"ns": […]}`, or `{"error": …}` where the
runtime refuses the file. It needs the environment of `make test` that holds tflite-runtime, and nothing of the workstation's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Any

from edge_sdk_runtime.errors import EdgeRuntimeError
from edge_sdk_runtime.interpreters import Interpreter, InterpreterPlug
from edge_sdk_runtime.interpreters.tflite import TFLITE_RUNTIME

__all__ = ["ENVIRONMENT", "SecondRuntime", "burst_ns", "serve"]

ENVIRONMENT = Path(__file__).parents[1] / ".venv-tflite"
"""Where `make test` puts the environment that holds tflite-runtime."""


def burst_ns(interpreter: Interpreter, runs: int) -> list[int]:
    """Nanoseconds of each of some runs of a loaded model, on whatever its input holds."""
    times = []
    for _ in range(runs):
        start = perf_counter_ns()
        interpreter.invoke()
        times.append(perf_counter_ns() - start)
    return times


class SecondRuntime:
    """The process in the other environment, as long as the block lasts.

    Raises:
        FileNotFoundError: There is no such environment.
    """

    def __enter__(self) -> SecondRuntime:
        self._process = subprocess.Popen(
            [ENVIRONMENT / "bin" / "python", "-m", "benchmarks.second_runtime"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def burst(self, path: Path, runs: int) -> Sequence[int]:
        """Nanoseconds of each run of a file, loaded the first time it is asked for; none where it is refused."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"path": str(path), "runs": runs}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer.get("ns", [])


def serve(lines: Callable[[], str], answer: Callable[[str], object], plug: InterpreterPlug = TFLITE_RUNTIME) -> None:
    """Time what is asked for, until nothing more is.

    Args:
        lines: Gives the next line; an empty one is the end.
        answer: Takes a line.
        plug: What runs the files.
    """
    loaded: dict[str, Interpreter] = {}
    while line := lines():
        asked = json.loads(line)
        path = asked["path"]
        try:
            if path not in loaded:
                loaded[path] = plug.load(Path(path).read_bytes(), threads=1)
                loaded[path].invoke()
            answer(json.dumps({"ns": burst_ns(loaded[path], asked["runs"])}) + "\n")
        except EdgeRuntimeError as error:
            answer(json.dumps({"error": str(error)}) + "\n")


def _answer(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.stdin.readline, _answer)
