"""LiteRT and tflite-runtime: two packages with one Python interface."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ..errors import InterpreterError, InterpreterUnavailableError
from ..packages import LITERT_PACKAGE, TFLITE_RUNTIME_PACKAGE, InterpreterPackage, Runtime
from ..records import dataclass
from .base import TensorInfo
from .quiet import without_notices

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LITERT", "TFLITE_RUNTIME", "TflitePlug"]


@dataclass(frozen=True)
class TflitePlug(InterpreterPackage):
    """A package with TensorFlow Lite's interpreter as a plug."""

    def installed(self) -> bool:
        """Whether the package is there."""
        name = self.module.partition(".")[0]
        if name in sys.modules:
            return True
        # What importlib.util.find_spec does, without the time that importing it takes.
        return any(finder.find_spec(name, None) for finder in sys.meta_path)

    def version(self) -> str | None:
        """The installed version, or None where it is not installed."""
        from importlib import metadata  # 20 ms of imports that classifying does not need

        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    def release(self) -> Runtime | None:
        """The release that the package itself names, which costs nothing to ask; see `InterpreterPlug.release`."""
        try:
            package = importlib.import_module(self.module.partition(".")[0])
        except ImportError:
            return None
        version = getattr(package, "__version__", None)
        return None if version is None else Runtime(self.distribution, str(version))

    def load(self, model: bytes, threads: int) -> TfliteInterpreter:
        """Load a model; see `InterpreterPlug.load`."""
        try:
            interpreter_class = importlib.import_module(self.module).Interpreter
        except ImportError as error:
            if error.__cause__ and not isinstance(error.__cause__, Exception):
                raise error.__cause__ from None  # Ctrl-C while a compiled part of the package was being initialised
            raise InterpreterUnavailableError(
                f"The interpreter {self.name} must be importable. Received: {_first_line(error)}. Run: {self.install}"
            ) from error
        try:
            with without_notices():
                interpreter = interpreter_class(model_content=model, num_threads=threads)
                interpreter.allocate_tensors()
        except (ImportError, SystemError) as error:
            # A package built for another NumPy imports well and fails at its first model.
            raise InterpreterUnavailableError(
                f"The interpreter {self.name} must fit the installed NumPy. "
                f"Received: {_first_line(error.__cause__ or error)}. Run: {self.install}"
            ) from error
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(
                f"{self.distribution} {self.version()} must be able to load the model. "
                f"Received: {_first_line(error)}. Install a newer interpreter or export the model again."
            ) from error
        return TfliteInterpreter(interpreter)


LITERT = TflitePlug(**vars(LITERT_PACKAGE))
TFLITE_RUNTIME = TflitePlug(**vars(TFLITE_RUNTIME_PACKAGE))


class TfliteInterpreter:
    """One loaded .tflite model.

    Args:
        interpreter: The package's interpreter object, tensors allocated.

    Raises:
        InterpreterError: The model has more than one input or output.
    """

    def __init__(self, interpreter: Any) -> None:
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InterpreterError(
                f"A model must have one input and one output. Received: {len(inputs)} and {len(outputs)}. Export it with edge-sdk compress."
            )
        self.input = _tensor_info(inputs[0])
        self.output = _tensor_info(outputs[0])
        # A closure each: fetching a view costs 0.3 µs, and no view may be alive while the model runs.
        self.input_view = interpreter.tensor(inputs[0]["index"])
        self.output_view = interpreter.tensor(outputs[0]["index"])
        self._interpreter = interpreter

    def invoke(self) -> None:
        """Run the model; see `Interpreter.invoke`."""
        if self._interpreter is None:
            _closed()
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(
                f"The model must run. Received: {_first_line(error)}. Run edge-run verify on the bundle."
            ) from error

    def close(self) -> None:
        """Give the model's memory back; the interpreter frees it with its last reference."""
        self.input_view = self.output_view = _closed
        self._interpreter = None


def _closed() -> NDArray[Any]:
    raise InterpreterError("A closed interpreter cannot run. Received: a call after close(). Load the bundle again.")


def _tensor_info(details: dict[str, Any]) -> TensorInfo:
    return TensorInfo(tuple(int(side) for side in details["shape"]), details["dtype"].__name__)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0].rstrip(".")
