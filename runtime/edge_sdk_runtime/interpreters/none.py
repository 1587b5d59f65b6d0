"""In the place of an interpreter, where a form holds no model: the image itself is the embedding and the head is NumPy's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import InterpreterError
from .base import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NUMPY", "FlattenedImage", "NoInterpreter"]


class FlattenedImage:
    """An encoder without a network: rows of pixels one after the other, divided by 255.

    Choudhury et al., "Imageem" (2020), section 3.4, compares images with class embeddings in this form.

    Args:
        shape: Height, width and channels of the image.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._image = np.zeros((1, *shape), np.uint8)
        self._embedding = np.zeros((1, self._image.size), np.float32)
        self._closed = False
        self.input = TensorInfo(self._image.shape, "uint8")
        self.output = TensorInfo(self._embedding.shape, "float32")

    def input_view(self) -> NDArray[Any]:
        """The image, `uint8 [1, H, W, C]`, to be written."""
        self._expect_open()
        return self._image

    def invoke(self) -> None:
        """Divide every pixel by 255."""
        self._expect_open()
        np.divide(self._image.reshape(1, -1), np.float32(255), out=self._embedding, dtype=np.float32)

    def output_view(self) -> NDArray[Any]:
        """The embedding, `float32 [1, H · W · C]`, valid until the next `invoke`."""
        self._expect_open()
        return self._embedding

    def close(self) -> None:
        """Refuse every further call."""
        self._closed = True

    def _expect_open(self) -> None:
        if self._closed:
            raise InterpreterError(
                "A closed interpreter cannot run. Received: a call after close(). Load the bundle again."
            )


class NoInterpreter:
    """The plug of forms that hold no model; it is never asked to load one."""

    name = "numpy"

    def installed(self) -> bool:
        """Always: the runtime does not run without NumPy."""
        return True

    def version(self) -> str | None:
        """NumPy's version."""
        return str(np.__version__)

    def release(self) -> None:
        """None: there is no model to judge."""

    def load(self, model: bytes, threads: int) -> NoReturn:
        """Refuse.

        Raises:
            InterpreterError: Always; NumPy runs no .tflite file.
        """
        del threads
        raise InterpreterError(
            f"NumPy runs no .tflite model. Received: one of {len(model)} bytes. Choose an interpreter, such as litert."
        )


NUMPY = NoInterpreter()
"""What `interpreter_for` gives where there is nothing to load."""
