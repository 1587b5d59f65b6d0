"""What an exported file answers, on the interpreter that a device would use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.interpreters import choose_interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["outputs_of"]


def outputs_of(model: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run a file on images, one at a time.

    Args:
        model: The file, with one `uint8 [1, H, W, C]` input and one float32 output.
        images: Model inputs, `uint8 [N, H, W, C]`, at least one.

    Returns:
        Its outputs, `float32 [N, …]`.

    Raises:
        InterpreterError: The interpreter refuses the file.
    """
    interpreter = choose_interpreter().load(model, threads=1)
    try:
        rows = np.empty((len(images), *interpreter.output.shape[1:]), np.float32)
        for row, image in zip(rows, images, strict=True):
            interpreter.input_view()[0] = image
            interpreter.invoke()
            row[...] = interpreter.output_view()[0]
        return rows
    finally:
        interpreter.close()
