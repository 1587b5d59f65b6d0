"""An interpreter that runs a Python function: for tests on a machine without any, and for tests of what surrounds one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InterpreterError
from ..records import dataclass
from .base import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FakeInterpreter", "FakePlug"]


class FakeInterpreter:
    """A function in the place of a model.

    Args:
        function: Takes the input tensor, returns the output tensor.
        input: Shape and element type of the input.
        output: Shape and element type of the output.
    """

    def __init__(self, function: Callable[[NDArray[Any]], NDArray[Any]], input: TensorInfo, output: TensorInfo) -> None:
        self.input = input
        self.output = output
        self.invocations = 0
        self.closed = False
        self._function = function
        self._input = np.zeros(input.shape, input.dtype)
        self._output = np.zeros(output.shape, output.dtype)

    def input_view(self) -> NDArray[Any]:
        """The input tensor."""
        self._expect_open()
        return self._input

    def invoke(self) -> None:
        """Call the function."""
        self._expect_open()
        self.invocations += 1
        self._output[...] = self._function(self._input)

    def output_view(self) -> NDArray[Any]:
        """The output tensor."""
        self._expect_open()
        return self._output

    def close(self) -> None:
        """Refuse every call until a plug loads it again."""
        self.closed = True

    def _expect_open(self) -> None:
        if self.closed:
            raise InterpreterError(
                "A closed interpreter cannot run. Received: a call after close(). Load the bundle again."
            )


@dataclass(frozen=True)
class FakePlug:
    """Answers every model file with the interpreter that was made for its bytes.

    Attributes:
        interpreters: By the content of the .tflite file they stand for.
        name: What a user calls it.
    """

    interpreters: dict[bytes, FakeInterpreter]
    name: str = "fake"

    def installed(self) -> bool:
        """Always: the fake ships with the runtime."""
        return True

    def version(self) -> str | None:
        """Always `"0"`."""
        return "0"

    def release(self) -> None:
        """None: nothing is known of what a function cannot do."""

    def load(self, model: bytes, threads: int) -> FakeInterpreter:
        """The interpreter made for these bytes; `threads` has no meaning here.

        Raises:
            InterpreterError: None was made for them.
        """
        del threads
        if model not in self.interpreters:
            raise InterpreterError(
                f"A fake must be given an interpreter for every model. Received: {len(model)} other bytes. Add it to interpreters."
            )
        interpreter = self.interpreters[model]
        interpreter.closed = False
        return interpreter
