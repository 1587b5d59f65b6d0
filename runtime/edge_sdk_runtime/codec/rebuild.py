"""From a tensor's streams to its bytes, a piece at a time: beside the tensor itself, memory of a fixed size is used."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .digits import Digits
from .fields import Cursor, corrupt
from .places import Where, places_of
from .streams import Stream, StreamEntry
from .tensors import Element, TensorEntry

__all__ = ["rebuild_tensor"]

_Elements = NDArray[np.unsignedinteger]


def rebuild_tensor(entry: TensorEntry, coded: memoryview) -> NDArray[np.uint8]:
    """Decode one tensor.

    Args:
        entry: What the directory says of it.
        coded: Its streams and palette, `entry.stored_bytes` long.

    Returns:
        Its bytes as they stand in the .tflite file, `uint8 [entry.size_bytes]`.

    Raises:
        BundleCorruptError: The streams hold something else than the directory says.
    """
    cursor = Cursor(coded)
    places = _open(entry.places.stream, cursor, "places")
    low = _open(entry.places.low_stream, cursor, "low bits of places")
    palette = _palette(entry, cursor)
    streams = [Stream(each, cursor.take(each.coded_bytes, "values"), "values") for each in entry.values.streams]
    values = _values(entry, palette, streams)
    target = _HalfBytes(entry) if entry.element is Element.HALF_BYTE else _Whole(entry)
    for where, count in places_of(entry, places, low):
        target.put(where, values.read(count))
    for stream in (places, low, *streams):
        if stream:
            stream.finish()
    return target.content


def _open(entry: StreamEntry | None, cursor: Cursor, what: str) -> Stream | None:
    return Stream(entry, cursor.take(entry.coded_bytes, what), what) if entry else None


def _palette(entry: TensorEntry, cursor: Cursor) -> _Elements:
    """The values that indices stand for, as wide as the elements; none where values are stored as planes."""
    wide, kept, count = entry.element.bytes, entry.values.palette_bytes, entry.values.palette
    palette = np.zeros((count, wide), np.uint8)
    palette[:, wide - kept :] = np.frombuffer(cursor.take(count * kept, "a palette"), np.uint8).reshape(count, kept)
    if entry.element is Element.HALF_BYTE and palette.max() > 15:
        raise corrupt(f"{palette.max()} in a palette of half bytes")
    return palette.view(_dtype(wide)).ravel()


def _dtype(width: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(f"<u{width}")


class _Values(Protocol):
    def read(self, count: int) -> _Elements: ...


def _values(entry: TensorEntry, palette: _Elements, streams: list[Stream]) -> _Values:
    if not len(palette):
        return _Planes(streams)
    return Digits(len(palette), entry.values.packing, streams[0], palette) if streams else _Constant(palette)


class _Constant:
    """One value, as often as it is asked for."""

    def __init__(self, palette: _Elements) -> None:
        self._value = palette

    def read(self, count: int) -> _Elements:
        return np.broadcast_to(self._value, (count,))


class _Planes:
    """Values whose bytes are in a stream for each significance."""

    def __init__(self, streams: list[Stream]) -> None:
        self._streams = streams

    def read(self, count: int) -> _Elements:
        planes = np.empty((count, len(self._streams)), np.uint8)
        for significance, stream in enumerate(self._streams):
            planes[:, significance] = stream.read(count)
        return planes.view(_dtype(len(self._streams))).ravel()


class _Whole:
    """A tensor whose elements are whole bytes."""

    def __init__(self, entry: TensorEntry) -> None:
        self._elements = np.zeros(entry.elements, _dtype(entry.element.bytes))

    def put(self, where: Where, values: _Elements) -> None:
        self._elements[where] = values

    @property
    def content(self) -> NDArray[np.uint8]:
        return self._elements.view(np.uint8)


class _HalfBytes:
    """A tensor with two elements to a byte, the first in the lower half."""

    def __init__(self, entry: TensorEntry) -> None:
        self.content = np.zeros(entry.size_bytes, np.uint8)

    def put(self, where: Where, values: _Elements) -> None:
        places = np.arange(where.start, where.stop) if isinstance(where, slice) else where
        for half in (0, 1):
            mine = places % 2 == half
            self.content[places[mine] // 2] |= (values[mine] << 4 * half).astype(np.uint8)
