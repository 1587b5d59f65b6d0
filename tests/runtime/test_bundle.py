import dataclasses
import hashlib
import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import Bundle, BundleCorruptError, BundleError, BundleVersionError
from edge_sdk_runtime.bundle import MANIFEST
from tests.runtime.helpers import changed, fake_plug, make_bundle, npy, npz, with_golden

BUNDLE = with_golden(make_bundle(), fake_plug())
CONTENT = BUNDLE.to_bytes()
DIRECTORY = int.from_bytes(CONTENT[-6:-2], "little")
"""Where the central directory begins, from the end record (APPNOTE 4.3.16)."""


def same(one: Bundle, other: Bundle) -> bool:
    return one.manifest == other.manifest and one.members() == other.members()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def everything() -> dict[str, bytes]:
    return {**BUNDLE.members(), MANIFEST: BUNDLE.manifest.to_json().encode()}


def test_opens_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "colours.edge"
    size = BUNDLE.write(path)
    assert size == path.stat().st_size == len(CONTENT)
    assert same(Bundle.open(path), BUNDLE)
    assert same(Bundle.open(str(path)), BUNDLE)


def test_equal_content_is_equal_bytes() -> None:
    backwards = dict(reversed(BUNDLE.members().items()))
    manifest = dataclasses.replace(BUNDLE.manifest, files={})
    assert Bundle.build(manifest, backwards).to_bytes() == CONTENT
    assert Bundle.from_bytes(CONTENT).to_bytes() == CONTENT


def test_members_are_stored_sorted_and_undated() -> None:
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(everything())
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_the_manifest_lists_sizes_and_hashes() -> None:
    for name, content in BUNDLE.members().items():
        entry = BUNDLE.manifest.files[name]
        assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert set(BUNDLE.manifest.files) == set(BUNDLE.members())


def test_the_members_that_are_handed_out_are_copies() -> None:
    bundle = make_bundle()
    bundle.members().clear()
    assert bundle.read("encoder.tflite") == b"an encoder"


def test_every_truncation_is_refused_as_one() -> None:
    """Wherever the file ends, also where a member that is an archive of its own is whole up to there."""
    for length in range(len(CONTENT)):
        with pytest.raises(BundleCorruptError, match="cut short" if length >= 4 else "whole"):
            Bundle.from_bytes(CONTENT[:length])


def test_a_truncated_file_is_named_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "half.edge"
    path.write_bytes(CONTENT[:1000])
    with pytest.raises(
        BundleCorruptError, match=r"whole \.edge file\. Received: .*half\.edge, 1000 bytes .*Copy or write it again"
    ):
        Bundle.open(path)


def test_every_single_bit_of_the_directory_may_flip() -> None:
    """The central directory is where a damaged ZIP is worst: names, flags, sizes, offsets."""
    for position in range(DIRECTORY, len(CONTENT)):
        for bit in range(8):
            expect_refusal_or_the_same(flipped(CONTENT, [position * 8 + bit]))


@settings(max_examples=300)
@given(st.lists(st.integers(0, len(CONTENT) * 8 - 1), min_size=1, max_size=4))
def test_flipped_bits_never_give_another_bundle(bits: list[int]) -> None:
    expect_refusal_or_the_same(flipped(CONTENT, bits))


@given(st.binary(max_size=300))
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BundleCorruptError):
        Bundle.from_bytes(content)


def flipped(content: bytes, bits: list[int]) -> bytes:
    damaged = bytearray(content)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def expect_refusal_or_the_same(content: bytes) -> None:
    """Some bits mean nothing, such as a member's date."""
    try:
        opened = Bundle.from_bytes(content)
    except BundleError:
        return
    assert same(opened, BUNDLE)


def with_manifest(**values: Any) -> bytes:
    document = {**json.loads(BUNDLE.manifest.to_json()), **values}
    return zipped({**everything(), MANIFEST: json.dumps(document).encode()})


def test_a_newer_major_version_is_refused_with_the_command_that_helps() -> None:
    with pytest.raises(
        BundleVersionError, match=r"Received: schema 2\.0\. Run: pip install --upgrade edge-sdk-runtime"
    ):
        Bundle.from_bytes(with_manifest(schema_version="2.0"))


def test_a_newer_minor_version_with_unknown_keys_is_read() -> None:
    assert same(Bundle.from_bytes(with_manifest(schema_version="1.9", signature={"by": "someone"})), BUNDLE)


