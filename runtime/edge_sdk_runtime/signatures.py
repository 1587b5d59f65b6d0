"""What decides which kernel runs an operator: its name with the element types of what it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from .operators import Operator, Tensor

__all__ = ["dequantized_types", "signature_of"]

_WEIGHTED = {"CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0, 1), "TRANSPOSE_CONV": (2, 1)}
"""Operators with weights: the places of data and weights among their inputs."""


def signature_of(operator: Operator, made_by: Mapping[int, str] | None = None) -> str:
    """An operator with the element types that decide which kernel runs, such as `"CONV_2D float32×int8 per channel"`.

    Args:
        operator: Any operator.
        made_by: What `dequantized_types` found in its model.
    """
    places = _WEIGHTED.get(operator.name)
    if places is None:
        kind = next((tensor.type for tensor in operator.inputs if tensor), "")
        return f"{operator.name} {kind}{' scales of powers of two' if _misshifted(operator) else ''}".rstrip()
    data, weights = (operator.inputs[place] if place < len(operator.inputs) else None for place in places)
    if data is None or weights is None:
        return operator.name
    grouped = "grouped " if operator.name == "CONV_2D" and data.shape[-1:] != weights.shape[-1:] else ""
    source = (made_by or {}).get(id(weights))
    if source is None:
        return f"{grouped}{operator.name} {data.type}×{weights.type}{_grain(weights)}"
    # One delegate refuses half-precision weights beside a float32 bias, and takes them where the bias is stored so too.
    bias = operator.inputs[2] if len(operator.inputs) > 2 else None
    both = " with its bias" if bias is not None and id(bias) in (made_by or {}) else ""
    return f"{grouped}{operator.name} {data.type}×dequantized {source}{both}"


def _grain(weights: Tensor) -> str:
    if weights.blockwise:
        return " in blocks"
    return {0: "", 1: " per tensor"}.get(weights.scales, " per channel")


def dequantized_types(operators: Iterable[Operator]) -> dict[int, str]:
    """Element types of constants that a DEQUANTIZE turns into float32 first.

    Args:
        operators: All of a model's.

    Returns:
        The type that the DEQUANTIZE takes, by the `id` of the tensor that it gives.
    """
    return {
        id(output): tensor.type
        for operator in operators
        if operator.name == "DEQUANTIZE"
        for output in operator.outputs
        for tensor in operator.inputs
        if tensor and tensor.constant
    }


def _misshifted(operator: Operator) -> bool:
    """Whether a 16-bit ADD or SUB takes the path of power-of-two scales and the scales do not suit it.

    The kernels take that path where all three scales lie within 0.001 of a power of two in their logarithm, as 1/32767
    does, and then demand that one input has the output's scale and none a larger one (add.cc, sub.cc).
    """
    tensors = (*operator.inputs[:2], *operator.outputs[:1])
    if not operator.power_of_two or any(tensor is None or tensor.type != "int16" for tensor in tensors):
        return False
    logarithms = [math.log2(tensor.scale) for tensor in tensors if tensor and tensor.scale and tensor.scale > 0]
    if len(logarithms) < 3 or any(abs(value - round(value)) > 1e-3 for value in logarithms):
        return False
    first, second, last = map(round, logarithms)
    return not (last in (first, second) and first <= last and second <= last)
