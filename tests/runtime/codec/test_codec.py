"""Damaged and malicious packed models: only the documented errors, in bounded time and memory, and never another model."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.pack import pack
from edge_sdk_converters.pack.fields import number
from edge_sdk_runtime import BundleCorruptError, BundleVersionError, codec
from edge_sdk_runtime.codec import PackedModel, decoders, is_packed, places, unpack
from edge_sdk_runtime.codec.container import FREE_BYTES
from edge_sdk_runtime.codec.dictionary import load_dictionary
from tests.converters.pack.files import shared_weights, tflite_of

MODEL = tflite_of(
    {
        "gaps": shared_weights((60, 50), 16, 0.06),
        "bitmap": shared_weights((40, 30), 40, 0.4),
        "all": shared_weights((30, 20), 3, 1.0, "int8"),
        "planes": np.random.default_rng(0).normal(size=(9, 10)).astype(np.float16),
        "halves": shared_weights((20, 20), 9, 0.2, "int8"),
    },
    ("halves",),
)
CONTENT = pack(MODEL).content
STREAMS = len(CONTENT) - len(PackedModel.read(CONTENT)._streams)
"""Where header and directory end."""


def test_public_names() -> None:
    assert sorted(codec.__all__) == ["PackedModel", "is_packed", "unpack"]


def test_the_sample_has_every_form() -> None:
    tensors = PackedModel.read(CONTENT).tensors
    assert {tensor.places.kind for tensor in tensors} == {0, 1, 2}
    assert {bool(tensor.values.palette) for tensor in tensors} == {True, False}
    assert {0, 2, 3} <= {tensor.element for tensor in tensors}


def test_a_packed_model_is_known_by_its_first_bytes() -> None:
    assert is_packed(CONTENT)
    assert not is_packed(MODEL)
    assert not is_packed(b"")


def test_the_directory_tells_what_the_file_rebuilds() -> None:
    packed = PackedModel.read(CONTENT)
    assert (packed.size_bytes, packed.packed_bytes) == (len(MODEL), len(CONTENT))
    assert packed.to_bytes() == unpack(CONTENT) == MODEL


@pytest.mark.parametrize("piece", [8, 13, 64, 1000])
def test_pieces_of_any_length_give_the_same(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coded bytes are given to decompressors, and elements are placed, some thousands at a time."""
    large = tflite_of({"w": np.tile(np.arange(200, dtype=np.uint8), 400), "v": np.arange(40_000, dtype=np.int32) ** 2})
    monkeypatch.setattr(decoders, "_PIECE", piece)
    monkeypatch.setattr(places, "PIECE", 8 * piece)
    assert unpack(CONTENT) == MODEL
    assert unpack(pack(large).content) == large


def expect_refusal_or_the_same(content: bytes) -> None:
    """A bit that means nothing, such as one that fills up the last byte of a stream, may be another."""
    try:
        rebuilt = unpack(content)
    except BundleCorruptError as error:
        assert str(error).startswith("A packed model must be whole and unaltered. Received: ")
        assert "\n" not in str(error)
    except BundleVersionError:
        assert content[3] > 1
    else:
        assert rebuilt == MODEL


def test_every_truncation_is_refused() -> None:
    for length in range(len(CONTENT)):
        with pytest.raises(BundleCorruptError):
            unpack(CONTENT[:length])


def test_what_follows_the_streams_is_refused() -> None:
    with pytest.raises(BundleCorruptError, match="bytes of streams where the directory lists"):
        unpack(CONTENT + b"\0")


def test_every_single_bit_of_the_directory_may_flip() -> None:
    for position in range(8 * STREAMS):
        expect_refusal_or_the_same(flipped(CONTENT, [position]))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, len(CONTENT) * 8 - 1), min_size=1, max_size=4))
def test_flipped_bits_never_give_another_model(bits: list[int]) -> None:
    expect_refusal_or_the_same(flipped(CONTENT, bits))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(36, STREAMS), st.integers(0, 12), st.binary(max_size=12))
