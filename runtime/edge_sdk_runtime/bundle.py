"""One `.edge` file: the only thing that passes between workstation and device.

A bundle is a ZIP whose members are stored, sorted and dated 1980-01-01, so that the same content gives the same bytes. Its
`manifest.json` lists every other member with size and SHA-256; nothing in it is ever unpickled. A model may be stored coded:
it is rebuilt when it is read, byte for byte, and kept in a cache where the bundle is a file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from .archive import ArchiveError, unzip
from .errors import BundleCorruptError, BundleError
from .files import read_file, write_atomically
from .hashes import sha256_for
from .manifest import FileEntry, Manifest, RebuiltFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .codec import PackedModel

__all__ = ["GOLDEN", "MANIFEST", "Bundle"]

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"


class Bundle:
    """An opened bundle, all of it in memory; no member is handed out before it has matched its hash.

    Args:
        manifest: What the bundle says of itself; its `files` must list `members`.
        members: Content of every file but the manifest, by name.
        lazily: Whether a member is checked when it is first read; where False, all are now.
    """

    def __init__(self, manifest: Manifest, members: Mapping[str, bytes], *, lazily: bool = False) -> None:
        self.manifest = manifest
        self._members = dict(members)
        self._unchecked = set(self._members)
        self._packed: dict[str, PackedModel] = {}
        self._keeps_rebuilt = False
        self._check_list()
        if not lazily:
            self._check(*self._members)

    @classmethod
    def build(cls, manifest: Manifest, members: Mapping[str, bytes]) -> Bundle:
        """Put a bundle together; the list of files in the manifest is made from `members`.

        Args:
            manifest: What the bundle says of itself; its `files` are replaced.
            members: Content of every file, by name; a .tflite file may be a packed model.
        """
        import dataclasses

        files = {name: _entry(name, content) for name, content in members.items()}
        return cls(dataclasses.replace(manifest, files=files), members)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, lazily: bool = False) -> Bundle:
        """Open a bundle and check every member against its hash; models that it holds coded are rebuilt once and kept.

        Args:
            path: An `.edge` file.
            lazily: Check a member when it is first read, not now: a classifier starts without what its form does not use.
                Sizes and the archive's own checksums are compared in any case.

        Raises:
            BundleCorruptError: The file is truncated, altered, or no bundle.
            BundleVersionError: It was written by a newer SDK than this runtime understands.
            BundleError: There is no such file.
        """
        try:
            content = read_file(path)
        except OSError as error:
            raise BundleError(
                f"A bundle must be a readable file. Received: {path} ({error.strerror}). Check the path."
            ) from error
        bundle = cls.from_bytes(content, str(path), lazily=lazily)
        bundle._keeps_rebuilt = True
        return bundle

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "bundle", *, lazily: bool = False) -> Bundle:
        """Open a bundle from memory, as `open` does; models that it holds coded are rebuilt whenever they are read.

        Args:
            content: The whole file.
            name: What to call it in an error.
            lazily: As for `open`.
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
        return cls(Manifest.from_json(text), members, lazily=lazily)

    def read(self, name: str) -> bytes:
        """Content of one member; of a coded one, the file that it is rebuilt to.

        Raises:
            BundleCorruptError: The bundle has no such member, it is altered, or it cannot be rebuilt.
        """
        if name in self._unchecked:
            self._check(name)
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
            BundleCorruptError: The member is missing, altered, or holds no plain arrays.
        """
        from .arrays import load_arrays  # the fused form reads none

        return load_arrays(self.read(name), name)

    def members(self) -> dict[str, bytes]:
        """Content of every member but the manifest, by name, as it is stored.

        Raises:
            BundleCorruptError: One that had not been read yet is altered.
        """
        self._check(*self._unchecked)
        return dict(self._members)

    def to_bytes(self) -> bytes:
        """The `.edge` file; equal bundles give equal bytes."""
        import zipfile  # 7 ms, which opening a bundle does not pay

        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in sorted({MANIFEST: self.manifest.to_json().encode(), **self.members()}.items()):
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

    def _check_list(self) -> None:
        listed = self.manifest.files
        if set(listed) != set(self._members):
            odd = ", ".join(sorted(set(listed) ^ set(self._members)))
            raise BundleCorruptError(
                f"A bundle must hold exactly the files its manifest lists. Received: a difference in {odd}. Copy it again."
            )
        for name, content in self._members.items():
            if len(content) != listed[name].size_bytes:
                _altered(name)

    def _check(self, *names: str) -> None:
        """Compare members with their hashes, and read the directories of coded ones."""
        digest = sha256_for(sum(len(self._members[name]) for name in names))
        for name in names:
            content, entry = self._members[name], self.manifest.files[name]
            if digest(content) != entry.sha256:
                _altered(name)
            if entry.rebuilt:
                self._packed[name] = _packed(name, content, entry.rebuilt)
            self._unchecked.discard(name)


def _altered(name: str) -> NoReturn:
    raise BundleCorruptError(
        f"Every file in a bundle must match its hash. Received: an altered {name}. Copy or write the bundle again."
    )


def _entry(name: str, content: bytes) -> FileEntry:
    from .codec import PackedModel, is_packed

    rebuilt = None
    if name.endswith(".tflite") and is_packed(content):
        packed = PackedModel.read(content)
        rebuilt = RebuiltFile(packed.size_bytes, packed.sha256)
    return FileEntry(len(content), sha256_for(len(content))(content), rebuilt)


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
