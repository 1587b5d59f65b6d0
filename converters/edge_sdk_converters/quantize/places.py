"""Which Keras layer an operator of an exported file came from.

The converter names a tensor by the paths of all that was fused into it, `network_1/relu1_1/Relu;network_1/conv1_1/convolution`.
Keras opens a layer's scope twice, to build and to call it, so that every name in a path has a number behind it that the
layer's own name lacks: `conv1_1` is the layer `conv1`, and `conv1_1_1` the layer `conv1_1`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import QuantizationError, RecipeError

__all__ = ["Place", "layer_names", "read_places", "require_known"]

_KERNEL = re.compile(r"(convolution|depthwise|conv_transpose|separable_conv2d|MatMul)\d*$")
"""What the converter calls the product of a layer with its kernel."""


@dataclass(frozen=True)
class Place:
    """One operator of a file, and where it came from.

    Attributes:
        operator: What TFLite calls it, such as `"CONV_2D"`.
        output: Name of its first output tensor.
        scope: Names of all its outputs, each ended by `;`: what the quantizer's rules are matched with.
        layer: The Keras layer that it mostly is; an operator from no layer belongs to the layer whose
            output it reads, the last of several.
        layers: Every Keras layer that was fused into it.
        has_kernel: Whether it multiplies by constants that are stored in the file.
    """

    operator: str
    output: str
    scope: str
    layer: str
    layers: tuple[str, ...]
    has_kernel: bool


@lru_cache(maxsize=4)
def read_places(model: bytes) -> tuple[Place, ...]:
    """The operators of a .tflite file in the order in which they run.

    Args:
        model: The file, one that the SDK exported.

    Raises:
        QuantizationError: It is no .tflite file, is quantized already, or holds custom operators, which no device's
            interpreter has.
    """
    content = _parsed(model)
    names = _operator_names(content)
    custom = sorted({name for name in names if name.startswith("custom operator")})
    if custom:
        raise QuantizationError(
            f"A file to quantize must hold TFLite's own operators. Received: {', '.join(custom)}. "
            "Replace the layer behind it by layers that TFLite has."
        )
    graph = content.subgraphs[0]
    _require_float(graph.tensors)
    makers: dict[int, int] = {}
    places: list[Place] = []
    for index, operator in enumerate(graph.operators):
        read = [makers[tensor] for tensor in map(int, operator.inputs) if tensor in makers]
        before = places[max(read)].layer if read else ""
        places.append(_place(names[operator.opcodeIndex], operator, graph.tensors, content.buffers, before))
        makers.update(dict.fromkeys(map(int, operator.outputs), index))
    return tuple(places)


def layer_names(places: Iterable[Place]) -> tuple[str, ...]:
    """The layers that have an operator, in the order in which they run; what is fused comes with what it is fused into."""
    return tuple(dict.fromkeys(name for place in places for name in (place.layer, *place.layers) if name))


def require_known(places: Sequence[Place], names: Collection[str], key: str = "layers") -> None:
    """Refuse names that no operator came from: a misspelled one would silently do nothing.

    Args:
        places: What `read_places` returned.
        names: Names of Keras layers.
        key: What the error calls them.

    Raises:
        RecipeError: Gives the first name that does not exist and those most like it.
    """
    known = layer_names(places)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:8]
            raise RecipeError(
                f"{key} must name layers that compute something in the exported file. Received: '{name}'. "
                f"The nearest are {', '.join(near)}."
            )


def _parsed(model: bytes) -> Any:
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

    if model[4:8] != b"TFL3":
        raise QuantizationError(
            f"A file to quantize must be a .tflite file. Received: {len(model)} bytes of something else. Export it again."
        )
    return read_model(bytearray(model))


def _require_float(tensors: Sequence[Any]) -> None:
    from ai_edge_litert.schema_py_generated import TensorType

    quantized = {getattr(TensorType, name): name for name in ("INT4", "INT8", "INT16", "FLOAT16")}
    found = sorted({quantized[tensor.type] for tensor in tensors if tensor.type in quantized})
    if found:
        raise QuantizationError(
            f"A file to quantize must hold float32 numbers. Received: one with {', '.join(found)}. Export the model again."
        )


def _operator_names(content: Any) -> list[str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {code: name for name, code in vars(BuiltinOperator).items() if isinstance(code, int)}

    def name(code: Any) -> str:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        custom = code.customCode.decode() if code.customCode else ""
        return f"custom operator {custom}" if number == BuiltinOperator.CUSTOM else names[number]

    return [name(code) for code in content.operatorCodes]


def _place(name: str, operator: Any, tensors: Sequence[Any], buffers: Sequence[Any], before: str) -> Place:
    outputs = [tensors[index].name.decode() for index in operator.outputs]
    stored = [
        tensors[i].name.decode() for i in operator.inputs if i >= 0 and buffers[tensors[i].buffer].data is not None
    ]
    layers = _layers_of(outputs)
    if not layers:  # the network's last operator is called by the function that it ends
        layers = _layers_of([each for each in stored if _layer_of_kernel(each)])
    kernel_of = next(filter(None, map(_layer_of_kernel, outputs + stored)), None)
    layer = kernel_of or (layers[-1] if layers else before)
    scope = "".join(f"{output};" for output in outputs)
    return Place(name, outputs[0], scope, layer, layers, bool(stored) and kernel_of is not None)


def _layers_of(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(layer for name in names for path in name.split(";") for layer in _layers(path)))


def _layers(path: str) -> list[str]:
    """The layers in a path, the innermost first: between the network's name and the operator's, with a number each."""
    inner = path.split("/")[1:-1]
    return [match[1] for match in (re.fullmatch(r"(.+)_\d+", name) for name in reversed(inner)) if match]


def _layer_of_kernel(name: str) -> str | None:
    """The layer whose product with its kernel is among the paths of a tensor's name."""
    for path in name.split(";"):
        layers = _layers(path)
        if layers and any(map(_KERNEL.search, path.split("/")[2:])):
            return layers[0]
    return None
