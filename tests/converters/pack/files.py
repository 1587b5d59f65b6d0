"""Small .tflite files with given weights, made without TensorFlow; they hold no operators, and nothing runs them."""

from __future__ import annotations

from collections.abc import Mapping

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
    "int16": schema.TensorType.INT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
}


def tflite_of(tensors: Mapping[str, NDArray[np.generic]], int4: tuple[str, ...] = ()) -> bytes:
    """A file with these tensors, those named in `int4` from `int8` values -8 to 7."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, graph.tensors = 3, [graph], [schema.BufferT()], []
    for name, values in tensors.items():
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape, tensor.buffer = name, list(values.shape), len(model.buffers)
        tensor.type = schema.TensorType.INT4 if name in int4 else TYPES[values.dtype.name]
        buffer.data = np.frombuffer((_halves(values) if name in int4 else values).tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(tensor)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _halves(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    low = values.astype(np.int8).view(np.uint8).ravel() & 15
    return low[::2] | low[1::2] << 4


def shared_weights(
    shape: tuple[int, ...], values: int, density: float, dtype: str = "float32", seed: int = 0
) -> NDArray[np.generic]:
    """Weights of so many different values besides zero, of which so many are not zero, normally distributed."""
    rng = np.random.default_rng(seed)
    palette = np.arange(values) - values // 2
    palette = np.where(palette >= 0, palette + 1, palette) * (0.0173 if dtype.startswith("float") else 1)
    indices = np.clip(np.rint(rng.normal((values - 1) / 2, values / 5, shape)), 0, values - 1).astype(int)
    return np.where(rng.random(shape) < density, palette[indices], 0).astype(dtype)