def test_any_directory_is_refused_or_the_same(position: int, replaced: int, new: bytes) -> None:
    expect_refusal_or_the_same(CONTENT[:position] + new + CONTENT[position + replaced :])


def flipped(content: bytes, bits: list[int]) -> bytes:
    damaged = bytearray(content)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=100))
def test_any_bytes_are_refused(content: bytes) -> None:
    for start in (b"", CONTENT[:4], CONTENT[:36]):
        with pytest.raises((BundleCorruptError, BundleVersionError)):
            unpack(start + content)


@pytest.mark.parametrize("version", [2, 255])
def test_a_later_format_is_refused_with_the_command_that_helps(version: int) -> None:
    with pytest.raises(BundleVersionError, match=rf"Received: format {version}\. Run: pip install --upgrade edge-sdk"):
        unpack(b"ETZ" + bytes([version]) + CONTENT[4:])


def test_a_longer_model_than_expected_is_refused() -> None:
    with pytest.raises(BundleCorruptError, match="as the model's size"):
        unpack(CONTENT, limit=len(MODEL) - 1)
    assert unpack(CONTENT, limit=len(MODEL)) == MODEL


def made_up(size: int, tensor: bytes, streams: bytes, skeleton: int = 0) -> bytes:
    """A packed file with one tensor and a stored skeleton of zeros."""
    header = b"ETZ\1" + bytes(32) + number(size) + number(skeleton) + b"\0" + b"\1"
    return header + tensor + bytes(skeleton) + streams


def entry(form: int, elements: int, *rest: int | bytes) -> bytes:
    fields = (each if isinstance(each, bytes) else number(each) for each in rest)
    return number(0) + bytes([form]) + number(elements) + b"".join(fields)


STORED, REPEAT, DEFLATE = b"\0", b"\1", b"\2"
SKELETONS = len(load_dictionary("skeletons").coded)
BOMB = zlib.compress(bytes(10**7), 9, -15)

