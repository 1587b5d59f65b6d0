"""Tiny models that ask a release one question each: does it compute this operator with these types, and rightly?

A release's registrations say which versions of an operator it has, not which element types the kernel takes or gets right. So
every question is a model of one operator beside a float32 model of the same arithmetic, whose answer it must give.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KernelQuestion", "kernel_questions"]

_LARGEST = {"int2": 1, "int4": 7, "int8": 127, "int16": 32767}
_SIDE, _CHANNELS = 5, 32
_IMAGE = (1, _SIDE, _SIDE, _CHANNELS)


@dataclass(frozen=True)
class KernelQuestion:
    """Does a release compute one operator with these types?

    Attributes:
        signature: What the gate calls the operator with its types.
        model: One input, one output; quantized where the signature says so.
        reference: The same arithmetic in float32.
        input: What the reference takes, float32; the model takes it in the scale of its own input.
    """

    signature: str
    model: bytes
    reference: bytes
    input: NDArray[np.float32]


@dataclass(frozen=True)
class _Weighted:
    """An operator with weights: shapes, the weights' axis of channels, and how many products are summed up."""

    data: tuple[int, ...]
    weights: tuple[int, ...]
    output: tuple[int, ...]
    axis: int
    products: int
    options: tuple[str, dict[str, Any]]


_STRIDES = {"strideW": 1, "strideH": 1}
_KERNEL = (_CHANNELS, 3, 3, _CHANNELS)
_WEIGHTED = {
    "FULLY_CONNECTED": _Weighted((1, 64), (_CHANNELS, 64), (1, _CHANNELS), 0, 64, ("FullyConnectedOptions", {})),
    "CONV_2D": _Weighted(_IMAGE, _KERNEL, _IMAGE, 0, 9 * _CHANNELS, ("Conv2DOptions", _STRIDES)),
    "grouped CONV_2D": _Weighted(_IMAGE, (_CHANNELS, 3, 3, 8), _IMAGE, 0, 72, ("Conv2DOptions", _STRIDES)),
    "DEPTHWISE_CONV_2D": _Weighted(
        _IMAGE, (1, 3, 3, _CHANNELS), _IMAGE, 3, 9, ("DepthwiseConv2DOptions", {**_STRIDES, "depthMultiplier": 1})
    ),
    "TRANSPOSE_CONV": _Weighted(_IMAGE, _KERNEL, _IMAGE, 0, 9 * _CHANNELS, ("TransposeConvOptions", _STRIDES)),
}

_POOL = ("Pool2DOptions", {**_STRIDES, "filterWidth": 2, "filterHeight": 2})
_UNARY: dict[str, tuple[tuple[str, dict[str, Any]], tuple[int, ...] | None, tuple[int, ...]]] = {
    "RELU": (("", {}), None, _IMAGE),
    "RELU6": (("", {}), None, _IMAGE),
    "LOGISTIC": (("", {}), None, _IMAGE),
    "TANH": (("", {}), None, _IMAGE),
    "GELU": (("GeluOptions", {}), None, _IMAGE),
    "HARD_SWISH": (("HardSwishOptions", {}), None, _IMAGE),
    "LEAKY_RELU": (("LeakyReluOptions", {"alpha": 0.25}), None, _IMAGE),
    "SOFTMAX": (("SoftmaxOptions", {"beta": 1.0}), None, _IMAGE),
    "SQRT": (("", {}), None, _IMAGE),
    "RSQRT": (("", {}), None, _IMAGE),
    "AVERAGE_POOL_2D": (_POOL, None, _IMAGE),
    "MAX_POOL_2D": (_POOL, None, _IMAGE),
    "MEAN": (("ReducerOptions", {}), (1, 2), (1, _CHANNELS)),
    "TRANSPOSE": (("TransposeOptions", {}), (0, 2, 1, 3), _IMAGE),
    "RESHAPE": (("ReshapeOptions", {}), (1, -1), (1, _SIDE * _SIDE * _CHANNELS)),
    "RESIZE_BILINEAR": (("ResizeBilinearOptions", {}), (10, 10), (1, 10, 10, _CHANNELS)),
    "RESIZE_NEAREST_NEIGHBOR": (("ResizeNearestNeighborOptions", {}), (10, 10), (1, 10, 10, _CHANNELS)),
}
"""Options, a constant second input, and the output's shape."""

