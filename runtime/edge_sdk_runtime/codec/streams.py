"""Coded streams: how the bytes of a stream are stored, and reading them piece by piece, never more than is asked for."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .decoders import Decoder, Deflate, Lzma, Repeat, Stored
from .dictionary import Dictionary, load_dictionary
from .fields import Cursor, corrupt

__all__ = ["Method", "Stream", "StreamEntry", "read_entry"]


class Method(IntEnum):
    """How a stream is stored; the values from LZMA on carry LZMA's three parameters."""

    STORED = 0
    REPEAT = 1
    DEFLATE = 2
    LZMA_AFTER_SKELETONS = 3
    LZMA_AFTER_GAPS = 4
    LZMA = 5

    @property
    def dictionary(self) -> Dictionary | None:
        """The stream that one of this method continues."""
        name = {Method.LZMA_AFTER_SKELETONS: "skeletons", Method.LZMA_AFTER_GAPS: "gaps"}.get(self)
        return load_dictionary(name) if name else None


_LAST_METHOD = Method.LZMA + 4 + 9 * (4 + 5 * 4)


@dataclass(frozen=True)
class StreamEntry:
    """What the directory says of a stream.

    Attributes:
        method: A `Method`, or `Method.LZMA` plus lc + 9 · (lp + 5 · pb) of LZMA's properties.
        coded_bytes: What it occupies in the packed file.
        plain_bytes: What it holds.
        cut_bytes: Where it continues a dictionary's stream, the bytes at the end of that which it does not.
    """

    method: int
    coded_bytes: int
    plain_bytes: int
    cut_bytes: int = 0


def read_entry(cursor: Cursor, plain_bytes: int, what: str) -> StreamEntry:
    """Read a stream's entry in the directory.

    Args:
        cursor: Where it stands.
        plain_bytes: What the stream holds, as the entries before say.
        what: What the stream holds, for an error.

    Raises:
        BundleCorruptError: The method does not exist or the length cannot be.
    """
    method = cursor.byte(f"the method of {what}")
    if method > _LAST_METHOD or (method >= Method.LZMA and sum(_lzma_properties(method)[:2]) > 4):
        raise corrupt(f"method {method} for {what}, which does not exist")
    if method == Method.STORED:
        return StreamEntry(method, plain_bytes, plain_bytes)
    if method == Method.REPEAT:
        return StreamEntry(method, 1, plain_bytes)
    dictionary = Method(min(method, Method.LZMA)).dictionary
    cut = cursor.number(len(dictionary.coded), "the bytes to cut from the dictionary") if dictionary else 0
    return StreamEntry(method, cursor.number(cursor.left, f"the coded length of {what}"), plain_bytes, cut)


class Stream:
    """One stream of a packed file.

    Args:
        entry: What the directory says of it.
        coded: Its bytes in the packed file.
        what: What it holds, for an error.

    Attributes:
        left: Bytes that have not been read yet.
    """

    def __init__(self, entry: StreamEntry, coded: memoryview, what: str) -> None:
        self.left = entry.plain_bytes
        self._what = what
        self._decoder = _decoder(entry, coded)

    def read(self, count: int) -> NDArray[np.uint8]:
        """The next `count` bytes, `uint8 [count]`.

        Raises:
            BundleCorruptError: The stream is damaged, or holds fewer.
        """
        parts: list[bytes] = []
        missing = count
        while missing and self.left >= missing:
            part = self._next(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
            self.left -= len(part)
        if missing:
            raise corrupt(f"{self._what} that end too soon")
        return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), np.uint8)

    def read_all(self) -> bytes:
        """All that is left."""
        return self.read(self.left).tobytes()

    def finish(self) -> None:
        """Make sure that the stream has been read to its end.

        Raises:
            BundleCorruptError: There is more of it.
        """
        with self._refusing_damage():
            ended = not self.left and self._decoder.ended()
        if not ended:
            raise corrupt(f"{self._what} that go on beyond their end")

    def _next(self, most: int) -> bytes:
        with self._refusing_damage():
            return self._decoder.read(most)

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except (zlib.error, lzma.LZMAError) as error:
            raise corrupt(f"damaged {self._what} ({error})") from error


def _decoder(entry: StreamEntry, coded: memoryview) -> Decoder:
    if entry.method == Method.STORED:
        return Stored(coded)
    if entry.method == Method.REPEAT:
        return Repeat(coded)
    if entry.method == Method.DEFLATE:
        return Deflate(coded)
    if entry.method >= Method.LZMA:
        return Lzma(coded, _lzma_properties(entry.method))
    dictionary = Method(entry.method).dictionary
    assert dictionary
    head = dictionary.coded[: len(dictionary.coded) - entry.cut_bytes]
    return Lzma(coded, dictionary.properties, head, dictionary.plain_bytes)


def _lzma_properties(method: int) -> tuple[int, int, int]:
    rest, lc = divmod(method - Method.LZMA, 9)
    pb, lp = divmod(rest, 5)
    return lc, lp, pb
