"""Tables of a flatbuffer by their positions, and new ones to put before those of a model.

The encoding is FlatBuffers' (https://flatbuffers.dev/internals): a table begins with the distance to its layout, which lists how
far behind the table's start each field is, and references are distances to something that stands further back.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

__all__ = ["ALIGNMENT", "Flatbuffer", "Front"]

ALIGNMENT = 16
"""Of what buffers hold, in bytes, as the schema of models asks."""


class Flatbuffer:
    """The tables of a flatbuffer by their positions, and their fields by number.

    Whatever it is asked for raises `struct.error` or ValueError where that points outside of the content.

    Args:
        content: The flatbuffer, and whatever stands behind it.
        identifier: What bytes 4 to 7 have to be.

    Raises:
        ValueError: They are something else.
    """

    def __init__(self, content: bytes, identifier: bytes) -> None:
        if content[4:8] != identifier:
            raise ValueError(f"no {identifier.decode()} at byte 4")
        self.content = content
        """All of it."""
        self.root = self.follow(0)
        """Position of the table that refers to all others."""

    def count(self, table: int) -> int:
        """How many fields a table's layout knows."""
        return int(self._read("<H", self._layout(table))) // 2 - 2

    def field(self, table: int, field: int) -> int | None:
        """Where a field of a table stands; None where it is left out."""
        if field >= self.count(table):
            return None
        offset = int(self._read("<H", self._layout(table) + 4 + 2 * field))
        return table + offset if offset else None

    def number(self, table: int, field: int, kind: str) -> int:
        """A field that is a whole number, in `struct`'s format; 0 where it is left out."""
        place = self.field(table, field)
        return 0 if place is None else int(self._read(kind, place))

    def follow(self, place: int) -> int:
        """What a reference refers to."""
        return place + int(self._read("<I", place))

    def table(self, table: int, field: int) -> int | None:
        """Position of the table that a field refers to; None where it is left out."""
        place = self.field(table, field)
        return None if place is None else self.follow(place)

    def tables(self, table: int, field: int) -> list[int]:
        """Positions of the tables in a vector; none where the field is left out."""
        return [self.follow(item) for item in self._items(table, field, 4)]

    def floats(self, table: int, field: int) -> tuple[float, ...]:
        """The numbers in a vector of float32; none where the field is left out."""
        return tuple(float(self._read("<f", item)) for item in self._items(table, field, 4))

    def data(self, table: int, field: int) -> bytes:
        """The bytes in a vector; none where the field is left out."""
        items = self._items(table, field, 1)
        return self.content[items.start : items.stop]

    def text(self, table: int, field: int) -> str:
        """Text; empty where the field is left out.

        Raises:
            UnicodeDecodeError: It is not UTF-8; a ValueError.
        """
        return self.data(table, field).decode()

    def _items(self, table: int, field: int, width: int) -> range:
        """Where the items of a vector stand."""
        start = self.table(table, field)
        if start is None:
            return range(0)
        end = start + 4 + width * int(self._read("<I", start))
        if end > len(self.content):
            raise ValueError(f"a vector at byte {start} that ends at {end}")
        return range(start + 4, end, width)

    def _layout(self, table: int) -> int:
        return table - int(self._read("<i", table))

    def _read(self, kind: str, place: int) -> float:
        if place < 0:
            raise ValueError(f"byte {place}")
        number: float = struct.unpack_from(kind, self.content, place)[0]
        return number


class Front:
    """New tables before a file. References into that file are filled in at the end, when its place is known."""

    def __init__(self) -> None:
        self._content = bytearray(struct.pack("<I4s", 0, b"TFL3"))
        self._references: list[tuple[int, int]] = []

    def table(self, place: int, fields: Mapping[int, int]) -> dict[int, int]:
        """Write a table that a reference refers to; its fields have 4 bytes each.

        Args:
            place: Of the reference.
            fields: Values of its fields by their numbers, 0 for references that are filled in later.

        Returns:
            Where each field stands.
        """
        offsets = {field: 4 + 4 * index for index, field in enumerate(fields)}
        slots = [offsets.get(field, 0) for field in range(max(fields) + 1)]
        layout = self._add(struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), 4 + 4 * len(fields), *slots))
        table = self._add(b"")
        self._add(struct.pack(f"<i{len(fields)}I", table - layout, *fields.values()))
        self._refer(place, table)
        return {field: table + offset for field, offset in offsets.items()}

    def vector(self, place: int, tables: Sequence[int | None]) -> list[int]:
        """Write a vector that a reference refers to.

        Args:
            place: Of the reference.
            tables: Positions of tables in the file; None for those that are still to be written.

        Returns:
            Where the references to the latter stand.
        """
        start = self._add(struct.pack(f"<{1 + len(tables)}I", len(tables), *[0] * len(tables)))
        self._refer(place, start)
        items = list(zip(range(start + 4, start + 4 + 4 * len(tables), 4), tables, strict=True))
        self._references += [(item, table) for item, table in items if table is not None]
        return [item for item, table in items if table is None]

    def text(self, place: int, text: str) -> None:
        """Write the text that a reference refers to; a 0 ends it that does not count."""
        content = text.encode()
        self._refer(place, self._add(struct.pack("<I", len(content)) + content + b"\0"))

    def data(self, place: int, content: bytes) -> None:
        """Write the bytes that a reference refers to, aligned as a buffer's."""
        self._refer(place, self._add(struct.pack("<I", len(content)) + content, ahead=4, alignment=ALIGNMENT))

    def refer(self, place: int, position: int) -> None:
        """Let a reference refer to a position in the file."""
        self._references.append((place, position))

    def before(self, file: bytes) -> bytes:
        """All that was written, and the file behind it."""
        self._add(b"", alignment=ALIGNMENT)
        for place, position in self._references:
            self._refer(place, len(self._content) + position)
        return bytes(self._content) + file

    def _add(self, content: bytes, ahead: int = 0, alignment: int = 4) -> int:
        """Append bytes so that what is `ahead` of their start is aligned; returns where they start."""
        self._content += bytes(-(len(self._content) + ahead) % alignment)
        self._content += content
        return len(self._content) - len(content)

    def _refer(self, place: int, target: int) -> None:
        struct.pack_into("<I", self._content, place, target - place)
