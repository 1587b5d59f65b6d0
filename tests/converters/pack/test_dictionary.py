"""The dictionaries that the runtime ships hold what they should, and shorten short streams."""

from __future__ import annotations

import lzma

import numpy as np
import pytest

from edge_sdk_converters.pack import dictionary as module
from edge_sdk_converters.pack.dictionary import gaps_dictionary, skeleton_of
from edge_sdk_converters.pack.forms import gap_symbols
from edge_sdk_converters.pack.streams import plain_dictionary, shortest
from edge_sdk_runtime.codec.decoders import LZMA_HEAD, LZMA_TAIL, lzma_filter
from edge_sdk_runtime.codec.streams import Method
from tests.converters.pack.files import shared_weights, tflite_of

AFTER = [Method.LZMA_AFTER_SKELETONS, Method.LZMA_AFTER_GAPS]


def test_public_names() -> None:
    assert sorted(module.__all__) == ["gaps_dictionary", "skeleton_of", "skeletons_dictionary"]


@pytest.mark.parametrize("method", AFTER)
def test_a_dictionary_is_as_long_as_it_says(method: Method) -> None:
    dictionary = method.dictionary
    assert dictionary is not None
    assert len(plain_dictionary(method)) == dictionary.plain_bytes < 1 << 16
    assert len(dictionary.coded) < 8000


def test_the_gaps_are_made_again_alike() -> None:
    """As symbols; how LZMA codes them may differ between its releases."""
    made = gaps_dictionary()
    coding = lzma_filter(made[4], made[5], made[6])
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[coding])
    plain = decoder.decompress(LZMA_HEAD + made[7:] + LZMA_TAIL, int.from_bytes(made[:4], "little"))
    assert plain == plain_dictionary(Method.LZMA_AFTER_GAPS)


def test_the_skeletons_are_of_several_networks() -> None:
    skeletons = plain_dictionary(Method.LZMA_AFTER_SKELETONS)
    assert skeletons.count(b"TFL3") == 8
    assert b"depthwise" in skeletons and b"MatMul" in skeletons


def test_few_gaps_are_shorter_after_the_dictionary() -> None:
    symbols = gap_symbols(np.random.default_rng(7).geometric(0.05, 500) - 1)[0].tobytes()
    after, alone = shortest(symbols), shortest(symbols, Method.LZMA_AFTER_SKELETONS)
    assert after.method == Method.LZMA_AFTER_GAPS
    assert after.cost_bytes < alone.cost_bytes


def test_a_skeleton_is_what_the_tensors_leave() -> None:
    small, large = (
        tflite_of({"w": shared_weights((20, 10), 3, 1.0)}),
        tflite_of({"w": shared_weights((40, 10), 3, 1.0)}),
    )
    assert len(skeleton_of(small)) == len(small) - 800
    assert abs(len(skeleton_of(large)) - len(skeleton_of(small))) < 16
