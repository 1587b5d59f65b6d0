import io
import zipfile

import pytest

from edge_sdk_runtime.archive import unzip

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
    with pytest.raises(zipfile.BadZipFile, match="not stored"):
        unzip(content)


def test_encrypted_members_are_damage() -> None:
    """Bit 0 of the flags in both headers (APPNOTE 4.4.4); zipfile asks for a password with a RuntimeError."""
    content = bytearray(zipped(zipfile.ZIP_STORED))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(zipfile.BadZipFile, match="password"):
        unzip(bytes(content))


def test_damaged_deflate_streams_are_damage() -> None:
    content = bytearray(zipped(zipfile.ZIP_DEFLATED))
    content[30 + len("a.txt")] = 0xFF
    with pytest.raises(zipfile.BadZipFile):
        unzip(bytes(content), compressed=True)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 99])
def test_other_bytes_are_damage(content: bytes) -> None:
    with pytest.raises(zipfile.BadZipFile):
        unzip(content)
