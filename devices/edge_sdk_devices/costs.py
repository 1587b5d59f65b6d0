"""What a model costs at least, counted from its .tflite file: multiply-accumulates, and bytes of weights and activations.

Convolutions, dense layers and matrix products count; all else is taken as free. A padded border counts as the interpreters' kernels
compute it. None of them uses algorithms with fewer products, such as Winograd's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_sdk_runtime.operators import Operator, Tensor, read_operators

from .errors import CostError
from .hardware import Arithmetic

if TYPE_CHECKING:
    from edge_sdk_runtime import Bundle
    from edge_sdk_runtime.manifest import StagedForm

__all__ = ["LayerCost", "bundle_costs", "model_costs"]

_BITS = {"int4": 4, "uint4": 4, "int2": 2, "int8": 8, "uint8": 8, "bool": 8, "float16": 16, "bfloat16": 16, "int16": 16}
_BITS |= {"uint16": 16, "int64": 64, "uint64": 64, "float64": 64}
_BRANCHES = ("IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE")


@dataclass(frozen=True)
class LayerCost:
    """What one operator has to do at least, for one image.

    Attributes:
        name: Its layer as far as the file tells, else the operator.
        operator: What it is, such as `"CONV_2D"`.
        arithmetic: What its products are computed in.
        macs: Multiply-accumulates.
        weight_bytes: Constants that it reads and nothing before it has read.
        input_bytes: Other tensors that it reads.
        output_bytes: Tensors that it writes.
        every_core: Whether it may use every core, however many threads the interpreter has: NumPy's stages do.
    """

    name: str
    operator: str
    arithmetic: Arithmetic
    macs: int
    weight_bytes: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    every_core: bool = False


def bundle_costs(bundle: Bundle, form: str | None = None) -> tuple[LayerCost, ...]:
    """What every stage of a bundle costs at least, preprocessing excepted.

    Args:
        bundle: An opened bundle.
        form: `"staged"` or `"fused"`; the bundle's default where None.

    Raises:
        CostError: It does not hold that form, or a model whose cost cannot be counted.
    """
    manifest, chosen = bundle.manifest, form or bundle.manifest.default_form
    if chosen not in manifest.forms:
        raise CostError(
            f"form must be one the bundle holds: {', '.join(manifest.forms)}. Received: {chosen!r}. Choose one of them."
        )
    if chosen == "fused" and manifest.fused:
        return model_costs(bundle.read(manifest.fused.classifier))
    assert manifest.staged is not None
    return _staged_costs(bundle, manifest.staged)


def model_costs(model: bytes) -> tuple[LayerCost, ...]:
    """What every operator of a .tflite file costs at least, in the order in which they stand.

    Args:
        model: A whole .tflite file with one graph.

    Raises:
        CostError: Its graph branches, so that what is computed depends on the image.
        BundleCorruptError: It is no .tflite file.
    """
    operators = read_operators(model)
    if branches := [each.name for each in operators if each.name in _BRANCHES]:
        raise CostError(
            f"A model's graph must not branch for its cost to be counted. Received: {branches[0]}. Export it without loops."
        )
    seen: set[str] = set()
    return tuple(_layer_cost(operator, seen) for operator in operators)


def _layer_cost(operator: Operator, seen: set[str]) -> LayerCost:
    """The cost of an operator; constants in `seen` have been read before, those of this one are added."""
    tensors = [tensor for tensor in operator.inputs if tensor]
    weights = [tensor for tensor in tensors if tensor.constant and tensor.name not in seen]
    seen |= {tensor.name for tensor in weights}
    return LayerCost(
        operator.layer or operator.name,
        operator.name,
        _arithmetic(tensors),
        _macs(operator),
        sum(map(_bytes, weights)),
        sum(_bytes(tensor) for tensor in tensors if not tensor.constant),
        sum(map(_bytes, operator.outputs)),
    )


def _arithmetic(tensors: Sequence[Tensor]) -> Arithmetic:
    """Float32 where both factors are; anything narrower may be computed at the rate of int8."""
    wide = all(tensor.type in ("float32", "int32", "int64") for tensor in tensors)
    return Arithmetic.FLOAT32 if wide else Arithmetic.INT8


def _macs(operator: Operator) -> int:
    count = _COUNTS.get(operator.name)
    if count is None or operator.custom:
        return 0
    try:
        return count(operator)
    except (IndexError, AttributeError, ZeroDivisionError) as error:
        raise CostError(
            f"{operator.name} must have the tensors that its kind has. Received: {len(operator.inputs)} inputs "
            f"({error}). Export the model again."
        ) from error


def _convolution(operator: Operator) -> int:
    """Weights `[out, …kernel, in / groups]`: every output value sums over all but the first axis."""
    return math.prod(operator.outputs[0].shape) * math.prod(_shape(operator, 1)[1:])


def _volume_convolution(operator: Operator) -> int:
    """Weights `[depth, height, width, in, out]`."""
    return math.prod(operator.outputs[0].shape) * math.prod(_shape(operator, 1)[:-1])


def _depthwise(operator: Operator) -> int:
    """Weights `[1, height, width, out]`."""
    return math.prod(operator.outputs[0].shape) * math.prod(_shape(operator, 1)[1:3])


def _transposed(operator: Operator) -> int:
    """Inputs are the output's shape, weights `[out, height, width, in]`, and the image: each of its values is spread."""
    _, height, width, _ = _shape(operator, 1)
    return math.prod(_shape(operator, 2)) * height * width * _shape(operator, 1)[0]


def _dense(operator: Operator) -> int:
    """Weights `[out, in]`."""
    return math.prod(operator.outputs[0].shape) * _shape(operator, 1)[-1]


def _matrix_product(operator: Operator) -> int:
    """`[…, m, k]` by `[…, k, n]`, either one transposed or not: k is what the first has beyond the output's m."""
    *_, rows, _ = operator.outputs[0].shape
    first, second = _shape(operator, 0)[-2:]
    return math.prod(operator.outputs[0].shape) * (second if first == rows else first)


_COUNTS: Mapping[str, Callable[[Operator], int]] = {
    "CONV_2D": _convolution,
    "CONV_3D": _volume_convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _matrix_product,
}


def _shape(operator: Operator, index: int) -> tuple[int, ...]:
    tensor = operator.inputs[index]
    assert tensor is not None, "a factor may not be left out"
    return tensor.shape


def _bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _BITS.get(tensor.type, 32) // 8


def _staged_costs(bundle: Bundle, form: StagedForm) -> tuple[LayerCost, ...]:
    encoder = model_costs(bundle.read(form.encoder)) if form.encoder else ()
    prototypes, width = bundle.read_arrays(form.prototypes)[""].shape
    similarity = _product("similarity", width, prototypes)
    if form.head.endswith(".tflite"):
        return (*encoder, similarity, *model_costs(bundle.read(form.head)))
    from edge_sdk_runtime import MlpHead

    kernels = MlpHead.from_bytes(bundle.read(form.head)).kernels
    return (*encoder, similarity, *(_product(f"head {number}", *k.shape) for number, k in enumerate(kernels, 1)))


def _product(name: str, inputs: int, outputs: int) -> LayerCost:
    """A vector times a float32 matrix, in NumPy."""
    return LayerCost(
        name,
        "NumPy",
        Arithmetic.FLOAT32,
        inputs * outputs,
        4 * inputs * outputs,
        4 * inputs,
        4 * outputs,
        every_core=True,
    )
