"""Embedding files: class embeddings handed out like word vectors, as a text that other programs read and as `.npz`.

The text is that of word2vec. Its first line holds the number of vectors and their width; every other line a label, where a
label has several vectors also the vector's index within its label, and the numbers:

    3 4
    cat 0 0.12 -1.5 0.25 1e-05
    cat 1 0.5 0.5 -0.25 2
    blue%20mug 1.5 0 0 -0.75

A line of width + 2 fields has an index, one of width + 1 has none and is the only vector of its label. Numbers are the shortest
that give the same float32 again. Labels are UTF-8; white space, control characters and the percent sign are written as percent
escapes of their UTF-8 bytes (RFC 3986), so that `urllib.parse.unquote` gives the label back; a percent sign that begins no escape
means itself. A `.npz` file holds the same: `labels`, one escaped label per vector, and `vectors`, `float32 [M, D]`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote

import numpy as np

from edge_sdk_runtime.files import written_atomically

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EmbeddingTable", "escaped", "read_embeddings", "unescaped", "write_embeddings"]

_NPZ = ".npz"
_SHORTEST = 2
"""Bytes that a number takes at least: a digit and what parts it from the next."""


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """Vectors with a label each.

    Attributes:
        labels: One per vector, M of them; a label may have several vectors, numbered from 0 in the order of the table.
        vectors: `float32 [M, D]`, finite.

    Raises:
        DataError: Labels and vectors do not fit together, a label is empty, or a number is not finite.
    """

    labels: tuple[str, ...]
    vectors: NDArray[np.float32] = field(repr=False)

    def __post_init__(self) -> None:
        if self.vectors.dtype != np.float32 or self.vectors.ndim != 2 or 0 in self.vectors.shape:
            raise DataError(
                "Embeddings must be float32 [M, D] with at least one vector and one number. "
                f"Received: {self.vectors.dtype} {list(self.vectors.shape)}. Build them again."
            )
        if len(self.labels) != len(self.vectors) or "" in self.labels:
            raise DataError(
                f"Embeddings must have one label each, none of them empty. "
                f"Received: {len(self.labels)} labels for {len(self.vectors)} vectors. Name every vector."
            )
        if not np.isfinite(self.vectors).all():
            row = int(np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))[0])
            raise DataError(
                f"Embeddings must be finite numbers. Received: NaN or infinity in vector {row}, {self.labels[row]!r}. "
                "Build them again."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def width(self) -> int:
        """Numbers of a vector, D."""
        return int(self.vectors.shape[1])

    @property
    def counts(self) -> dict[str, int]:
        """Vectors of each label, in order of first appearance."""
        counts = dict.fromkeys(self.labels, 0)
        for label in self.labels:
            counts[label] += 1
        return counts

    @property
    def indices(self) -> tuple[int, ...]:
        """Of each vector its number within its label, from 0."""
        seen = dict.fromkeys(self.labels, -1)
        result = []
        for label in self.labels:
            seen[label] += 1
            result.append(seen[label])
        return tuple(result)


def escaped(label: str) -> str:
    """A label as a file holds it: without white space, lossless.

    Args:
        label: Any text but an empty one.
    """
    plain = (char != "%" and char.isprintable() and not char.isspace() for char in label)
    return "".join(
        char if keep else quote(char, safe="", errors="surrogatepass") for char, keep in zip(label, plain, strict=True)
    )


def unescaped(field: str) -> str:
    """The label that `escaped` wrote.

    Args:
        field: The first field of a line.

    Raises:
        UnicodeDecodeError: The escapes are not UTF-8.
    """
    return unquote(field, errors="surrogatepass")


def write_embeddings(path: str | Path, table: EmbeddingTable) -> tuple[Path, ...]:
    """Write a table, atomically.

    Args:
        path: A name that ends in `.npz` gives that file alone; any other the text, and the `.npz` beside it.
        table: What to write; the text is written line by line.

    Returns:
        The files written.

    Raises:
        OSError: One of them cannot be written; what was there stays.
    """
    path = Path(path)
    paths = (path,) if path.suffix == _NPZ else (path, path.with_suffix(_NPZ))
    with ExitStack() as stack:
        files = [stack.enter_context(written_atomically(each)) for each in paths]  # both are whole before one appears
        _write_npz(files[-1], table)
        if len(files) > 1:
            _write_text(files[0], table)
    return paths


def read_embeddings(path: str | Path) -> EmbeddingTable:
    """Read a table; of a text one line at a time, so that memory holds the numbers and no more.

    Args:
        path: A `.npz` file, or a text. Word vectors of other programs are texts too; those without a first line of count and
            width are refused.

    Raises:
        DataError: Names the line, what was expected and what was found.
        OSError: There is no such file.
    """
    path = Path(path)
    return _read_npz(path) if path.suffix == _NPZ else _read_text(path)


def _write_text(file: BinaryIO, table: EmbeddingTable) -> None:
    file.write(f"{len(table)} {table.width}\n".encode())
    counts = table.counts
    for label, index, vector in zip(table.labels, table.indices, table.vectors, strict=True):
        number = f" {index}" if counts[label] > 1 else ""
        file.write(f"{escaped(label)}{number} {' '.join(map(str, vector))}\n".encode())


def _write_npz(file: BinaryIO, table: EmbeddingTable) -> None:
    np.savez(
        file, allow_pickle=False, labels=np.array([escaped(label) for label in table.labels]), vectors=table.vectors
    )


def _read_npz(path: Path) -> EmbeddingTable:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            labels, vectors = arrays["labels"], arrays["vectors"]
        names = tuple(unescaped(str(label)) for label in labels)
    except (EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"An embedding file must be an .npz of labels and vectors. Received: {path} ({error}). Write it again."
        ) from error
    return EmbeddingTable(names, vectors)


def _read_text(path: Path) -> EmbeddingTable:
    with path.open("rb") as file:
        lines = _Lines(file, path)
        count, width = _header(lines)
        labels: list[str] = []
        vectors = np.empty((count, width), np.float32)
        seen: dict[str, int] = {}
        for fields in lines:
            if len(labels) == count:
                raise lines.error(f"have {count} vectors, as its first line says", "another one", "Correct the count")
            label, numbers = _fields(lines, fields, width, seen)
            vectors[len(labels)] = _numbers(lines, numbers)
            labels.append(label)
        if len(labels) < count:
            raise lines.error(
                f"have {count} vectors, as its first line says", f"the end after {len(labels)}", "Copy it whole"
            )
    return EmbeddingTable(tuple(labels), vectors)


def _header(lines: _Lines) -> tuple[int, int]:
    fields = next(lines, [])
    rule = "begin with a line of count and width"
    if len(fields) != 2 or not all(each.isascii() and each.isdigit() for each in fields):
        raise lines.error(rule, repr(" ".join(fields)[:60]), "Add that line, such as '3 64'")
    count, width = map(int, fields)
    if count < 1 or width < 1:
        raise lines.error(f"{rule}, both at least 1", f"{count} {width}", "Write the file again")
    if count * width * _SHORTEST > lines.size:
        raise lines.error(
            "be as long as its first line says", f"{lines.size} bytes for {count} × {width}", "Copy it whole"
        )
    return count, width


def _fields(lines: _Lines, fields: list[str], width: int, seen: dict[str, int]) -> tuple[str, list[str]]:
    """The label and the numbers of a line, once the index is found to be the next of its label."""
    if len(fields) not in (width + 1, width + 2):
        raise lines.error(
            f"have a label, perhaps an index, and {width} numbers",
            f"{len(fields)} fields",
            "Escape white space in the label with %20, or correct the width",
        )
    try:
        label = unescaped(fields[0])
    except UnicodeDecodeError:
        raise lines.error("have labels in UTF-8", repr(fields[0][:60]), "Correct the percent escapes") from None
    indexed = len(fields) == width + 2
    expected = seen.get(label, 0)
    if (fields[1] != str(expected)) if indexed else expected > 0:
        raise lines.error(
            f"number the vectors of a label from 0; this is number {expected} of {label!r}",
            f"index {fields[1][:20]}" if indexed else "a line without index",
            "Number them, or join files with edge-sdk embeddings merge",
        )
    seen[label] = expected + 1
    return label, fields[2:] if indexed else fields[1:]


def _numbers(lines: _Lines, fields: list[str]) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(fields, np.float64).astype(np.float32)
    except ValueError as error:
        raise lines.error("hold numbers after the label", str(error)[:80], "Correct it") from error
    if not np.isfinite(numbers).all():
        place = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise lines.error("hold finite numbers", fields[place][:40], "Build the embeddings again")
    return numbers


class _Lines(Iterator[list[str]]):
    """The fields of each line that is not empty, and where in the file one is."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self._number = file, path, 0
        self.size = path.stat().st_size

    def __next__(self) -> list[str]:
        for line in self._file:
            self._number += 1
            try:
                text = line.decode("utf-8-sig" if self._number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self.error("be UTF-8", f"byte {line[error.start]:#04x}", "Save it as UTF-8") from None
            fields = text.strip(" \t\r\n").replace("\t", " ").split(" ")
            if fields != [""]:
                return [each for each in fields if each]
        raise StopIteration

    def error(self, rule: str, received: str, fix: str) -> DataError:
        """What is wrong with the line that was read last."""
        return DataError(
            f"An embedding file must {rule}. Received: {received} in line {max(1, self._number)} of {self._path}. {fix}."
        )
