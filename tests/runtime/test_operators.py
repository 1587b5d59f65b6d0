"""Reading operators from .tflite files: what is in them, and that no file, however it was made, does harm."""

from __future__ import annotations

import functools
import struct

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.probe.graph import Graph
from edge_sdk_runtime import BundleCorruptError
from edge_sdk_runtime import operators as module
from edge_sdk_runtime.operator_names import BUILTIN_OPERATORS, CUSTOM, TENSOR_TYPES
from edge_sdk_runtime.operators import Operator, Tensor, layer_of, read_operators


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Operator", "Tensor", "layer_of", "read_operators"]


def test_names_are_those_of_the_schema() -> None:
    def named(numbers: type) -> dict[str, int]:
        return {name: number for name, number in vars(numbers).items() if isinstance(number, int)}

    assert named(schema.BuiltinOperator) == {name: number for number, name in enumerate(BUILTIN_OPERATORS)}
    assert named(schema.TensorType) == {name.upper(): number for number, name in enumerate(TENSOR_TYPES)}
    assert BUILTIN_OPERATORS[CUSTOM] == "CUSTOM"


@functools.cache
def sums(options: str = "AddOptions", power_of_two: bool | None = True) -> bytes:
    """An addition of int16, a custom operator, and a fully connected one with a scale per row and no bias."""
    graph = Graph()
    scale = np.array([0.5], np.float32)
    taken, given, turned, last = (graph.tensor((1, 2), "int16", scales=scale) for _ in range(4))
    constant = graph.tensor((1, 2), "int16", np.array([1, 2], np.int16).tobytes(), scale)
    kernel = graph.tensor((3, 2), "int8", bytes(6), np.array([0.25, 1, 2], np.float32))
    values = {} if power_of_two is None else {"potScaleInt16": power_of_two}
    graph.operator("ADD" if options == "AddOptions" else "SUB", [taken, constant], given, options, values)
    graph.operator("Turn", [given], turned)
    graph.operator("FULLY_CONNECTED", [turned, kernel, -1], last, "FullyConnectedOptions")
    return graph.file([taken], [last])


def test_operators_come_with_versions_types_and_scales() -> None:
    add, custom, dense = read_operators(sums())
    assert (add.name, add.version, add.custom, add.power_of_two) == ("ADD", 1, False, True)
    assert (custom.name, custom.custom, custom.power_of_two) == ("Turn", True, False)
    taken, constant = add.inputs
    assert taken == Tensor("probe_1/t0_1/x", "int16", (1, 2), False, 0.5, 1)
    assert constant is not None and constant.constant
    kernel = dense.inputs[1]
    assert kernel is not None
    assert (kernel.type, kernel.shape, kernel.scale, kernel.scales) == ("int8", (3, 2), 0.25, 3)
    assert dense.inputs[2] is None
    assert dense.inputs[0] is custom.outputs[0]


@pytest.mark.parametrize("options", ["AddOptions", "SubOptions"])
@pytest.mark.parametrize(("written", "read"), [(True, True), (False, False), (None, True)])
def test_scales_of_powers_of_two_are_the_default(options: str, written: bool | None, read: bool) -> None:
    assert read_operators(sums(options, written))[0].power_of_two is read


def test_blocks_are_seen() -> None:
    graph = Graph()
    taken, given = graph.tensor((1, 64)), graph.tensor((1, 2))
    kernel = graph.tensor((2, 64), "int4", bytes(64), np.ones((2, 2), np.float32))
    graph.operator("FULLY_CONNECTED", [taken, kernel, -1], given, "FullyConnectedOptions")
    weights = read_operators(graph.file([taken], [given]))[0].inputs[1]
    assert weights is not None and weights.blockwise and weights.type == "int4"


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net_1/conv_1/convolution1", "conv"),
        ("net_1/conv2d_1_1/convolution", "conv2d_1"),
        ("net_1/relu_1/Relu6;net_1/bn_1_2/batchnorm/mul_1;net_1/conv_1/convolution", "conv"),
        ("net_1/relu_1/Relu;net_1/add_1/Add", "relu"),
        ("net_1/hidden_1/MatMul_dequant", "hidden"),
        ("net_1/Cast", "net"),
        ("StatefulPartitionedCall:0", ""),
        ("", ""),
    ],
)
def test_a_tensor_is_named_after_its_layer(tensor: str, layer: str) -> None:
    assert layer_of(tensor) == layer


def test_the_last_operator_is_named_after_its_weights() -> None:
    weights = Tensor("net_1/scores_1/MatMul", "int8", (2, 2), constant=True)
    before = Tensor("net_1/flatten_1/Reshape", "float32", (1, 2))
    operator = Operator("FULLY_CONNECTED", 1, (before, weights, None), (Tensor("Call:0", "float32", (1, 2)),))
    assert operator.layer == "scores"
    assert Operator("SOFTMAX", 1, (before,), (Tensor("Call:0", "float32", (1, 2)),)).layer == "flatten"


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(100), b"\x1c\0\0\0TFL3" + b"\xff" * 64])
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(BundleCorruptError, match=r"whole \.tflite file\. Received: \d+ bytes") as caught:
        read_operators(content)
    assert "\n" not in str(caught.value)


def read_or_refuse(content: bytes) -> None:
    try:
        read_operators(content)
    except BundleCorruptError as error:
        assert "\n" not in str(error)


@given(st.integers(0, 2000))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_file_may_end_anywhere(length: int) -> None:
    read_or_refuse(sums()[:length])


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_byte_may_be_any_other(changes: list[tuple[int, int]]) -> None:
    content = bytearray(sums())
    for place, value in changes:
        content[8 + place % (len(content) - 8)] = value
    read_or_refuse(bytes(content))


def test_a_vector_that_is_shared_costs_no_more_than_the_file_is_long() -> None:
    """Two thousand operators that all read one list of two thousand inputs: four million tensors from 16 kB."""
    content = bytearray(sums())
    graph = schema.Model.GetRootAs(bytes(content), 0).Subgraphs(0)._tab
    operators = graph.Pos + graph.Offset(10)
    content[operators : operators + 4] = struct.pack("<I", len(content) - operators)
    count = 2000
    behind = 4 + 4 * count  # from the vector's start to the only operator's field numbers
    content += struct.pack("<I", count) + b"".join(struct.pack("<I", behind + 10 - 4 - 4 * i) for i in range(count))
    content += struct.pack("<5H", 10, 16, 4, 8, 12)  # a vtable of three fields, then the table
    content += struct.pack("<iIII", 10, 0, 8, 4 + 4 * (count + 1)) + struct.pack(f"<I{count}i", count, *[0] * count)
    content += struct.pack("<I", 0)
    with pytest.raises(BundleCorruptError, match=f"a vector of {count}"):
        read_operators(bytes(content))