def test_a_missing_manifest_is_named() -> None:
    with pytest.raises(BundleCorruptError, match=r"no manifest\.json"):
        Bundle.from_bytes(zipped(BUNDLE.members()))


@pytest.mark.parametrize("text", [b"\xff\xfe", b"{", b""])
def test_a_manifest_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(BundleCorruptError):
        Bundle.from_bytes(zipped({**everything(), MANIFEST: text}))


@pytest.mark.parametrize("name", sorted(BUNDLE.members()))
def test_missing_and_altered_members_are_named(name: str) -> None:
    without = everything()
    content = without.pop(name)
    with pytest.raises(BundleCorruptError, match=f"a difference in {name}"):
        Bundle.from_bytes(zipped(without))
    for altered in (content + b"!", bytes([content[0] ^ 1]) + content[1:], b""):
        with pytest.raises(BundleCorruptError, match=f"an altered {name}"):
            Bundle.from_bytes(zipped({**without, name: altered}))


@pytest.mark.parametrize("name", sorted(BUNDLE.members()))
def test_lazily_an_altered_member_is_refused_before_it_is_handed_out(name: str) -> None:
    content = BUNDLE.read(name)
    altered = zipped({**everything(), name: bytes([content[0] ^ 1]) + content[1:]})
    for use in (lambda opened: opened.read(name), Bundle.members, Bundle.to_bytes):
        opened = Bundle.from_bytes(altered, lazily=True)
        for _ in range(2):
            with pytest.raises(BundleCorruptError, match=f"an altered {name}"):
                use(opened)
        for other in set(BUNDLE.members()) - {name}:
            assert opened.read(other) == BUNDLE.read(other)
    with pytest.raises(BundleCorruptError, match=f"an altered {name}"):
        Bundle.from_bytes(zipped({**everything(), name: content + b"!"}), lazily=True)


def test_lazily_the_same_is_read(tmp_path: Path) -> None:
    BUNDLE.write(tmp_path / "a.edge")
    opened = Bundle.open(tmp_path / "a.edge", lazily=True)
    assert opened.read("encoder.tflite") == BUNDLE.read("encoder.tflite")
    assert same(opened, BUNDLE)


def test_an_extra_member_is_named() -> None:
    with pytest.raises(BundleCorruptError, match=r"a difference in malware\.py"):
        Bundle.from_bytes(zipped({**everything(), "malware.py": b""}))


def test_a_member_that_stands_twice_is_refused() -> None:
    file = io.BytesIO(CONTENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, about what is done here on purpose
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("head.npz", BUNDLE.read("head.npz"))
    with pytest.raises(BundleCorruptError, match="twice"):
        Bundle.from_bytes(file.getvalue())


def test_compressed_members_are_refused() -> None:
    with pytest.raises(BundleCorruptError, match="not stored"):
        Bundle.from_bytes(zipped(everything(), zipfile.ZIP_DEFLATED))


def test_a_claim_of_more_than_a_gigabyte_is_refused_before_it_is_read() -> None:
    claim = bytearray(CONTENT)
    claim[DIRECTORY + 24 : DIRECTORY + 28] = (1 << 30).to_bytes(4, "little")  # uncompressed size, APPNOTE 4.3.12
    with pytest.raises(BundleCorruptError, match="claims more than 1073741824 bytes"):
        Bundle.from_bytes(bytes(claim))


def test_an_unreadable_file_is_a_bundle_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.edge \(No such file or directory\)\. Check the path"):
        Bundle.open(tmp_path / "absent.edge")
    with pytest.raises(BundleError, match="Is a directory"):
        Bundle.open(tmp_path)


def test_reading_what_is_not_there_is_an_error() -> None:
    with pytest.raises(BundleCorruptError, match=r"no other\.tflite"):
        BUNDLE.read("other.tflite")


def test_arrays_are_read_from_both_kinds_of_file() -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    bundle = changed(BUNDLE, {"one.npy": npy(table), "many.npz": npz({"a": table, "b": table.T})})
    np.testing.assert_array_equal(bundle.read_arrays("one.npy")[""], table)
    assert set(bundle.read_arrays("many.npz")) == {"a", "b"}
    np.testing.assert_array_equal(bundle.read_arrays("many.npz")["b"], table.T)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        BUNDLE.write(tmp_path / "colours.edge")
    assert list(tmp_path.iterdir()) == []
