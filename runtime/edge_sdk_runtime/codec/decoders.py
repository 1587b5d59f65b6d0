"""Decoders of coded streams, which never give more bytes than they are asked for."""

from __future__ import annotations

import lzma
import zlib
from typing import Protocol

__all__ = [
    "LZMA_DICTIONARY_BYTES",
    "LZMA_HEAD",
    "LZMA_TAIL",
    "Decoder",
    "Deflate",
    "Lzma",
    "Repeat",
    "Stored",
    "lzma_filter",
]

LZMA_DICTIONARY_BYTES = 1 << 18
"""How far back LZMA may refer; the decoder allocates as much."""

_PIECE = 1 << 15
"""Coded bytes that a decompressor is given at a time: it keeps, and copies, what it has not used yet."""

LZMA_HEAD = bytes(1)
LZMA_TAIL = bytes(16)
"""What is not stored of a LZMA stream: its first byte is always 0, and beyond the last that matters any will do."""


def lzma_filter(lc: int, lp: int, pb: int) -> dict[str, int]:
    """The raw LZMA filter of a stream: no header, no end marker.

    Args:
        lc: Bits of the byte before that a literal's coding depends on.
        lp: Bits of a literal's position that it depends on; `lc + lp` ≤ 4.
        pb: Bits of the position that the choice between literal and match depends on, 0 to 4.
    """
    return {"id": lzma.FILTER_LZMA1, "dict_size": LZMA_DICTIONARY_BYTES, "lc": lc, "lp": lp, "pb": pb}


class Decoder(Protocol):
    """Gives a stream's bytes a piece at a time; what `zlib` and `lzma` raise on damage goes through."""

    def read(self, most: int) -> bytes:
        """The next bytes, at least one and at most `most`; none where the coded bytes hold no more."""

    def ended(self) -> bool:
        """Whether nothing follows what has been read."""


class Stored:
    """Bytes as they are."""

    def __init__(self, coded: memoryview) -> None:
        self._coded = coded

    def read(self, most: int) -> bytes:
        """See `Decoder.read`."""
        part, self._coded = self._coded[:most], self._coded[most:]
        return bytes(part)

    def ended(self) -> bool:
        """See `Decoder.ended`."""
        return not self._coded


class Repeat:
    """One byte, again and again."""

    def __init__(self, coded: memoryview) -> None:
        self._byte = bytes(coded)

    def read(self, most: int) -> bytes:
        """See `Decoder.read`."""
        return self._byte * most

    def ended(self) -> bool:
        """See `Decoder.ended`."""
        return True


class Deflate:
    """Raw DEFLATE (RFC 1951)."""

    def __init__(self, coded: memoryview) -> None:
        self._coded = coded
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, most: int) -> bytes:
        """See `Decoder.read`."""
        part = b""
        while not part and not self._inflate.eof:
            tail = self._inflate.unconsumed_tail
            piece, self._coded = (tail, self._coded) if tail else (self._coded[:_PIECE], self._coded[_PIECE:])
            part = self._inflate.decompress(piece, most)
            if not piece:
                break
        return part

    def ended(self) -> bool:
        """See `Decoder.ended`."""
        return not self.read(1) and self._inflate.eof and not self._inflate.unused_data and not self._coded


class Lzma:
    """LZMA, continued from a stream that every runtime has: its first `drop` bytes are not part of this one."""

    def __init__(self, coded: memoryview, properties: tuple[int, int, int], head: bytes = b"", drop: int = 0) -> None:
        self._coded = coded
        self._head, self._tail, self._drop = LZMA_HEAD + head, LZMA_TAIL, drop
        self._unpack = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma_filter(*properties)])

    def read(self, most: int) -> bytes:
        """See `Decoder.read`."""
        while self._drop:
            dropped = self._next(self._drop)
            if not dropped:
                return b""
            self._drop -= len(dropped)
        return self._next(most)

    def ended(self) -> bool:
        """See `Decoder.ended`."""
        return len(self._coded) <= len(LZMA_TAIL)  # an end marker that was not needed

    def _next(self, most: int) -> bytes:
        part = b""
        while not part and not self._unpack.eof:
            hungry = self._unpack.needs_input
            piece = self._piece() if hungry else b""
            if hungry and not piece:
                break
            part = self._unpack.decompress(piece, most)
        return part

    def _piece(self) -> bytes:
        piece, self._coded = self._head + self._coded[:_PIECE], self._coded[_PIECE:]
        self._head = b""
        if not piece:
            piece, self._tail = self._tail, b""
        return piece
