"""ZIP archives from bytes that may be damaged: whatever is wrong with them is one kind of error."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

__all__ = ["MAX_BYTES", "unzip"]

MAX_BYTES = 1 << 30
"""No bundle for these devices is larger than 1 GiB; an archive that claims to be is refused before it is read."""

_DAMAGE = (RuntimeError, ValueError, EOFError, OSError, OverflowError, struct.error, zlib.error)
"""What `zipfile` raises on damaged headers, besides its own BadZipFile."""


def unzip(content: bytes, *, compressed: bool = False) -> dict[str, bytes]:
    """Content of every member, by name.

    Args:
        content: The whole archive.
        compressed: Whether members may be compressed.

    Raises:
        zipfile.BadZipFile: The archive is damaged, claims more than `MAX_BYTES`, holds a name twice, or is compressed
            against the rule.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check(entries, compressed)
            return {entry.filename: archive.read(entry) for entry in entries}
    except _DAMAGE as error:
        raise zipfile.BadZipFile(str(error)) from error


def _check(entries: list[zipfile.ZipInfo], compressed: bool) -> None:
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise zipfile.BadZipFile(f"claims more than {MAX_BYTES} bytes")
    if not compressed and any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise zipfile.BadZipFile("members are not stored")
    if len({entry.filename for entry in entries}) < len(entries):
        raise zipfile.BadZipFile("a name stands twice")
