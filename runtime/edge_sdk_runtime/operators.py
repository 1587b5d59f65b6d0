"""Which operators a .tflite file holds, with their versions and tensors: read straight from the flatbuffer.

A device that has only tflite-runtime has no schema package, so this reads the few tables it needs by itself. Every offset and
length is checked before it is followed, and the vectors that are read may not together be much longer than the file, so that no
file, however it was made, costs more than a few passes over its bytes. The field numbers are those of the TensorFlow Lite schema, version 3
(schema.fbs); the encoding is FlatBuffers' (https://flatbuffers.dev/internals).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .errors import BundleCorruptError
from .operator_names import BUILTIN_OPERATORS, CUSTOM, TENSOR_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Operator", "Tensor", "layer_of", "read_operators"]

_ADD_OPTIONS, _SUB_OPTIONS = 11, 28
_BLOCKWISE = 2
_Item = TypeVar("_Item")
_KERNEL = re.compile(r"/(MatMul|convolution|depthwise|conv\w*|einsum)\w*$", re.IGNORECASE)


@dataclass(frozen=True)
class Tensor:
    """A value between operators.

    Attributes:
        name: What the converter called it.
        type: Its element type, such as `"int8"`; `"type 99"` where this runtime knows no name.
        shape: Its dimensions.
        constant: Whether its values are in the file, as weights are.
        scale: Its first quantization scale, or None where it has none.
        scales: How many scales it has: 1 for the whole tensor, more for one per channel.
        blockwise: Whether it is quantized in blocks, its scales a tensor of their own.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    constant: bool = False
    scale: float | None = None
    scales: int = 0
    blockwise: bool = False


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        name: Its builtin name, such as `"CONV_2D"`, or a custom operator's own.
        version: The version the file asks for.
        inputs: Its inputs in order; None where an optional one is left out.
        outputs: Its outputs in order.
        custom: Whether it is no builtin.
        power_of_two: ADD and SUB only: whether 16-bit tensors may take the path of power-of-two scales.
    """

    name: str
    version: int
    inputs: tuple[Tensor | None, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    custom: bool = False
    power_of_two: bool = False

    @property
    def layer(self) -> str:
        """Name of the layer it came from, as far as its tensors tell; empty where they do not."""
        constants = [tensor for tensor in self.inputs if tensor and tensor.constant]
        others = [tensor for tensor in self.inputs if tensor and not tensor.constant]
        names = (layer_of(tensor.name) for tensor in (*self.outputs, *constants, *others))
        return next((name for name in names if name), "")


def layer_of(tensor: str) -> str:
    """The Keras layer that a tensor is named after: `"net_1/conv_1/Relu;net_1/conv_1/convolution"` → `"conv"`.

    The converter joins the names of what it fused with semicolons; the one with the weights names the layer. It puts a number
    after every layer's own name.

    Args:
        tensor: A tensor's name.

    Returns:
        The layer, or an empty string where the name holds none, as for a graph's output.
    """
    paths = [path for path in tensor.split(";") if "/" in path]
    if not paths:
        return ""
    parts = next((path for path in paths if _KERNEL.search(path)), paths[0]).split("/")
    return re.sub(r"_\d+$", "", parts[-2] if len(parts) > 2 else parts[0])


def read_operators(model: bytes) -> list[Operator]:
    """Every operator of every graph in a file, in the order in which they stand.

    Args:
        model: A whole .tflite file.

    Raises:
        BundleCorruptError: It is no .tflite file, or an offset or a length in it points outside of it.
    """
    try:
        return _Reader(model).operators()
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BundleCorruptError(
            f"A model must be a whole .tflite file. Received: {len(model)} bytes ({error}). Copy or write the bundle again."
        ) from error


class _Reader:
    """Walks through one file's tables. A table is the position of its first byte; field 0 is the first of the schema."""

    def __init__(self, data: bytes) -> None:
        if data[4:8] != b"TFL3":
            raise ValueError("no TFL3 at byte 4")
        self._data = data
        self._left = 4 * len(data)  # writers may share a vector between tables, though none of today's does

    def operators(self) -> list[Operator]:
        root = self._follow(0)
        codes = [self._code(table) for table in self._tables(root, 1)]
        buffers = [self._holds_data(table) for table in self._tables(root, 4)]
        return [
            operator for graph in self._tables(root, 2) for operator in self._graph_operators(graph, codes, buffers)
        ]

    def _graph_operators(self, graph: int, codes: list[Operator], buffers: list[bool]) -> list[Operator]:
        tensors = [self._tensor(table, buffers) for table in self._tables(graph, 0)]
        return [self._operator(table, codes, tensors) for table in self._tables(graph, 3)]

    def _code(self, table: int) -> Operator:
        """An operator without its tensors."""
        # Codes above 127 came later, in a field of their own; the old one then holds 127 or nothing.
        code = max(self._scalar(table, 0, "<b", 0), self._scalar(table, 3, "<i", 0))
        version = self._scalar(table, 2, "<i", 1)
        if code == CUSTOM:
            return Operator(self._text(table, 1), version, custom=True)
        return Operator(BUILTIN_OPERATORS[code] if 0 <= code < len(BUILTIN_OPERATORS) else f"OPERATOR {code}", version)

    def _operator(self, table: int, codes: list[Operator], tensors: list[Tensor]) -> Operator:
        code = codes[self._scalar(table, 0, "<I", 0)]
        inputs = tuple(None if i == -1 else _at(tensors, i) for i in self._integers(table, 1))
        outputs = tuple(_at(tensors, i) for i in self._integers(table, 2))
        return Operator(code.name, code.version, inputs, outputs, code.custom, self._power_of_two(table))

    def _power_of_two(self, table: int) -> bool:
        if self._scalar(table, 3, "<B", 0) not in (_ADD_OPTIONS, _SUB_OPTIONS):
            return False
        at = self._field(table, 4)
        return at is None or bool(self._scalar(self._follow(at), 1, "<B", 1))

    def _tensor(self, table: int, buffers: list[bool]) -> Tensor:
        code = self._scalar(table, 1, "<b", 0)
        scale, scales, blockwise = self._quantization(table)
        return Tensor(
            self._text(table, 3),
            TENSOR_TYPES[code] if 0 <= code < len(TENSOR_TYPES) else f"type {code}",
            tuple(self._integers(table, 0)),
            _at(buffers, self._scalar(table, 2, "<I", 0)),
            scale,
            scales,
            blockwise,
        )

    def _quantization(self, table: int) -> tuple[float | None, int, bool]:
        at = self._field(table, 4)
        if at is None:
            return None, 0, False
        quantization = self._follow(at)
        scales = self._vector(quantization, 2, "<f4")
        blockwise = self._scalar(quantization, 4, "<B", 0) == _BLOCKWISE
        return (float(scales[0]) if len(scales) else None), len(scales), blockwise

    def _holds_data(self, table: int) -> bool:
        """Whether a buffer has bytes: in place, or behind the flatbuffer where a file is over 2 GB."""
        at = self._field(table, 0)
        return (at is not None and self._read("<I", self._follow(at)) > 0) or self._scalar(table, 2, "<Q", 0) > 0

    def _integers(self, table: int, field: int) -> list[int]:
        integers: list[int] = self._vector(table, field, "<i4").tolist()
        return integers

    def _text(self, table: int, field: int) -> str:
        return self._vector(table, field, "u1").tobytes().decode(errors="replace")

    def _tables(self, table: int, field: int) -> list[int]:
        """Positions of the tables in a vector of offsets; none where the field is left out."""
        at = self._field(table, field)
        if at is None:
            return []
        start = self._follow(at) + 4
        offsets = self._vector(table, field, "<u4").astype(np.int64)
        places: list[int] = (offsets + start + 4 * np.arange(len(offsets))).tolist()
        return places

    def _vector(self, table: int, field: int, dtype: str) -> NDArray[np.generic]:
        """A vector of scalars; empty where the field is left out."""
        at = self._field(table, field)
        if at is None:
            return np.empty(0, dtype)
        start = self._follow(at)
        count = self._read("<I", start)
        size = count * np.dtype(dtype).itemsize
        if size > self._left or start + 4 + size > len(self._data):
            raise ValueError(f"a vector of {count} at byte {start}")
        self._left -= size
        return np.frombuffer(self._data, dtype, count, start + 4)

    def _scalar(self, table: int, field: int, kind: str, default: int) -> int:
        at = self._field(table, field)
        return default if at is None else self._read(kind, at)

    def _field(self, table: int, field: int) -> int | None:
        """Where a field of a table stands; None where it is left out and has its default."""
        entries = table - self._read("<i", table)
        entry = 4 + 2 * field
        if entries < 0 or entry >= self._read("<H", entries):
            return None
        offset = self._read("<H", entries + entry)
        return table + offset if offset else None

    def _follow(self, at: int) -> int:
        return at + self._read("<I", at)

    def _read(self, kind: str, at: int) -> int:
        value: int = struct.unpack_from(kind, self._data, at)[0]
        return value


def _at(items: list[_Item], index: int) -> _Item:
    if index < 0:
        raise IndexError(f"index {index}")
    return items[index]
