"""One `.edge` file: the only thing that passes between workstation and device.

A bundle is a ZIP whose members are stored, sorted and dated 1980-01-01, so that the same content gives the same bytes. Its
`manifest.json` lists every other member with size and SHA-256; nothing in it is ever unpickled. A model may be stored coded:
it is rebuilt when it is read, byte for byte, and kept in a cache where the bundle is a file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .archive import ArchiveError, unzip
from .arrays import load_arrays
from .errors import BundleCorruptError, BundleError
from .files import write_atomically
from .manifest import FileEntry, Manifest, RebuiltFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .codec import PackedModel

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
        self._packed: dict[str, PackedModel] = {}
        self._keeps_rebuilt = False
        self._check_members()

    @classmethod
    def build(cls, manifest: Manifest, members: Mapping[str, bytes]) -> Bundle:
        """Put a bundle together; the list of files in the manifest is made from `members`.

        Args:
            manifest: What the bundle says of itself; its `files` are replaced.
            members: Content of every file, by name; a .tflite file may be a packed model.
        """
        files = {name: _entry(name, content) for name, content in members.items()}
        return cls(dataclasses.replace(manifest, files=files), members)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Open a bundle and check every member against its hash; models that it holds coded are rebuilt once and kept.

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
        bundle = cls.from_bytes(content, str(path))
        bundle._keeps_rebuilt = True
        return bundle

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "bundle") -> Bundle:
        """Open a bundle from memory, as `open` does; models that it holds coded are rebuilt whenever they are read.

        Args:
            content: The whole file.
            name: What to call it in an error.
        """
        try:
            members = unzip(content)
            if MANIFEST not in members:
                raise ArchiveError(f"no {MANIFEST}")
            text = members.pop(MANIFEST).decode()
        except (ArchiveError, UnicodeDecodeError) as error:
            raise BundleCorruptError(
                f"A bundle must be a whole .edge file. Received: {name}, {len(content)} bytes ({error}). Copy or write it again."
            ) from error
        return cls(Manifest.from_json(text), members)

    def read(self, name: str) -> bytes:
        """Content of one member; of a coded one, the file that it is rebuilt to.

        Raises:
            BundleCorruptError: The bundle has no such member, or it cannot be rebuilt.
        """
        if name in self._packed:
            return self._rebuild(self._packed[name])
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
        """Content of every member but the manifest, by name, as it is stored."""
        return dict(self._members)

    def to_bytes(self) -> bytes:
        """The `.edge` file; equal bundles give equal bytes."""
        import zipfile  # 7 ms, which opening a bundle does not pay

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

    def _rebuild(self, packed: PackedModel) -> bytes:
        if not self._keeps_rebuilt:
            return packed.to_bytes()
        from .cache import cached_model

        return cached_model(packed)

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
            rebuilt = listed[name].rebuilt
            if rebuilt:
                self._packed[name] = _packed(name, content, rebuilt)


def _entry(name: str, content: bytes) -> FileEntry:
    from .codec import PackedModel, is_packed

    rebuilt = None
    if name.endswith(".tflite") and is_packed(content):
        packed = PackedModel.read(content)
        rebuilt = RebuiltFile(packed.size_bytes, packed.sha256)
    return FileEntry(len(content), hashlib.sha256(content).hexdigest(), rebuilt)


def _packed(name: str, content: bytes, rebuilt: RebuiltFile) -> PackedModel:
    """A coded member with its directory read, which must promise what the manifest does."""
    from .codec import PackedModel  # a bundle without coded files does without the codec and what it imports

    packed = PackedModel.read(content)
    if (packed.size_bytes, packed.sha256) != (rebuilt.size_bytes, rebuilt.sha256):
        raise BundleCorruptError(
            f"A coded file must rebuild what the manifest says. Received: {packed.size_bytes} bytes with another hash or size "
            f"than {name}'s {rebuilt.size_bytes}. Copy or write the bundle again."
        )
    return packed
