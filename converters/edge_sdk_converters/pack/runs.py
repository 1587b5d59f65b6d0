"""Where a .tflite file keeps its weights: runs of equally wide elements, found through the flatbuffer's own tables."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge_sdk_runtime.codec.tensors import Element

from ..errors import ModelError

__all__ = ["Run", "find_runs"]

_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Run:
    """One run of elements in a .tflite file.

    Attributes:
        name: Of the tensor that uses it.
        offset: Where it begins, in bytes.
        size_bytes: How long it is.
        element: How wide its elements are.
        shape: The tensor's shape; of one axis where the run is no tensor's whole content.
    """

    name: str
    offset: int
    size_bytes: int
    element: Element
    shape: tuple[int, ...]


def find_runs(tflite: bytes, least_bytes: int) -> list[Run]:
    """Every weight buffer of a .tflite file, in the order of the file.

    Args:
        tflite: The whole file.
        least_bytes: Shorter buffers are left out.

    Raises:
        ModelError: It is no .tflite file, or its tables point outside of it.
    """
    from ai_edge_litert import schema_py_generated as schema

    if tflite[4:8] != _IDENTIFIER:
        raise _not_a_model(len(tflite), "no TFL3 in bytes 4 to 7")
    try:
        runs = sorted(_runs(schema.Model.GetRootAs(tflite, 0), least_bytes), key=lambda run: run.offset)
    except (struct.error, IndexError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise _not_a_model(len(tflite), str(error)) from error
    return list(_apart(runs, len(tflite)))


def _not_a_model(size: int, reason: str) -> ModelError:
    reason = reason.split("\n", maxsplit=1)[0]
    return ModelError(
        f"A model to pack must be a whole .tflite file. Received: {size} bytes, {reason}. Export the model again."
    )


def _runs(model: Any, least_bytes: int) -> Iterator[Run]:
    users = {
        tensor.Buffer(): tensor
        for graph in map(model.Subgraphs, range(model.SubgraphsLength()))
        for tensor in map(graph.Tensors, range(graph.TensorsLength()))
    }
    for index, tensor in users.items():
        offset, size = _content(model.Buffers(index))
        if size >= max(1, least_bytes):
            yield _run(tensor, offset, size)


def _content(buffer: Any) -> tuple[int, int]:
    """Offset and length of a buffer: within the flatbuffer, or behind it in files that are too long for one."""
    if buffer.Offset() > 1:
        return buffer.Offset(), buffer.Size()
    field = buffer._tab.Offset(4)
    return (buffer._tab.Vector(field), buffer._tab.VectorLen(field)) if field else (0, 0)


def _run(tensor: Any, offset: int, size: int) -> Run:
    name = (tensor.Name() or b"").decode()
    element = _element(tensor.Type(), size)
    shape = tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
    elements = 2 * size if element is Element.HALF_BYTE else size // element.bytes
    return Run(name, offset, size, element, shape if math.prod(shape) == elements else (elements,))


def _element(tensor_type: int, size: int) -> Element:
    from ai_edge_litert.schema_py_generated import TensorType

    if tensor_type == TensorType.INT4:
        return Element.HALF_BYTE
    if tensor_type in (TensorType.FLOAT32, TensorType.INT32, TensorType.UINT32) and size % 4 == 0:
        return Element.FOUR_BYTES
    if tensor_type in (TensorType.FLOAT16, TensorType.INT16, TensorType.UINT16) and size % 2 == 0:
        return Element.TWO_BYTES
    return Element.ONE_BYTE


def _apart(runs: list[Run], size: int) -> Iterator[Run]:
    """The runs that lie inside the file and do not overlap the one before; what is left out stays in the skeleton."""
    end = 0
    for run in runs:
        if run.offset + run.size_bytes > size:
            raise _not_a_model(size, f"a buffer of {run.size_bytes} bytes at {run.offset}")
        if run.offset >= end:
            yield run
            end = run.offset + run.size_bytes
