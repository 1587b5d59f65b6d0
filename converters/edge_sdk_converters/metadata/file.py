"""Metadata into a .tflite file, and out of one: the entry in the model, and the archive with the labels behind it."""

from __future__ import annotations

import io
import struct
import zipfile

from edge_sdk_runtime.archive import ArchiveError, unzip

from ..errors import ModelError
from .describe import ModelMetadata
from .entry import add_entry, read_entry
from .tables import LABELS, labels_file, read_tables, write_tables

__all__ = ["ENTRY", "add_metadata", "read_metadata"]

ENTRY = "TFLITE_METADATA"
"""What the standard calls the model's entry that holds its metadata."""


def add_metadata(tflite: bytes, metadata: ModelMetadata) -> bytes:
    """A model with its metadata; equal input gives equal bytes.

    What the interpreter reads of the model stays as it is. The file grows by the metadata, 4 bytes for each of its buffers, and
    the labels, which stand behind it in an archive whose members are stored and dated 1980-01-01.

    Args:
        tflite: The file of an image classifier, without metadata.
        metadata: What it says of itself.

    Raises:
        ModelError: It is no .tflite file, or has metadata; or a label is blank or has several lines, which no file of labels can
            hold.
    """
    for label in metadata.scores.labels:
        if not _is_line(label):
            raise ModelError(
                f"A label must be one line of Unicode text, since files of labels hold one a line. Received: {label!r}. "
                "Rename that class."
            )
    return _with_labels(add_entry(tflite, ENTRY, write_tables(metadata)), metadata.scores.labels)


def read_metadata(tflite: bytes) -> ModelMetadata | None:
    """What the file of an image classifier says of itself, whoever wrote that.

    Args:
        tflite: The whole file.

    Returns:
        Its metadata, or None where it has none.

    Raises:
        ModelError: It is no .tflite file, or its metadata are not those of a model with an input and an output.
    """
    content = read_entry(tflite, ENTRY)
    if content is None:
        return None
    try:
        return read_tables(content, _labels(tflite, labels_file(content)))
    except (struct.error, ValueError, KeyError, ArchiveError) as error:
        if isinstance(error, ModelError):
            raise
        reason = f"{type(error).__name__} {error}"[:120].split("\n", maxsplit=1)[0]
        raise ModelError(
            "A model's metadata must follow metadata_schema.fbs, with an archive behind the model that holds its labels. "
            f"Received: {reason}. Export the model again."
        ) from error


def _is_line(label: str) -> bool:
    """Whether every reader takes it for one label: some split at carriage returns, some skip blank lines."""
    has_surrogates = any("\ud800" <= character <= "\udfff" for character in label)  # of names that are no Unicode
    return bool(label.strip()) and not {"\n", "\r"} & {*label} and not has_surrogates


def _with_labels(tflite: bytes, labels: tuple[str, ...]) -> bytes:
    """Readers of the archive count from the start of the file, since whoever wrote the standard opened it to append."""
    if not labels:
        return tflite
    file = io.BytesIO()
    file.write(tflite)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # MediaPipe reads stored members alone
        entry = zipfile.ZipInfo(LABELS, (1980, 1, 1, 0, 0, 0))
        entry.create_system = 3  # Unix on every machine, or equal models would differ by where they were written
        archive.writestr(entry, "\n".join(labels))
    return file.getvalue()


def _labels(tflite: bytes, name: str) -> tuple[str, ...]:
    """Lines of a file in the archive; none where there is no such file. An end of the last line is not one more label."""
    text = unzip(tflite, compressed=True)[name].decode().replace("\r\n", "\n") if name else ""
    return tuple(text.removesuffix("\n").split("\n")) if text else ()
