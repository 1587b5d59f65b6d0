"""Where a tensor's coded elements go, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .digits import Digits
from .fields import corrupt
from .streams import Stream
from .tensors import LONG_GAP, Places, TensorEntry

__all__ = ["PIECE", "Where", "places_of"]

PIECE = 1 << 15
"""Elements placed at a time: their places as 8-byte numbers stay in a processor's cache."""

_Places = NDArray[np.intp]
Where = _Places | slice


def places_of(entry: TensorEntry, stream: Stream | None, low: Stream | None) -> Iterator[tuple[Where, int]]:
    """Go through a tensor's coded elements in the order in which they are coded.

    Args:
        entry: What the directory says of the tensor.
        stream: Gaps or bitmap, where it has them.
        low: The low bits of gaps, where they are stored apart.

    Yields:
        Where the next elements go, `int64 [n]` or a slice, and how many they are.

    Raises:
        BundleCorruptError: There are more or fewer than the directory says, or one is beyond the tensor's end.
    """
    if stream is None and not entry.columns:
        for start in range(0, entry.elements, PIECE):
            stop = min(entry.elements, start + PIECE)
            yield slice(start, stop), stop - start
        return
    placed = 0
    for places in _in_coded_order(entry, stream, low):
        placed += len(places)
        if placed > entry.places.coded or (len(places) and places[-1] >= entry.elements):
            raise corrupt("places beyond a tensor's end")
        yield _row_by_row(places, entry) if entry.columns else places, len(places)
    if placed != entry.places.coded:
        raise corrupt(f"{placed} places where {entry.places.coded} should be")


def _in_coded_order(entry: TensorEntry, stream: Stream | None, low: Stream | None) -> Iterator[_Places]:
    """Places that rise from the first to the last."""
    if stream is None:
        return (np.arange(start, min(entry.elements, start + PIECE)) for start in range(0, entry.elements, PIECE))
    if entry.places.kind is Places.BITMAP:
        return _bitmap(stream)
    return _gaps(
        stream,
        Digits(1 << entry.places.low_bits, 8 // entry.places.low_bits, low) if low else None,
        entry.places.low_bits,
    )


def _row_by_row(places: _Places, entry: TensorEntry) -> _Places:
    """Places counted down the columns of a table → counted along its rows."""
    rows = entry.elements // entry.columns
    column = places // rows
    return (places - column * rows) * entry.columns + column


def _gaps(stream: Stream, low: Digits | None, low_bits: int) -> Iterator[_Places]:
    end = 0
    while stream.left:
        symbols = stream.read(min(PIECE, stream.left))
        ends_at_element = symbols != LONG_GAP
        steps = symbols.astype(np.intp) << low_bits
        steps += ends_at_element
        if low:
            steps[ends_at_element] += low.read(int(np.count_nonzero(ends_at_element)))
        ends = np.cumsum(steps, out=steps)
        ends += end
        end = int(ends[-1])
        yield ends[ends_at_element] - 1


def _bitmap(stream: Stream) -> Iterator[_Places]:
    first = 0
    while stream.left:
        content = stream.read(min(PIECE // 8, stream.left))
        yield np.flatnonzero(np.unpackbits(content, bitorder="little")) + first
        first += 8 * len(content)
