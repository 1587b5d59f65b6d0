"""What an interpreter must offer, and what a plug that makes them must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..packages import Runtime

__all__ = ["Interpreter", "InterpreterPlug", "TensorInfo"]


@dataclass(frozen=True)
class TensorInfo:
    """A model's input or output.

    Attributes:
        shape: Its dimensions, the batch of 1 first.
        dtype: NumPy's name of its element type, such as `"uint8"`.
    """

    shape: tuple[int, ...]
    dtype: str


class Interpreter(Protocol):
    """One loaded model with one input and one output; for one thread at a time."""

    @property
    def input(self) -> TensorInfo:
        """Shape and element type of the input tensor."""

    @property
    def output(self) -> TensorInfo:
        """Shape and element type of the output tensor."""

    def input_view(self) -> NDArray[Any]:
        """The input tensor's own memory, to be written and let go before `invoke`."""

    def invoke(self) -> None:
        """Run the model. No view of a tensor may be held while it runs.

        Raises:
            InterpreterError: The model fails.
        """

    def output_view(self) -> NDArray[Any]:
        """The output tensor's own memory, valid until the next `invoke`; copy what is to be kept."""

    def close(self) -> None:
        """Give the model's memory back."""


class InterpreterPlug(Protocol):
    """A way to run a .tflite model.

    A new plug implements these five and joins the ordered list in `select`.
    """

    @property
    def name(self) -> str:
        """What a user calls it, such as `"litert"`."""

    def installed(self) -> bool:
        """Whether the package is there, found out without importing it."""

    def version(self) -> str | None:
        """The installed version, or None where it is not installed."""

    def release(self) -> Runtime | None:
        """The installed release as the gate knows it; None where it is not there, or the gate does not judge it."""

    def load(self, model: bytes, threads: int) -> Interpreter:
        """Load a model.

        Args:
            model: A whole .tflite file.
            threads: Threads the kernels may use, at least 1.

        Raises:
            InterpreterUnavailableError: The plug's package is missing or broken.
            InterpreterError: The interpreter refuses the model.
        """
