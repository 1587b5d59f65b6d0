"""The ways in which the format can tell where a tensor's elements stand and what they are, before anything is coded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk_runtime.codec.tensors import LONG_GAP, LOW_BITS, PALETTE_BIT, Element, Places, symbols_per_byte

from .fields import number

__all__ = ["Form", "entropy_bytes", "gap_symbols", "packed", "places_forms", "values_forms"]

_Elements = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Form:
    """One way to tell places or values.

    Attributes:
        bits: What it sets in the tensor's form.
        fields: What the directory says before the streams' entries.
        raw: Bytes stored as they are, before the streams.
        streams: The streams, not coded yet.
        bound_bytes: First-order entropy of what they tell: gap symbols whole, bits of a map, indices, bytes.
        words: What a person calls it.
    """

    bits: int
    fields: bytes
    raw: bytes
    streams: tuple[bytes, ...]
    bound_bytes: float
    words: str

    @property
    def estimate_bytes(self) -> float:
        """About what it will occupy: entropy, but no Huffman code is below a bit for a byte of a stream."""
        streams = [np.frombuffer(stream, np.uint8) for stream in self.streams]
        return len(self.fields) + len(self.raw) + sum(max(entropy_bytes(each), len(each) / 8) for each in streams)


def entropy_bytes(symbols: NDArray[np.integer]) -> float:
    """First-order entropy of symbols from 0 up, in bytes: no code that gives each symbol its own bits is shorter."""
    counts = np.bincount(symbols.ravel())
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum() / 8) if len(counts) else 0.0


def places_forms(elements: _Elements) -> Iterator[Form]:
    """Ways to tell which elements are not zero.

    Args:
        elements: In the order in which they are to be coded, `unsigned [N]`, some of them zero.
    """
    coded = np.flatnonzero(elements)
    yield from _gaps(coded)
    bits = elements != 0
    content = np.packbits(bits, bitorder="little").tobytes()
    yield Form(Places.BITMAP << 2, number(len(coded)), b"", (content,), entropy_bytes(bits.astype(np.uint8)), "bitmap")


def _gaps(coded: NDArray[np.intp]) -> Iterator[Form]:
    """Zeros before each coded element, with as many low bits apart as may pay.

    Low bits of long gaps are nearly even, so that coding them buys little, while a smaller alphabet has a shorter table.
    """
    zeros = np.diff(coded, prepend=-1) - 1
    bound = entropy_bytes(gap_symbols(zeros)[0])
    for code, low_bits in enumerate(LOW_BITS):
        if low_bits and not (len(zeros) and zeros.mean() >= 2 << low_bits):
            break
        symbols, long_gaps = gap_symbols(zeros >> low_bits)
        low = (packed(zeros % (1 << low_bits), 1 << low_bits, 8 // low_bits),) if low_bits else ()
        fields = number(len(coded)) + number(long_gaps)
        yield Form(Places.GAPS << 2 | code << 6, fields, b"", (symbols.tobytes(), *low), bound, "gaps")


def gap_symbols(zeros: NDArray[np.intp]) -> tuple[NDArray[np.uint8], int]:
    """A symbol for every gap, and before it one for every 255 zeros in it; how many of those there are.

    Where zeros fall independently, what follows such a symbol does not depend on it: the alphabet costs nothing.
    """
    long_gaps, rest = np.divmod(zeros, LONG_GAP)
    symbols = np.full(len(zeros) + int(long_gaps.sum()), LONG_GAP, np.uint8)
    symbols[np.arange(len(zeros)) + np.cumsum(long_gaps)] = rest
    return symbols, int(long_gaps.sum())


def values_forms(values: _Elements, element: Element) -> Iterator[Form]:
    """Ways to tell values: indices into a palette of up to 256, and a stream for each byte of an element.

    Args:
        values: In the order in which they are to be coded, `unsigned [N]`.
        element: How wide they are in the file.
    """
    palette, indices = np.unique(values, return_inverse=True)
    if 1 <= len(palette) <= 256:
        yield from (_indexed(palette, indices.ravel(), element, packing) for packing in _packings(len(palette)))
    if element is not Element.HALF_BYTE:
        planes = np.ascontiguousarray(values).view(np.uint8).reshape(-1, element.bytes).T
        bound = sum(map(entropy_bytes, planes))
        words = f"{element.bytes} planes" if element.bytes > 1 else "bytes"
        yield Form(0, b"", b"", tuple(plane.tobytes() for plane in planes), bound, words)


def _packings(palette: int) -> tuple[int, ...]:
    """Indices to a byte: one each, or as many as fit; several share a Huffman code, which below one bit each saves."""
    return (1, symbols_per_byte(palette)) if 1 < palette <= 16 else (1,)


def _indexed(palette: _Elements, indices: NDArray[np.intp], element: Element, packing: int) -> Form:
    kept = _kept_bytes(palette, element)
    raw = palette.view(np.uint8).reshape(len(palette), -1)[:, element.bytes - kept :].tobytes()
    fields = bytes([len(palette) - 1]) + number(kept) + number(packing)
    streams = (packed(indices, len(palette), packing),) if len(palette) > 1 else ()
    values = f"{len(palette)} values" if len(palette) > 1 else "1 value"
    return Form(PALETTE_BIT, fields, raw, streams, entropy_bytes(indices), values)


def _kept_bytes(palette: _Elements, element: Element) -> int:
    """Bytes of a value down to the lowest that is not zero in all of them."""
    bits = int(np.bitwise_or.reduce(palette))
    low_zeros = (bits & -bits).bit_length() - 1 if bits else 8 * element.bytes
    return max(1, element.bytes - low_zeros // 8)


def packed(digits: NDArray[np.integer], base: int, per_byte: int) -> bytes:
    """Several digits to a byte, the first the lowest; zeros fill the last byte."""
    padded = np.zeros(-(-len(digits) // per_byte) * per_byte, np.intp)
    padded[: len(digits)] = digits
    return (padded.reshape(-1, per_byte) @ base ** np.arange(per_byte)).astype(np.uint8).tobytes()
