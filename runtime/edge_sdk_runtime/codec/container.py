"""A packed model as a whole: header, directory, skeleton and tensors → the .tflite file, proved by its hash."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from ..archive import MAX_BYTES
from ..errors import BundleVersionError
from .fields import Cursor, corrupt
from .rebuild import rebuild_tensor
from .streams import Stream, StreamEntry, read_entry
from .tensors import TensorEntry, read_tensor

__all__ = ["FORMAT_VERSION", "FREE_BYTES", "MAGIC", "MAX_GROWTH", "PackedModel", "is_packed", "unpack"]

MAGIC = b"ETZ"
FORMAT_VERSION = 1

FREE_BYTES = 1 << 26
MAX_GROWTH = 1024
"""A packed file may rebuild `FREE_BYTES` or `MAX_GROWTH` times its own size, whichever is more: no small file fills a disk."""

Write = Callable[[bytes | memoryview], object]


@dataclass(frozen=True)
class PackedModel:
    """A packed .tflite file whose directory has been read and checked; nothing is decoded yet.

    Attributes:
        sha256: Hash of the .tflite file, 64 hexadecimal digits.
        size_bytes: Its length.
        packed_bytes: Length of the packed file.
        skeleton: What is left of the .tflite file without its tensors.
        tensors: The tensors in the order of the file.
    """

    sha256: str
    size_bytes: int
    packed_bytes: int
    skeleton: StreamEntry
    tensors: tuple[TensorEntry, ...]
    _streams: memoryview

    @classmethod
    def read(cls, content: bytes | memoryview, limit: int = MAX_BYTES) -> PackedModel:
        """Read header and directory of a packed file.

        Args:
            content: The whole packed file.
            limit: The longest .tflite file that is accepted, in bytes.

        Raises:
            BundleVersionError: It was packed in a later version of the format.
            BundleCorruptError: It is no packed file, or its directory breaks a rule.
        """
        cursor = Cursor(memoryview(content))
        _check_magic(cursor)
        sha256 = bytes(cursor.take(32, "the hash")).hex()
        most = min(limit, max(FREE_BYTES, MAX_GROWTH * len(content)))
        size_bytes = cursor.number(most, "the model's size", least=1)
        skeleton = read_entry(cursor, cursor.number(size_bytes, "the skeleton's size"), "the skeleton")
        tensors = _tensors(cursor, size_bytes, skeleton.plain_bytes)
        expected = skeleton.coded_bytes + sum(tensor.stored_bytes for tensor in tensors)
        if cursor.left != expected:
            raise corrupt(f"{cursor.left} bytes of streams where the directory lists {expected}")
        return cls(sha256, size_bytes, len(content), skeleton, tensors, memoryview(content)[cursor.position :])

    def write_to(self, write: Write) -> None:
        """Rebuild the .tflite file, tensor by tensor; what was written is the file only if this returns.

        Args:
            write: Takes the next bytes of the file.

        Raises:
            BundleCorruptError: A stream is damaged, or the file's hash is not the one in the header.
        """
        digest = hashlib.sha256()
        cursor = Cursor(self._streams)
        skeleton = memoryview(self._skeleton(cursor))
        for tensor in self.tensors:
            _put(skeleton[: tensor.skip], write, digest.update)
            skeleton = skeleton[tensor.skip :]
            _put(rebuild_tensor(tensor, cursor.take(tensor.stored_bytes, "a tensor")).data, write, digest.update)
        _put(skeleton, write, digest.update)
        if digest.hexdigest() != self.sha256:
            raise corrupt("a model whose hash differs from the one in the file")

    def to_bytes(self) -> bytes:
        """Rebuild the .tflite file in memory, as `write_to` does."""
        file = io.BytesIO()
        self.write_to(file.write)
        return file.getvalue()

    def _skeleton(self, cursor: Cursor) -> bytes:
        stream = Stream(self.skeleton, cursor.take(self.skeleton.coded_bytes, "the skeleton"), "skeleton bytes")
        content = stream.read_all()
        stream.finish()
        return content


def is_packed(content: bytes) -> bool:
    """Whether a file begins as a packed model does, of whatever version."""
    return content[: len(MAGIC)] == MAGIC


def unpack(content: bytes, limit: int = MAX_BYTES) -> bytes:
    """Rebuild a .tflite file in memory.

    Args:
        content: The whole packed file.
        limit: The longest .tflite file that is accepted, in bytes.

    Returns:
        The file that was packed, byte for byte.

    Raises:
        BundleVersionError: It was packed in a later version of the format.
        BundleCorruptError: It is damaged, or no packed file.
    """
    return PackedModel.read(content, limit).to_bytes()


def _check_magic(cursor: Cursor) -> None:
    if cursor.take(len(MAGIC), "the file's first bytes") != MAGIC:
        raise corrupt("another kind of file")
    version = cursor.byte("the format's version")
    if version > FORMAT_VERSION:
        raise BundleVersionError(
            f"This runtime unpacks models of format {FORMAT_VERSION}. Received: format {version}. "
            "Run: pip install --upgrade edge-sdk-runtime"
        )
    if version < 1:
        raise corrupt(f"format {version}, which does not exist")


def _tensors(cursor: Cursor, size_bytes: int, skeleton_bytes: int) -> tuple[TensorEntry, ...]:
    """Entries of all tensors, which together with the skeleton must make up the file."""
    left, skeleton_left = size_bytes - skeleton_bytes, skeleton_bytes
    tensors = []
    for _ in range(cursor.number(cursor.left, "the number of tensors")):
        tensor = read_tensor(cursor, skeleton_left, left)
        left -= tensor.size_bytes
        skeleton_left -= tensor.skip
        tensors.append(tensor)
    if left:
        raise corrupt(f"tensors that are {left} bytes short of the model")
    return tuple(tensors)


def _put(part: memoryview, *takers: Write) -> None:
    for take in takers:
        take(part)
