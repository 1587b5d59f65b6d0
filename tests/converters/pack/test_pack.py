"""Packed models come back byte for byte, and each tensor in a form that suits it."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_sdk_converters import pack as package
from edge_sdk_converters.errors import ModelError, ProofError
from edge_sdk_converters.pack import PackedTensor, model, pack
from edge_sdk_converters.pack.dictionary import skeleton_of
from edge_sdk_converters.pack.streams import shortest
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime.codec import unpack
from tests.converters.helpers import assert_one_line
from tests.converters.pack.files import TYPES, shared_weights, tflite_of
from tests.runtime.codec.page import Page

SPARSE = shared_weights((120, 100), 16, 0.05)


def test_public_names() -> None:
    assert sorted(package.__all__) == ["Packed", "PackedTensor", "pack"]


def packed_tensor(values: np.ndarray, *, int4: bool = False) -> PackedTensor:
    """How the one tensor of a file is stored, after the file has come back byte for byte."""
    tflite = tflite_of({"w": values}, ("w",) if int4 else ())
    packed = pack(tflite)
    assert unpack(packed.content) == tflite
    return packed.tensors[0]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from([*TYPES, "int4"]),
    st.lists(st.sampled_from([1, 2, 3, 5, 10, 24]), min_size=1, max_size=4).filter(lambda s: 16 <= np.prod(s) <= 600),
    st.sampled_from([1, 2, 3, 5, 6, 15, 16, 17, 200]),
    st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.95, 1.0]),
    st.integers(0, 9),
)
@example("float32", [600], 3, 0.002, 0)
def test_every_width_comes_back_and_as_the_page_says(
    dtype: str, shape: list[int], values: int, density: float, seed: int
) -> None:
    if dtype == "int4":
        weights = shared_weights((*shape, 2), min(values, 15), density, "int8", seed)
    else:
        weights = shared_weights(tuple(shape), values, density, dtype, seed)
    tflite = tflite_of({"w": weights, "more": weights[::-1]}, ("w",) if dtype == "int4" else ())
    packed = pack(tflite)
    assert unpack(packed.content) == Page(packed.content).model() == tflite
    assert len(packed.content) < len(tflite)


@pytest.mark.parametrize(
    ("weights", "coding", "most"),
    [
        (SPARSE, "gaps, 16 values", 860),
        (shared_weights((100, 60), 16, 1.0), "16 values", 2900),
        (np.random.default_rng(0).normal(size=2000).astype(np.float32), "4 planes", 6800),
        (np.sign(np.random.default_rng(0).normal(size=8000)).astype(np.float32), "2 values", 1020),
        (np.full(5000, 0.25, np.float32), "1 value", 12),
        (np.zeros(5000, np.int8), "bytes", 12),
        (shared_weights((100, 60), 15, 0.1, "int8"), "gaps, bytes", 700),
    ],
)
def test_the_form_suits_the_tensor(weights: np.ndarray, coding: str, most: int) -> None:
    tensor = packed_tensor(weights)
    assert tensor.coding == coding
    assert tensor.packed_bytes <= most
    assert (tensor.name, tensor.shape, tensor.plain_bytes) == ("w", weights.shape, weights.nbytes)


def test_int4_is_packed_as_half_bytes() -> None:
    tensor = packed_tensor(shared_weights((100, 100), 14, 0.05, "int8"), int4=True)
    assert tensor.coding.startswith("gaps, 1")
    assert (tensor.plain_bytes, tensor.shape) == (5000, (100, 100))
    assert tensor.packed_bytes < 750


def test_small_values_of_few_significant_bytes_are_stored_in_those() -> None:
    exact = packed_tensor(SPARSE)
    rounded = packed_tensor((SPARSE.view(np.uint32) & 0xFFFF0000).view(np.float32))
    assert exact.packed_bytes - rounded.packed_bytes == 16 * 2


def test_a_table_whose_columns_differ_is_coded_column_by_column() -> None:
    rng = np.random.default_rng(0)
    columns = rng.random(50) ** 4
    weights = np.where(rng.random((120, 50)) < columns, SPARSE.max(), 0).astype(np.float32)
    mixed = rng.permutation(weights.ravel()).reshape(weights.shape)
    assert packed_tensor(weights).packed_bytes < 0.9 * packed_tensor(mixed).packed_bytes


@pytest.mark.parametrize(("size", "density"), [(600_000, 0.02), (150_000, 0.07), (40_000, 0.3)])
def test_streams_are_within_3_percent_of_the_entropy(size: int, density: float) -> None:
    tensor = packed_tensor(shared_weights((size,), 31, density))
    assert tensor.stream_bytes <= 1.03 * tensor.bound_bytes


def test_the_account_adds_up() -> None:
    packed = pack(tflite_of({"a": SPARSE, "b": SPARSE[:50]}))
    assert packed.plain_bytes == packed.skeleton_bytes + sum(tensor.plain_bytes for tensor in packed.tensors)
    overhead = packed.size_bytes - packed.packed_skeleton_bytes - sum(tensor.packed_bytes for tensor in packed.tensors)
    assert 36 < overhead < 50
    assert packed.stream_bytes == sum(tensor.stream_bytes for tensor in packed.tensors)
    assert packed.bound_bytes == pytest.approx(sum(tensor.bound_bytes for tensor in packed.tensors))


def test_equal_files_give_equal_bytes() -> None:
    tflite = tflite_of({"a": SPARSE})
    assert pack(tflite).content == pack(tflite).content


def test_an_exported_network_pays_little_for_its_skeleton(plain: keras.Model) -> None:
    """A network that the dictionary does not hold: other layers, shapes and names."""
    tflite = export_tflite(plain)
    packed = pack(tflite)
    assert unpack(packed.content) == tflite
    assert packed.packed_skeleton_bytes < 0.5 * shortest(skeleton_of(tflite)).cost_bytes


@pytest.mark.parametrize("content", [b"", b"TFL3", b"no model at all", b"\xff\xff\xff\x7fTFL3" + bytes(50)])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=rf"whole \.tflite file\. Received: {len(content)} bytes, ") as caught:
        pack(content)
    assert_one_line(caught.value)


def test_truncated_models_are_refused_or_come_back() -> None:
    """Where the cut leaves all tables readable, the rest is a file like any other."""
    tflite = tflite_of({"w": SPARSE[:4]})
    for length in range(0, len(tflite), 7):
        try:
            packed = pack(tflite[:length])
        except ModelError as error:
            assert_one_line(error)
        else:
            assert unpack(packed.content) == tflite[:length]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_altered_models_are_refused_or_come_back(changes: list[tuple[int, int]]) -> None:
    content = bytearray(tflite_of({"w": SPARSE[:4], "v": SPARSE[4]}))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        packed = pack(bytes(content))
    except ModelError as error:
        assert_one_line(error)
    else:
        assert unpack(packed.content) == content


def test_what_no_runtime_would_rebuild_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "FREE_BYTES", 1000)
    monkeypatch.setattr(model, "MAX_GROWTH", 2)
    with pytest.raises(ModelError, match="more than 1000 bytes must not shrink more than 2-fold") as caught:
        pack(tflite_of({"w": SPARSE}))
    assert_one_line(caught.value)


def test_what_does_not_come_back_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "unpack", lambda content: unpack(content)[:-1])
    with pytest.raises(ProofError, match="rebuilt byte for byte") as caught:
        pack(tflite_of({"w": SPARSE[:4]}))
    assert_one_line(caught.value)


def test_the_account_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        pack(tflite_of({"w": SPARSE[:4]})).content = b""  # type: ignore[misc]
