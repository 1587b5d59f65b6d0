"""A .tflite file put together tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_runtime.operator_names import BUILTIN_OPERATORS, TENSOR_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Graph"]

_BLOCK = 32


class Graph:
    """One graph in the making; every operator asks for version 1 unless told otherwise."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._buffers: list[Any] = []
        self._codes: list[Any] = []
        self._operators: list[Any] = []

    def tensor(
        self,
        shape: Sequence[int],
        kind: str = "float32",
        data: bytes | None = None,
        scales: NDArray[np.float32] | None = None,
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        """Add a tensor.

        Args:
            shape: Its dimensions.
            kind: Its element type, such as `"int8"`.
            data: Its values as they stand in a file; None where it is computed.
            scales: Quantization scales, `float32 [1]` or one per place along `axis`; in two dimensions, one per block of 32.
            axis: The dimension that several scales belong to.
            zero_point: The quantized value that stands for 0.

        Returns:
            Its index, by which operators name it.
        """
        from ai_edge_litert import schema_py_generated as schema

        quantization = None if scales is None else self._quantization(scales, axis, zero_point)
        buffer, made = schema.BufferT(), schema.TensorT()
        buffer.data = None if data is None else np.frombuffer(data, np.uint8)
        self._buffers.append(buffer)
        made.name, made.shape, made.type = f"probe_1/t{len(self._tensors)}_1/x", list(shape), TENSOR_TYPES.index(kind)
        made.buffer, made.quantization = len(self._buffers), quantization
        self._tensors.append(made)
        return len(self._tensors) - 1

    def operator(
        self, name: str, inputs: Sequence[int], output: int, options: str = "", values: Mapping[str, Any] | None = None
    ) -> None:
        """Add an operator.

        Args:
            name: A builtin operator, or the name of a custom one.
            inputs: Indices of its inputs; -1 leaves an optional one out.
            output: Index of its output.
            options: Name of the table of its options in the schema; none where empty.
            values: What to set in that table, by the schema's names.
        """
        from ai_edge_litert import schema_py_generated as schema

        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self.code(name, 1), list(inputs), [output]
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for key, value in (values or {}).items():
                setattr(made.builtinOptions, key, value)
        self._operators.append(made)

    def code(self, name: str, version: int) -> int:
        """Name an operator and the version asked for, and return the index of both together."""
        from ai_edge_litert import schema_py_generated as schema

        builtin = name in BUILTIN_OPERATORS
        number = BUILTIN_OPERATORS.index(name if builtin else "CUSTOM")
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        code.customCode = None if builtin else name
        self._codes.append(code)
        return len(self._codes) - 1

    def file(self, inputs: Sequence[int] = (), outputs: Sequence[int] = ()) -> bytes:
        """The finished .tflite file."""
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model.version, model.operatorCodes, model.subgraphs = 3, self._codes, [graph]
        model.buffers = [schema.BufferT(), *self._buffers]  # buffer 0 is empty by convention
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _quantization(self, scales: NDArray[np.float32], axis: int, zero_point: int) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        made = schema.QuantizationParametersT()
        if scales.ndim == 1:
            made.scale, made.zeroPoint = scales, np.full(len(scales), zero_point, np.int64)
            made.quantizedDimension = axis
            return made
        made.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        made.details = schema.BlockwiseQuantizationT()
        made.details.scales = self.tensor(scales.shape, "float16", scales.astype(np.float16).tobytes())
        made.details.zeroPoints, made.details.blockSize = -1, _BLOCK
        return made
