"""Files that appear whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["read_file", "write_atomically", "written_atomically"]


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Content of a file.

    Raises:
        OSError: It cannot be read.
    """
    with io.FileIO(path) as file:  # not pathlib, which takes milliseconds to import
        return file.readall()


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` so that no reader ever sees a part of it, as `written_atomically` does.

    Args:
        path: The file to create or replace; its folder is created where it is missing.
        content: The whole file.

    Raises:
        OSError: The folder cannot be created or written to, or the disk is full.
    """
    with written_atomically(path) as file:
        file.write(content)


@contextmanager
def written_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that takes the name `path` when all of it has been written.

    The bytes go to a hidden file beside `path`, reach the disk, and take the name by one rename. Whatever interrupts the
    writing, a full disk, Ctrl-C, a power cut, leaves the previous file as it was and no half-written one.

    Args:
        path: The file to create or replace; its folder is created where it is missing.

    Yields:
        The file, open for writing.

    Raises:
        OSError: The folder cannot be created or written to, or the disk is full.
    """
    import tempfile  # with its needs 5 ms, which reading a bundle does not pay; pathlib likewise
    from pathlib import Path

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as part:
            yield part
            part.flush()
            os.fsync(part.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's file-creation mask, which mkstemp ignores."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