_BINARY = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
}
_PROBABILITIES = ("LOGISTIC", "SOFTMAX")
_FIXED_SCALES = {("LOGISTIC", "int8"): 2**-8, ("SOFTMAX", "int8"): 2**-8, ("TANH", "int8"): 2**-7}
"""Scales of outputs that the kernels prescribe; those of 16 bits are all 2^-15."""


def kernel_questions(seed: int = 0) -> Iterator[KernelQuestion]:
    """Every question: operators with weights in every type and grain, those without, and the known special cases.

    Args:
        seed: Of weights and inputs.
    """
    rng = np.random.default_rng(seed)
    for name in _WEIGHTED:
        for data in ("float32", "int8", "int16"):
            for weights in ("int8", "int4", "int2"):
                yield from (_weighted(rng, name, data, weights, grain) for grain in ("per tensor", "per channel"))
    yield _weighted(rng, "FULLY_CONNECTED", "float32", "int4", "in blocks")
    for weights in ("float16", "int8", "int4", "int2"):
        yield from (_dequantized(rng, name, weights) for name in _WEIGHTED)
    for kind in ("int8", "int16"):
        yield from (_unary(rng, name, kind) for name in _UNARY)
        yield from (_binary(rng, name, kind) for name in _BINARY)
    yield from (_binary(rng, name, "int16", power_of_two=True) for name in ("ADD", "SUB"))


def _weighted(rng: np.random.Generator, name: str, data: str, weights: str, grain: str) -> KernelQuestion:
    form = _WEIGHTED[name]
    stored, scales, exact = _weights(rng, form, weights, grain)
    spread = 4 / 3 * math.sqrt(form.products)  # four standard deviations of a sum of products of two uniform numbers

    def build(quantized: bool) -> bytes:
        graph = Graph()
        kind = data if quantized else "float32"
        taken = graph.tensor(form.data, kind, scales=_scale(kind, 1))
        given = graph.tensor(form.output, kind, scales=_scale(kind, spread))
        if quantized:
            kernel = graph.tensor(form.weights, weights, stored, scales, form.axis)
        else:
            kernel = graph.tensor(form.weights, data=exact.tobytes())
        _apply(graph, name, taken, kernel, given, _bias(graph, kind, scales))
        return graph.file([taken], [given])

    signature = f"{name} {data}×{weights} {grain}"
    return KernelQuestion(signature, build(True), build(False), _uniform(rng, form.data))


def _dequantized(rng: np.random.Generator, name: str, weights: str) -> KernelQuestion:
    """Weights that a DEQUANTIZE turns into float32 first; the fully connected one asks for the DEQUANTIZE itself."""
    form = _WEIGHTED[name]
    stored, scales, exact = _weights(rng, form, weights, "per channel")

    def build(quantized: bool) -> bytes:
        graph = Graph()
        taken, given, kernel = graph.tensor(form.data), graph.tensor(form.output), graph.tensor(form.weights)
        if quantized:
            source = graph.tensor(form.weights, weights, stored, scales, form.axis)
            graph.operator("DEQUANTIZE", [source], kernel)
        else:
            kernel = graph.tensor(form.weights, data=exact.tobytes())
        _apply(graph, name, taken, kernel, given, _bias(graph, "float32", None))
        return graph.file([taken], [given])

    whole = name == "FULLY_CONNECTED"
    signature = f"DEQUANTIZE {weights}" if whole else f"{name} float32×dequantized {weights}"
    return KernelQuestion(signature, build(True), build(False), _uniform(rng, form.data))


def _bias(graph: Graph, kind: str, scales: NDArray[np.float32] | None) -> int:
    """Zeros in the type and scale that go with the data's type."""
    if kind == "float32" or scales is None:
        return graph.tensor((_CHANNELS,), data=bytes(4 * _CHANNELS))
    wide = "int32" if kind == "int8" else "int64"
    products = (scales / _LARGEST[kind]).astype(np.float32)
    return graph.tensor((_CHANNELS,), wide, bytes((4 if wide == "int32" else 8) * _CHANNELS), products)


def _apply(graph: Graph, name: str, taken: int, kernel: int, given: int, added: int) -> None:
    form = _WEIGHTED[name]
    if name == "TRANSPOSE_CONV":
        shape = graph.tensor((4,), "int32", np.array(form.output, np.int32).tobytes())
        graph.operator(name, [shape, kernel, taken], given, *form.options)
    else:
        graph.operator(name.removeprefix("grouped "), [taken, kernel, added], given, *form.options)


