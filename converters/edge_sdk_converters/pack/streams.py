"""The shortest of Huffman, DEFLATE and LZMA for a stream of bytes.

Huffman is DEFLATE without matches (`Z_HUFFMAN_ONLY`), as in "Deep Compression" (Han, Mao, Dally, arXiv 1510.00149, section 4).
LZMA codes literals with an adaptive range coder: it needs no table and follows statistics that change along a stream, which
can end below the first-order entropy.
"""

from __future__ import annotations

import functools
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edge_sdk_runtime.codec.decoders import LZMA_HEAD, LZMA_TAIL, lzma_filter
from edge_sdk_runtime.codec.streams import Method

from .fields import number

__all__ = ["CodedStream", "lzma_stream", "plain_dictionary", "shortest", "trimmed"]

_AFTER_DICTIONARY = (Method.LZMA_AFTER_SKELETONS, Method.LZMA_AFTER_GAPS)

_LITERAL_CONTEXTS = (0, 2, 4)
"""LZMA's lc: how many bits of the byte before a literal's coding depends on. Symbols have no alignment: lp and pb stay 0."""

_LARGE = 1 << 16
"""From here on a few bytes less are not worth the time that looking for them takes, nor LZMA where nothing recurs."""


@dataclass(frozen=True)
class CodedStream:
    """A stream as it is stored.

    Attributes:
        method: As the directory writes it.
        content: The coded bytes.
        plain_bytes: What they hold.
        coder: The method's name for a person.
        cut_bytes: What it does not continue of the dictionary's stream.
    """

    method: int
    content: bytes
    plain_bytes: int
    coder: str
    cut_bytes: int = 0

    @property
    def entry(self) -> bytes:
        """Its entry in the directory."""
        if self.method in (Method.STORED, Method.REPEAT):
            return bytes([self.method])
        cut = number(self.cut_bytes) if self.method in _AFTER_DICTIONARY else b""
        return bytes([self.method]) + cut + number(len(self.content))

    @property
    def cost_bytes(self) -> int:
        """What it adds to the packed file."""
        return len(self.entry) + len(self.content)


def shortest(plain: bytes, after: Method = Method.LZMA_AFTER_GAPS) -> CodedStream:
    """Code a stream by every method and keep the shortest.

    Args:
        plain: What to store.
        after: The dictionary's method that is tried among them.
    """
    best = min(_without_lzma(plain), key=lambda stream: stream.cost_bytes)
    if len(plain) >= _LARGE and best.coder == "huffman":
        return best
    attempts = [_Lzma(plain, Method(after))] if len(plain) < _LARGE else []
    attempts += [_Lzma(plain, Method.LZMA, lc) for lc in (_LITERAL_CONTEXTS if len(plain) < _LARGE else (0,))]
    attempt = min(attempts, key=lambda each: len(each.coded))
    if len(attempt.coded) - len(LZMA_TAIL) >= best.cost_bytes:
        return best
    return min(best, attempt.finished(), key=lambda stream: stream.cost_bytes)


def _without_lzma(plain: bytes) -> Iterator[CodedStream]:
    yield CodedStream(Method.STORED, plain, len(plain), "stored")
    if plain and plain.count(plain[:1]) == len(plain):
        yield CodedStream(Method.REPEAT, plain[:1], len(plain), "repeat")
    yield CodedStream(Method.DEFLATE, _deflate(plain, zlib.Z_HUFFMAN_ONLY), len(plain), "huffman")
    yield CodedStream(Method.DEFLATE, _deflate(plain, zlib.Z_DEFAULT_STRATEGY), len(plain), "deflate")


class _Lzma:
    """A stream coded by LZMA: by itself, or after a dictionary, whose stream it continues where that ends or a few bytes before.

    Attributes:
        coded: The coded bytes, with those at the end that say nothing.
    """

    def __init__(self, plain: bytes, method: Method, lc: int = 0) -> None:
        dictionary = method.dictionary
        self._plain, self._method = plain, method + lc
        self._before, self._properties, self._start = b"", (lc, 0, 0), b""
        if dictionary:
            self._before, self._properties, self._start = (
                plain_dictionary(method),
                dictionary.properties,
                dictionary.coded,
            )
        self._whole = lzma_stream(self._before + plain, self._properties)
        self._shared = _shared(self._whole, self._start)
        self.coded = self._whole[self._shared :]

    def finished(self) -> CodedStream:
        """The stream without the end marker and whatever else is not needed to decode it."""
        coded = trimmed(self._whole, self._before + self._plain, self._properties)[self._shared :]
        return CodedStream(self._method, coded, len(self._plain), "lzma", len(self._start) - self._shared)


@functools.cache
def plain_dictionary(method: Method) -> bytes:
    """What the dictionary of a method holds."""
    dictionary = method.dictionary
    assert dictionary
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma_filter(*dictionary.properties)])
    return decoder.decompress(LZMA_HEAD + dictionary.coded + LZMA_TAIL, dictionary.plain_bytes)


def _deflate(plain: bytes, strategy: int) -> bytes:
    coder = zlib.compressobj(9 if len(plain) < _LARGE else 6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
    return coder.compress(plain) + coder.flush()


def lzma_stream(plain: bytes, properties: tuple[int, int, int]) -> bytes:
    """A raw LZMA stream without its first byte, which is always 0.

    Args:
        plain: What it holds.
        properties: lc, lp and pb of LZMA.
    """
    coding = {**lzma_filter(*properties), "preset": 9 | lzma.PRESET_EXTREME}
    return lzma.compress(plain, lzma.FORMAT_RAW, filters=[coding])[len(LZMA_HEAD) :]


def trimmed(coded: bytes, plain: bytes, properties: tuple[int, int, int]) -> bytes:
    """The stream without the bytes at its end that are not needed to decode it, the end marker among them."""
    if len(plain) >= 2 * _LARGE:
        return coded
    lengths = range(max(0, len(coded) - len(LZMA_TAIL)), len(coded))
    return coded[: next((length for length in lengths if _decodes(coded[:length], plain, properties)), len(coded))]


def _decodes(coded: bytes, plain: bytes, properties: tuple[int, int, int]) -> bool:
    """Whether a decoder gives the plain bytes, and a byte after them: releases of liblzma differ in whether they look that far."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma_filter(*properties)])
    try:
        decoded = decoder.decompress(LZMA_HEAD + coded + LZMA_TAIL, len(plain) + 1)
    except lzma.LZMAError:
        return False
    return len(decoded) > len(plain) and decoded.startswith(plain)


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes two streams have in common from their start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
