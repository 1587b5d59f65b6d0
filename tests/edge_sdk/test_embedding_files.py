"""What is written is read again, to the last bit; what is damaged is refused with the line."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import embedding_files as module
from edge_sdk.learn.embedding_files import EmbeddingTable, escaped, read_embeddings, unescaped, write_embeddings

AWKWARD = (
    "blue mug",
    "tasse été",
    "日本語",
    "100%",
    "%20",
    "a\tb\nc",
    "\x00",
    "\u2028",
    "mañana\u00a0",
    "👩‍🔬",
    "\udc80",
)


def table(*rows: tuple[str, list[float]]) -> EmbeddingTable:
    return EmbeddingTable(tuple(label for label, _ in rows), np.array([numbers for _, numbers in rows], np.float32))


def equal(one: EmbeddingTable, other: EmbeddingTable) -> bool:
    """Labels, and every bit of every number."""
    return one.labels == other.labels and np.array_equal(one.vectors.view(np.uint32), other.vectors.view(np.uint32))


def text(folder: Path, content: str | bytes) -> Path:
    path = folder / "table.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_public_names() -> None:
    names = ["EmbeddingTable", "escaped", "read_embeddings", "unescaped", "write_embeddings"]
    assert sorted(module.__all__) == names


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    bits=st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), min_size=1, max_size=5),
    labels=st.lists(st.text(min_size=1, max_size=4) | st.sampled_from(AWKWARD), min_size=5, max_size=5),
)
@example([[0x3F800000, 0x00000001, 0x80000000], [0x7F7FFFFF, 0x4B800001, 0x3DCCCCCD]], [*AWKWARD[:5]])
def test_text_and_npz_give_back_every_bit_and_every_label(
    tmp_path_factory: pytest.TempPathFactory, bits: list[list[int]], labels: list[str]
) -> None:
    vectors = np.array(bits, np.uint32).view(np.float32)
    written = EmbeddingTable(tuple(labels[: len(bits)]), np.where(np.isfinite(vectors), vectors, np.float32(0.1)))
    paths = write_embeddings(tmp_path_factory.mktemp("table") / "animals.txt", written)
    assert [path.name for path in paths] == ["animals.txt", "animals.npz"]
    assert all(equal(read_embeddings(path), written) for path in paths)


def test_the_text_is_that_of_word_vectors(tmp_path: Path) -> None:
    written = table(("cat", [0.1, -1.5]), ("blue mug", [1e-5, 2]), ("cat", [0.25, 0]))
    write_embeddings(tmp_path / "a.txt", written)
    expected = "3 2\ncat 0 0.1 -1.5\nblue%20mug 1e-05 2.0\ncat 1 0.25 0.0\n"
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == expected
    assert (written.counts, written.indices, written.width, len(written)) == (
        {"cat": 2, "blue mug": 1},
        (0, 0, 1),
        2,
        3,
    )


@pytest.mark.parametrize("label", AWKWARD)
def test_labels_are_one_field_that_any_program_can_decode(label: str) -> None:
    field = escaped(label)
    assert len(field.split()) == 1 and field.isprintable()
    assert unescaped(field) == unquote(field, errors="surrogatepass") == label
    assert escaped("été") == "été"


def test_word_vectors_of_other_programs_are_read(tmp_path: Path) -> None:
    read = read_embeddings(text(tmp_path, "\ufeff2 3\r\nthe\t1 2 -3e-1 \r\n\r\n100% 4 5 6\n"))
    assert equal(read, table(("the", [1, 2, -0.3]), ("100%", [4, 5, 6])))


def test_an_npz_alone_where_it_is_asked_for(tmp_path: Path) -> None:
    assert write_embeddings(tmp_path / "a.npz", table(("cat", [1]))) == (tmp_path / "a.npz",)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == ["cat"] and arrays["vectors"].dtype == np.float32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "begin with a line of count and width. Received: '' in line 1"),
        ("cat 1 2\n", "begin with a line of count and width. Received: 'cat 1 2' in line 1"),
        ("0 3\n", "both at least 1. Received: 0 3"),
        ("1 99999999\ncat 1\n", "as long as its first line says. Received: 17 bytes for 1 × 99999999"),
        ("2 2\ncat 1 2\n", "have 2 vectors, as its first line says. Received: the end after 1"),
        ("1 2\ncat 1 2\ndog 1 2\n", "have 1 vectors, as its first line says. Received: another one in line 3"),
        ("1 2\ncat 1 nan\n", "hold finite numbers. Received: nan in line 2"),
        ("1 2\ncat 1 1e99\n", "hold finite numbers. Received: 1e99 in line 2"),
        (
            "1 2\ncat 1 two\n",
            "hold numbers after the label. Received: could not convert string to float: 'two' in line 2",
        ),
        ("2 2\ncat 1 2\ndog 1 2 3 4\n", "and 2 numbers. Received: 5 fields in line 3"),
        (
            "1 2\nblue mug 1 2\n",
            "number the vectors of a label from 0; this is number 0 of 'blue'. Received: index mug",
        ),
        ("2 2\ncat 1 2\ncat 3 4\n", "this is number 1 of 'cat'. Received: a line without index in line 3"),
        ("2 2\ncat 0 1 2\ncat 2 3 4\n", "this is number 1 of 'cat'. Received: index 2 in line 3"),
        ("1 1\n%ff 1\n", "have labels in UTF-8. Received: '%ff' in line 2"),
        (b"1 1\n\xff 1\n", "be UTF-8. Received: byte 0xff in line 2"),
    ],
)
def test_damaged_texts_are_refused_with_the_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(DataError) as refused:
        read_embeddings(path)
    assert message in str(refused.value) and str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_damaged_npz_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"\.npz of labels and vectors"):
        read_embeddings(tmp_path / "a.npz")


def test_npz_files_of_something_else_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=np.array(["cat"]), vectors=np.zeros((1, 2)))
    with pytest.raises(DataError, match="Received: float64"):
        read_embeddings(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="labels"):
        read_embeddings(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("labels", "vectors", "message"),
    [
        (("a",), np.zeros((2, 2), np.float32), "1 labels for 2 vectors"),
        (("a", ""), np.zeros((2, 2), np.float32), "none of them empty"),
        (("a",), np.zeros((1, 0), np.float32), r"float32 \[1, 0\]"),
        (("a",), np.array([[np.inf]], np.float32), "NaN or infinity in vector 0, 'a'"),
    ],
)
def test_tables_that_make_no_sense_are_refused(labels: tuple[str, ...], vectors: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EmbeddingTable(labels, vectors)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "a.txt", table(("cat", [1])))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "b.npz").mkdir()
    with pytest.raises(OSError, match="b"):
        write_embeddings(tmp_path / "b.txt", table(("dog", [2])))
    (tmp_path / "b.npz").rmdir()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name[0] == "a"} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