def _unary(rng: np.random.Generator, name: str, kind: str) -> KernelQuestion:
    (options, values), second, shape = _UNARY[name]

    def build(kind: str) -> bytes:
        graph = Graph()
        taken = graph.tensor(_IMAGE, kind, scales=_scale(kind, 1))
        scales = _scale(kind, 4 if name == "RSQRT" else 1, _FIXED_SCALES.get((name, kind), _fixed_16(name, kind)))
        given = graph.tensor(
            shape, kind, scales=scales, zero_point=-128 if kind == "int8" and name in _PROBABILITIES else 0
        )
        constants = [graph.tensor((len(second),), "int32", np.array(second, np.int32).tobytes())] if second else []
        graph.operator(name, [taken, *constants], given, options, values)
        return graph.file([taken], [given])

    return KernelQuestion(f"{name} {kind}", build(kind), build("float32"), _uniform(rng, _IMAGE, 0.1))


def _binary(rng: np.random.Generator, name: str, kind: str, power_of_two: bool = False) -> KernelQuestion:
    """An operator on an input and a constant; with scales near powers of two where they are asked for."""
    constant = _uniform(rng, _IMAGE, 0.5)
    largest = {"DIV": 4.0, "MAXIMUM": 1.0}.get(name, 1.3)

    def build(kind: str) -> bytes:
        graph = Graph()
        shares = (2, 2, 1) if power_of_two else (1.7, 1.7, 1.7 * largest)
        first, second, last = (_scale(kind, share) for share in shares)
        taken, given = graph.tensor(_IMAGE, kind, scales=first), graph.tensor(_IMAGE, kind, scales=last)
        data = constant if second is None else np.rint(constant / second).astype(kind)
        graph.operator(name, [taken, graph.tensor(_IMAGE, kind, data.tobytes(), second)], given, _BINARY[name])
        return graph.file([taken], [given])

    signature = f"{name} {kind} scales of powers of two" if power_of_two else f"{name} {kind}"
    return KernelQuestion(signature, build(kind), build("float32"), _uniform(rng, _IMAGE, 0.1))


def _weights(
    rng: np.random.Generator, form: _Weighted, kind: str, grain: str
) -> tuple[bytes, NDArray[np.float32] | None, NDArray[np.float32]]:
    """Weights as stored, their scales, and their exact values; channels differ in size, so that mixing them up shows."""
    sizes = np.expand_dims(rng.uniform(0.05, 1, _CHANNELS), [i for i in range(len(form.weights)) if i != form.axis])
    values = (rng.uniform(-1, 1, form.weights) * sizes).astype(np.float32)
    if kind == "float16":
        halves = values.astype(np.float16)
        return halves.tobytes(), None, halves.astype(np.float32)
    if grain == "in blocks":
        blocks = values.reshape(_CHANNELS, -1, 32)
        scales = (np.abs(blocks).max(axis=2) / _LARGEST[kind]).astype(np.float16).astype(np.float32)
        wide = np.repeat(scales, 32, axis=1)
    elif grain == "per channel":
        others = tuple(i for i in range(values.ndim) if i != form.axis)
        wide = np.abs(values).max(axis=others, keepdims=True) / _LARGEST[kind]
        scales = wide.reshape(-1)
    else:
        scales = wide = np.abs(values).max(keepdims=True).reshape(1) / _LARGEST[kind]
    levels = np.rint(values / wide).astype(np.int8)
    return _packed(levels, kind), scales.astype(np.float32), (levels * wide).astype(np.float32)


def _packed(levels: NDArray[np.int8], kind: str) -> bytes:
    """Levels as a file stores them: narrow ones share a byte, the first in its lowest bits."""
    per_byte = {"int8": 1, "int4": 2, "int2": 4}[kind]
    bits = 8 // per_byte
    fields = (levels.reshape(-1, per_byte).astype(np.int32) & (2**bits - 1)) << (bits * np.arange(per_byte))
    return fields.sum(axis=1).astype(np.uint8).tobytes()


def _scale(kind: str, largest: float, fixed: float | None = None) -> NDArray[np.float32] | None:
    if kind == "float32":
        return None
    return np.array([fixed or largest / _LARGEST[kind]], np.float32)


def _fixed_16(name: str, kind: str) -> float | None:
    return 2**-15 if kind == "int16" and name in (*_PROBABILITIES, "TANH") else None


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], low: float = -1) -> NDArray[np.float32]:
    return rng.uniform(low, 1, shape).astype(np.float32)
