"""ZIP archives from bytes that may be damaged: whatever is wrong with them is one kind of error."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zipfile

__all__ = ["MAX_BYTES", "ArchiveError", "unzip"]

MAX_BYTES = 1 << 30
"""No bundle for these devices is larger than 1 GiB; an archive that claims to be is refused before it is read."""

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s2x3H4x3L3H8xL")
_LOCAL = struct.Struct("<4s22x2H")
_UTF8 = 0x800
_PLAIN_VERSION = 20
"""The newest version of the format that a stored member needs, times ten; what needs more is for `zipfile` to judge."""
_LOCAL_START, _END_START = b"PK\3\4", b"PK\5\6"


class ArchiveError(Exception):
    """The bytes are no archive that may be read; the message is the reason alone, for the caller's own."""


def unzip(content: bytes, *, compressed: bool = False) -> dict[str, bytes]:
    """Content of every member, by name.

    Args:
        content: The whole archive.
        compressed: Whether members may be compressed.

    Raises:
        ArchiveError: The archive is damaged, claims more than `MAX_BYTES`, holds a name twice, or is compressed against the
            rule.
    """
    members = _plain_members(content)
    return _any_members(content, compressed) if members is None else members


def _plain_members(content: bytes) -> dict[str, bytes] | None:
    """The members of an archive as bundles are written: stored, without extras; None for any other, and for damaged ones.

    Importing `zipfile` takes longer than all else that opening a bundle does.
    """
    if len(content) < _END.size:
        return None
    signature, disk, first_disk, here, count, size, start, comment = _END.unpack_from(content, len(content) - _END.size)
    if signature != _END_START or disk or first_disk or comment or here != count:
        return None
    if start + size + _END.size != len(content):
        return None
    members: dict[str, bytes] = {}
    position, left = start, start
    for _ in range(count):
        found = _plain_member(content, position, start)
        if found is None or found[0] in members:
            return None
        name, member, position = found
        members[name] = member
        left -= len(member)
    return members if position == start + size and left >= 0 else None


def _plain_member(content: bytes, position: int, end: int) -> tuple[str, bytes, int] | None:
    """Name and content of the member whose entry in the directory begins at a position, and where the next entry does."""
    if position + _ENTRY.size > len(content):
        return None
    signature, needed, flags, method, crc, packed, size, name_length, extra, comment, local = _ENTRY.unpack_from(
        content, position
    )
    after = position + _ENTRY.size + name_length
    name = content[position + _ENTRY.size : after]
    is_plain = needed <= _PLAIN_VERSION and not (method or extra or comment or flags & ~_UTF8) and packed == size
    if signature != b"PK\1\2" or not is_plain or not name.isascii():
        return None
    if local + _LOCAL.size > end:
        return None
    signature, local_name_length, local_extra = _LOCAL.unpack_from(content, local)
    begin = local + _LOCAL.size + local_name_length + local_extra
    member = content[begin : begin + size]
    if (
        signature != _LOCAL_START
        or not content.startswith(name, local + _LOCAL.size)
        or local_name_length != name_length
    ):
        return None
    if begin + size > end or zlib.crc32(member) != crc:
        return None
    return name.decode("ascii"), member, after


def _any_members(content: bytes, compressed: bool) -> dict[str, bytes]:
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_whole(content, entries)
            _check(entries, compressed)
            return {entry.filename: archive.read(entry) for entry in entries}
    # What `zipfile` raises on damaged headers, besides its own BadZipFile.
    except (
        zipfile.BadZipFile,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        OverflowError,
        struct.error,
        zlib.error,
    ) as error:
        raise ArchiveError(_CUT_SHORT if _lacks_end(content) else str(error)) from error


_CUT_SHORT = "cut short: its end is missing"


def _lacks_end(content: bytes) -> bool:
    """Whether the bytes begin as an archive does and have no end record, or only a part of one."""
    end = content.rfind(_END_START)
    return content.startswith(_LOCAL_START) and (end < 0 or end + _END.size > len(content))


def _check_whole(content: bytes, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that was found within another: a member that is one itself, where the outer one lost its end."""
    if content.startswith(_LOCAL_START) and entries and min(entry.header_offset for entry in entries) > 0:
        raise ArchiveError(_CUT_SHORT)


def _check(entries: list[zipfile.ZipInfo], compressed: bool) -> None:
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ArchiveError(f"claims more than {MAX_BYTES} bytes")
    if not compressed and any(entry.compress_type for entry in entries):
        raise ArchiveError("members are not stored")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ArchiveError("a name stands twice")
