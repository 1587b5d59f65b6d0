"""The directory's entry of one tensor: what its bytes were, and which streams they became."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .fields import Cursor, corrupt
from .streams import StreamEntry, read_entry

__all__ = [
    "COLUMNS_BIT",
    "LONG_GAP",
    "LOW_BITS",
    "PALETTE_BIT",
    "Element",
    "Places",
    "PlacesEntry",
    "TensorEntry",
    "ValuesEntry",
    "read_tensor",
    "symbols_per_byte",
]

LONG_GAP = 255
"""The gap symbol that stands for zeros without an element after them; the smaller ones end at an element."""

LOW_BITS = (0, 1, 2, 4)
"""How many bits of a gap may be stored apart from its symbol: so many fill bytes without a rest."""

PALETTE_BIT, COLUMNS_BIT = 1 << 4, 1 << 5
"""In a tensor's form: bits 0–1 are its `Element`, 2–3 its `Places`, then these, and 6–7 the place in `LOW_BITS`."""


class Element(IntEnum):
    """The width of an element; the value is how the directory writes it."""

    HALF_BYTE = 0
    ONE_BYTE = 1
    TWO_BYTES = 2
    FOUR_BYTES = 3

    @property
    def bytes(self) -> int:
        """Bytes that an element has by itself; half a byte is one until it is packed."""
        return 4 if self is Element.FOUR_BYTES else max(1, int(self))


class Places(IntEnum):
    """Where the elements stand that have a value of their own; all others are zero."""

    ALL = 0
    GAPS = 1
    BITMAP = 2


@dataclass(frozen=True)
class PlacesEntry:
    """How the places of a tensor's coded elements are stored.

    Attributes:
        kind: In which way.
        coded: How many elements have a value of their own.
        stream: Gaps or bitmap; None where all elements are coded.
        low_bits: Bits of a gap that are stored apart, below those that its symbol tells: one of `LOW_BITS`.
        low_stream: Those bits, as many gaps to a byte as fit; None where there are none.
    """

    kind: Places
    coded: int
    stream: StreamEntry | None = None
    low_bits: int = 0
    low_stream: StreamEntry | None = None


@dataclass(frozen=True)
class ValuesEntry:
    """How the values of a tensor's coded elements are stored.

    Attributes:
        palette: Number of different values, 1 to 256; 0 where the values are stored as planes of bytes.
        palette_bytes: Stored bytes of a palette value, the high ones; those below are zero.
        packing: Palette indices to a byte of their stream.
        streams: Palette indices (none for a palette of 1), or a stream for each byte of an element, the lowest first.
    """

    palette: int
    palette_bytes: int
    packing: int
    streams: tuple[StreamEntry, ...]


@dataclass(frozen=True)
class TensorEntry:
    """One run of equally wide elements that was taken out of the .tflite file.

    Attributes:
        skip: Bytes of the skeleton before it.
        element: How wide its elements are.
        elements: How many it has, zeros included.
        columns: 0, or the row length of the table that is coded column by column.
        places: Where its coded elements stand.
        values: What they are.
    """

    skip: int
    element: Element
    elements: int
    columns: int
    places: PlacesEntry
    values: ValuesEntry

    @property
    def size_bytes(self) -> int:
        """Its length in the .tflite file."""
        return self.elements // 2 if self.element is Element.HALF_BYTE else self.elements * self.element.bytes

    @property
    def stored_bytes(self) -> int:
        """What its palette and streams occupy in the packed file."""
        streams = (self.places.stream, self.places.low_stream, *self.values.streams)
        palette = self.values.palette * self.values.palette_bytes
        return palette + sum(stream.coded_bytes for stream in streams if stream)


def symbols_per_byte(base: int) -> int:
    """How many digits to a base fit into a byte: the largest p up to 8 with base^p ≤ 256."""
    count = 1
    while base ** (count + 1) <= 256 and count < 8:
        count += 1
    return count


def read_tensor(cursor: Cursor, skeleton_bytes: int, size_bytes: int) -> TensorEntry:
    """Read a tensor's entry.

    Args:
        cursor: Where it stands.
        skeleton_bytes: What is left of the skeleton, the most it can skip.
        size_bytes: What is left of the .tflite file, the most it can be.

    Raises:
        BundleCorruptError: A value is none that the format allows.
    """
    skip = cursor.number(skeleton_bytes, "skeleton bytes to skip")
    form = cursor.byte("the form of a tensor")
    element = Element(form & 3)
    elements = _elements(cursor, element, size_bytes)
    columns = cursor.number(elements, "columns", least=1) if form & COLUMNS_BIT else 0
    if columns and elements % columns:
        raise corrupt(f"{elements} elements in rows of {columns}")
    places = _places(cursor, form, elements)
    return TensorEntry(skip, element, elements, columns, places, _values(cursor, form, element, places.coded))


def _elements(cursor: Cursor, element: Element, size_bytes: int) -> int:
    if element is not Element.HALF_BYTE:
        return cursor.number(size_bytes // element.bytes, "the number of elements", least=1)
    elements = cursor.number(2 * size_bytes, "the number of elements", least=1)
    if elements % 2:
        raise corrupt(f"{elements} half bytes, which fill no bytes")
    return elements


def _places(cursor: Cursor, form: int, elements: int) -> PlacesEntry:
    kind, low_bits = form >> 2 & 3, LOW_BITS[form >> 6]
    if kind not in tuple(Places) or (low_bits and kind != Places.GAPS):
        raise corrupt(f"form {form} of a tensor, which does not exist")
    if kind == Places.ALL:
        return PlacesEntry(Places.ALL, elements)
    coded = cursor.number(elements, "the number of coded elements")
    if kind == Places.BITMAP:
        return PlacesEntry(Places.BITMAP, coded, read_entry(cursor, -(-elements // 8), "a bitmap"))
    long_gaps = cursor.number((elements - coded) // (LONG_GAP << low_bits), "the number of long gaps")
    stream = read_entry(cursor, coded + long_gaps, "gaps")
    low = read_entry(cursor, -(-coded * low_bits // 8), "the low bits of gaps") if low_bits else None
    return PlacesEntry(Places.GAPS, coded, stream, low_bits, low)


def _values(cursor: Cursor, form: int, element: Element, coded: int) -> ValuesEntry:
    if not form & PALETTE_BIT:
        if element is Element.HALF_BYTE:
            raise corrupt("half bytes without a palette")
        return ValuesEntry(0, 0, 0, tuple(read_entry(cursor, coded, "values") for _ in range(element.bytes)))
    palette = cursor.byte("the size of a palette") + 1
    palette_bytes = cursor.number(element.bytes, "the width of a palette", least=1)
    packing = cursor.number(symbols_per_byte(palette), "indices to a byte", least=1)
    indices = (read_entry(cursor, -(-coded // packing), "palette indices"),) if palette > 1 else ()
    return ValuesEntry(palette, palette_bytes, packing, indices)