MALICIOUS = {
    "a size beyond every limit": (made_up(1 << 40, b"", b""), "as the model's size, which must be 1 to "),
    "a size that this file may not grow to": (made_up(FREE_BYTES + 1, b"", b""), "as the model's size"),
    "an endless number": (CONTENT[:36] + b"\xff" * 40, "as the model's size"),
    "more tensors than bytes": (b"ETZ\1" + bytes(32) + number(9) + b"\0\0" + number(99), "as the number of tensors"),
    "a tensor longer than the model": (made_up(9, entry(1, 10, STORED), bytes(10)), "10 as the number of elements"),
    "a tensor of no elements": (made_up(9, entry(1, 0, STORED), b""), "0 as the number of elements"),
    "a tensor shorter than its place": (made_up(9, entry(1, 8, STORED), bytes(8)), "1 bytes short of the model"),
    "half a byte too much": (made_up(9, entry(16, 17, b"\1", 1, 1, STORED), bytes(99)), "17 half bytes"),
    "half bytes without a palette": (made_up(8, entry(0, 16), bytes(8)), "half bytes without a palette"),
    "places of no kind": (made_up(8, entry(1 | 3 << 2, 8, 8, STORED), bytes(8)), "which does not exist"),
    "low bits without gaps": (made_up(8, entry(1 | 1 << 6, 8, STORED), bytes(8)), "which does not exist"),
    "columns that divide nothing": (made_up(8, entry(1 | 32, 8, 3, STORED), bytes(8)), "8 elements in rows of 3"),
    "no columns": (made_up(8, entry(1 | 32, 8, 0, STORED), bytes(8)), "0 as columns"),
    "more values than elements": (made_up(8, entry(1 | 4, 8, 9, 0, STORED, STORED), bytes(18)), "9 as the number of"),
    "more long gaps than fit": (made_up(300, entry(1 | 4, 300, 9, 2), bytes(18)), "2 as the number of long gaps"),
    "a palette wider than elements": (made_up(8, entry(1 | 16, 8, b"\1", 2, 1, STORED), bytes(12)), "2 as the width"),
    "a packing that overflows": (made_up(8, entry(1 | 16, 8, b"\4", 1, 4, STORED), bytes(7)), "4 as indices to a byte"),
    "a method of its own": (made_up(8, entry(1, 8, b"\xff"), bytes(8)), "method 255 for values"),
    "a stream longer than the file": (made_up(8, entry(1, 8, DEFLATE, 99), bytes(8)), "99 as the coded length"),
    "another length than listed": (made_up(8, entry(1, 8, STORED), bytes(7)), "7 bytes of streams where .* lists 8"),
    "a place beyond the end": (
        made_up(8, entry(5, 8, 1, 0, STORED, STORED), b"\x08\1"),
        "places beyond a tensor's end",
    ),
    "a bit beyond the end": (made_up(7, entry(9, 7, 1, STORED, STORED), b"\x80\1"), "places beyond a tensor's end"),
    "fewer bits than listed": (made_up(8, entry(9, 8, 2, STORED, STORED), b"\1\1\1"), "1 places where 2 should be"),
    "more bits than listed": (made_up(8, entry(9, 8, 1, STORED, STORED), b"\3\1"), "places beyond a tensor's end"),
    "an index beyond the palette": (
        made_up(2, entry(17, 2, b"\2", 1, 1, STORED), b"\1\2\3\0\3"),
        "a byte of 3 where 2",
    ),
    "half a byte that is whole": (made_up(1, entry(16, 2, b"\0", 1, 1), b"\x10"), "16 in a palette of half bytes"),
    "a stream that ends too soon": (made_up(8, entry(1, 8, DEFLATE, 2), b"\3\0"), "values that end too soon"),
    "a stream of nonsense": (made_up(8, entry(1, 8, DEFLATE, 2), b"\7\7"), "damaged values"),
    "nonsense behind the values": (made_up(1, entry(1, 1, DEFLATE, 7), b"\0\1\0\xfe\xff\7\7"), "damaged values"),
    "LZMA of nonsense": (made_up(8, entry(1, 8, b"\5", 9), b"\xff" * 9), "damaged values|too soon|hash differs"),
    "a cut of more than there is": (
        b"ETZ\1" + bytes(32) + number(8) + number(8) + b"\3" + number(SKELETONS + 1) + bytes(9),
        "as the bytes to cut from the dictionary",
    ),
    "a cut of all there is": (
        b"ETZ\1" + bytes(32) + number(8) + number(8) + b"\3" + number(SKELETONS) + b"\1\0\xff",
        "damaged skeleton|too soon",
    ),
    "a bomb": (made_up(8, entry(1, 8, DEFLATE, number(len(BOMB))), BOMB), "values that go on beyond their end"),
    "another model": (made_up(8, entry(1, 8, REPEAT), b"\7"), "a model whose hash differs"),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_malicious_files_are_refused_before_harm_is_done(case: str) -> None:
    content, received = MALICIOUS[case]
    tracemalloc.start()
    try:
        with pytest.raises(BundleCorruptError, match=received):
            unpack(content)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_decoding_needs_less_memory_than_two_tensors() -> None:
    """Into a file, where the rebuilt model itself is not in memory; pages of the operating system's are not counted."""
    packed = PackedModel.read(
        pack(
            tflite_of({"w": shared_weights((1500, 1000), 32, 0.2), "v": np.ones(100)[:, None].astype(np.float32)})
        ).content
    )
    written = 0

    def write(part: bytes | memoryview) -> None:
        nonlocal written
        written += len(part)

    packed.write_to(write)
    tracemalloc.start()
    try:
        packed.write_to(write)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written == 2 * packed.size_bytes
    assert peak < 2 * 6_000_000
