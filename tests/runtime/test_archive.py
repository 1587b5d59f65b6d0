import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime.archive import ArchiveError, unzip

MEMBERS = {"a.txt": b"alpha", "folder/b.bin": bytes(range(256)), "empty": b""}


def zipped(compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in MEMBERS.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("allowed", [False, True])
def test_reads_stored_members(allowed: bool) -> None:
    assert unzip(zipped(zipfile.ZIP_STORED), compressed=allowed) == MEMBERS


def test_reads_compressed_members_only_where_they_are_allowed() -> None:
    content = zipped(zipfile.ZIP_DEFLATED)
    assert unzip(content, compressed=True) == MEMBERS
    with pytest.raises(ArchiveError, match="not stored"):
        unzip(content)


def test_encrypted_members_are_damage() -> None:
    """Bit 0 of the flags in both headers (APPNOTE 4.4.4); zipfile asks for a password with a RuntimeError."""
    content = bytearray(zipped(zipfile.ZIP_STORED))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match="password"):
        unzip(bytes(content))


def test_members_that_need_a_newer_format_are_damage() -> None:
    content = bytearray(zipped(zipfile.ZIP_STORED))
    content[content.index(b"PK\x01\x02") + 6] = 64
    with pytest.raises(ArchiveError, match="version 6"):
        unzip(bytes(content))


def test_damaged_deflate_streams_are_damage() -> None:
    content = bytearray(zipped(zipfile.ZIP_DEFLATED))
    content[30 + len("a.txt")] = 0xFF
    with pytest.raises(ArchiveError):
        unzip(bytes(content), compressed=True)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 99])
def test_other_bytes_are_damage(content: bytes) -> None:
    with pytest.raises(ArchiveError):
        unzip(content)


def read_by_zipfile(content: bytes) -> dict[str, bytes] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except Exception:  # it raises a dozen kinds of error, none of which is of interest here
        return None


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_found_or_changes_nothing_that_zipfile_reads(changes: list[tuple[int, int]]) -> None:
    content = bytearray(zipped(zipfile.ZIP_STORED))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        members = unzip(bytes(content))
    except ArchiveError:
        return
    assert members == read_by_zipfile(bytes(content))


def test_an_archive_within_a_truncated_one_is_not_taken_for_it() -> None:
    inner = zipped(zipfile.ZIP_DEFLATED)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.zip", inner)
        archive.writestr("more.bin", bytes(99))
    outer = file.getvalue()
    for length in range(outer.index(inner) + len(inner), len(outer)):
        for allowed in (False, True):
            with pytest.raises(ArchiveError, match="cut short"):
                unzip(outer[:length], compressed=allowed)


@given(st.integers(0, 10_000))
def test_every_truncation_is_damage(length: int) -> None:
    content = zipped(zipfile.ZIP_STORED)
    with pytest.raises(ArchiveError):
        unzip(content[: length % len(content)])


def test_names_beyond_ascii_and_comments_are_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("größe.txt", b"7")
        archive.comment = b"by hand"
    assert unzip(file.getvalue()) == {"größe.txt": b"7"}


def test_plain_archives_are_read_without_zipfile(monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(zipfile.ZIP_STORED)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert unzip(content) == MEMBERS
