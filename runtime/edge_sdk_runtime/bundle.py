"""One `.edge` file: the only thing that passes between workstation and device.

A bundle is a ZIP whose members are stored, sorted and dated 1980-01-01, so that the same content gives the same bytes. Its
`manifest.json` lists every other member with size and SHA-256; nothing in it is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .archive import unzip
from .arrays import load_arrays
from .errors import BundleCorruptError, BundleError
from .files import write_atomically
from .manifest import FileEntry, Manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GOLDEN", "MANIFEST", "Bundle"]

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"


class Bundle:
    """An opened bundle, all of it checked and in memory.

    Args:
        manifest: What the bundle says of itself; its `files` must list `members`.
        members: Content of every file but the manifest, by name.
    """

    def __init__(self, manifest: Manifest, members: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self._members = dict(members)
        self._check_members()

    @classmethod
    def build(cls, manifest: Manifest, members: Mapping[str, bytes]) -> Bundle:
        """Put a bundle together; the list of files in the manifest is made from `members`.

        Args:
            manifest: What the bundle says of itself; its `files` are replaced.
            members: Content of every file, by name.
        """
        files = {
            name: FileEntry(len(content), hashlib.sha256(content).hexdigest()) for name, content in members.items()
        }
        return cls(dataclasses.replace(manifest, files=files), members)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Open a bundle and check every member against its hash.

        Args:
            path: An `.edge` file.

        Raises:
            BundleCorruptError: The file is truncated, altered, or no bundle.
            BundleVersionError: It was written by a newer SDK than this runtime understands.
            BundleError: There is no such file.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise BundleError(
                f"A bundle must be a readable file. Received: {path} ({error.strerror}). Check the path."
            ) from error
        return cls.from_bytes(content, str(path))

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "bundle") -> Bundle:
        """Open a bundle from memory, as `open` does.

        Args:
            content: The whole file.
            name: What to call it in an error.
        """
        try:
            members = unzip(content)
            if MANIFEST not in members:
                raise zipfile.BadZipFile(f"no {MANIFEST}")
            text = members.pop(MANIFEST).decode()
        except (zipfile.BadZipFile, UnicodeDecodeError) as error:
            raise BundleCorruptError(
                f"A bundle must be a whole .edge file. Received: {name}, {len(content)} bytes ({error}). Copy or write it again."
            ) from error
        return cls(Manifest.from_json(text), members)

    def read(self, name: str) -> bytes:
        """Content of one member.

        Raises:
            BundleCorruptError: The bundle has no such member.
        """
        try:
            return self._members[name]
        except KeyError:
            raise BundleCorruptError(
                f"A bundle must hold every file it names. Received: no {name}. Copy or write it again."
            ) from None

    def read_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Arrays of one `.npz` member, or of one `.npy` member under the key `""`; pickled content is refused.

        Raises:
            BundleCorruptError: The member is missing or holds no plain arrays.
        """
        return load_arrays(self.read(name), name)

    def members(self) -> dict[str, bytes]:
        """Content of every member but the manifest, by name."""
        return dict(self._members)

    def to_bytes(self) -> bytes:
        """The `.edge` file; equal bundles give equal bytes."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in sorted({MANIFEST: self.manifest.to_json().encode(), **self._members}.items()):
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system = (
                    3  # Unix on every machine, or equal bundles would differ by where they were written
                )
                archive.writestr(entry, content)
        return file.getvalue()

    def write(self, path: str | os.PathLike[str]) -> int:
        """Write the `.edge` file atomically and return its size in bytes.

        Raises:
            OSError: The disk is full or the folder cannot be written to; no file is left behind.
        """
        content = self.to_bytes()
        write_atomically(path, content)
        return len(content)

    def _check_members(self) -> None:
        listed = self.manifest.files
        if set(listed) != set(self._members):
            odd = ", ".join(sorted(set(listed) ^ set(self._members)))
            raise BundleCorruptError(
                f"A bundle must hold exactly the files its manifest lists. Received: a difference in {odd}. Copy it again."
            )
        for name, content in self._members.items():
            if len(content) != listed[name].size_bytes or hashlib.sha256(content).hexdigest() != listed[name].sha256:
                raise BundleCorruptError(
                    f"Every file in a bundle must match its hash. Received: an altered {name}. Copy or write the bundle again."
                )
