"""One more metadata entry in a .tflite file, all other content of which stays as it is, byte for byte.

References in a flatbuffer only point forwards, so a new root, with longer lists of buffers and of entries, is put before the
file. All references in the old part stay right, and weights stay where they are aligned, since the new part's length is a multiple
of 16. Packing the file anew from Python objects would lose that: Python's builder does not align vectors of bytes. The numbers of
fields are those of the TensorFlow Lite schema, version 3 (schema.fbs).
"""

from __future__ import annotations

import struct

from ..errors import ModelError
from .layout import ALIGNMENT, Flatbuffer, Front

__all__ = ["add_entry", "read_entry"]

_IDENTIFIER = b"TFL3"
_FIELDS = 10
"""Of Model, each of 4 bytes: the first a number, the others references."""
_BUFFERS, _METADATA = 4, 6


def add_entry(tflite: bytes, name: str, content: bytes) -> bytes:
    """Put an entry into a model's metadata.

    Buffers that a large file keeps behind its flatbuffer move into it: MediaPipe does not find them there.

    Args:
        tflite: The whole file.
        name: Of the entry; one that it does not have yet.
        content: What its buffer holds.

    Raises:
        ModelError: It is no .tflite file, has that entry, or follows a schema with fields that are not known here.
    """
    try:
        file = Flatbuffer(tflite, _IDENTIFIER)
        if name in _entries(file):
            raise ModelError(
                f"A model gets its metadata once. Received: a file that has {name}. Pass the file as it was exported."
            )
        return _with_entry(file, name, content)
    except (struct.error, IndexError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise _not_a_model(tflite, error) from error


def read_entry(tflite: bytes, name: str) -> bytes | None:
    """What an entry of a model's metadata holds; None where it has no such entry.

    Args:
        tflite: The whole file.
        name: Of the entry.

    Raises:
        ModelError: It is no .tflite file.
    """
    try:
        file = Flatbuffer(tflite, _IDENTIFIER)
        index = _entries(file).get(name)
        return None if index is None else _held(file, file.tables(file.root, _BUFFERS)[index])
    except (struct.error, IndexError, ValueError) as error:
        raise _not_a_model(tflite, error) from error


def _not_a_model(tflite: bytes, error: Exception) -> ModelError:
    return ModelError(
        f"Metadata needs a whole .tflite file. Received: {len(tflite)} bytes ({error}). Export the model again."
    )


def _entries(file: Flatbuffer) -> dict[str, int]:
    """Index of the buffer of each metadata entry, by its name."""
    tables = file.tables(file.root, _METADATA)
    return {file.text(table, 0): file.number(table, 1, "<I") for table in tables}


def _held(file: Flatbuffer, buffer: int) -> bytes:
    """What a buffer holds, in the flatbuffer or behind it."""
    start, size = file.number(buffer, 1, "<Q"), file.number(buffer, 2, "<Q")
    if start + size > len(file.content):
        raise ValueError(f"a buffer of {size} bytes at {start}")
    return file.content[start : start + size] if start > 1 else file.data(buffer, 0)


def _with_entry(file: Flatbuffer, name: str, content: bytes) -> bytes:
    if file.count(file.root) > _FIELDS:
        raise ValueError(f"a model of {file.count(file.root)} fields")
    front, buffers = Front(), file.tables(file.root, _BUFFERS)
    fields = _new_root(front, file)
    old, moved = _gathered(file, buffers)
    *others, own = front.vector(
        fields[_BUFFERS], [None if index in moved else table for index, table in enumerate(buffers)] + [None]
    )
    for place, position in zip(others, moved.values(), strict=True):
        front.refer(front.table(place, {0: 0})[0], position)
    (entry,) = front.vector(fields[_METADATA], [*file.tables(file.root, _METADATA), None])
    front.text(front.table(entry, {0: 0, 1: len(buffers)})[0], name)
    front.data(front.table(own, {0: 0})[0], content)
    return front.before(old)


def _new_root(front: Front, file: Flatbuffer) -> dict[int, int]:
    """Write a root that refers to all that the old one does, but for its lists; returns where its fields stand."""
    old = {field: place for field in range(_FIELDS) if (place := file.field(file.root, field)) is not None}
    version = file.number(file.root, 0, "<I")
    fields = front.table(0, {field: 0 if field else version for field in sorted({*old, 0, _BUFFERS, _METADATA})})
    for field in old.keys() - {0, _BUFFERS, _METADATA}:
        front.refer(fields[field], file.follow(old[field]))
    return fields


def _gathered(file: Flatbuffer, buffers: list[int]) -> tuple[bytes, dict[int, int]]:
    """The file with all its buffers inside, and where those that stood behind it are now, by index."""
    behind = {index: table for index, table in enumerate(buffers) if file.number(table, 1, "<Q") > 1}
    starts = [file.number(table, 1, "<Q") for table in behind.values()]
    content = bytearray(file.content[: min(starts, default=len(file.content))])
    moved = {}
    for index, table in behind.items():
        held = _held(file, table)
        content += bytes(-(len(content) + 4) % ALIGNMENT)
        moved[index] = len(content)
        content += struct.pack("<I", len(held)) + held
    return bytes(content), moved
