"""Bundle files with a past: the version before is kept beside the bundle until it is wanted back.

`mugs.edge` is always the latest version; `mugs.edge.v3` is version 3 as it was. A new version first puts the one that it
replaces beside the bundle, then takes the bundle's name by one rename: whatever happens in between, the bundle opens.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ..bundle import Bundle
from ..errors import BundleError, UsageError
from ..files import write_atomically

__all__ = ["KEPT_VERSIONS", "BundleFile", "kept_versions", "undo_file", "version_path"]

KEPT_VERSIONS = 5
"""How many versions before the latest are kept; older ones are deleted."""


class BundleFile(NamedTuple):
    """A bundle as it was read from its file, to be replaced by its next version.

    Attributes:
        path: The file, links followed.
        content: Its bytes.
        bundle: What they hold.
    """

    path: Path
    content: bytes
    bundle: Bundle

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> BundleFile:
        """Read a bundle.

        Raises:
            BundleError: As `Bundle.open` does.
        """
        real = Path(path).resolve()
        bundle = Bundle.open(real)
        return cls(real, real.read_bytes(), bundle)

    def replace(self, bundle: Bundle, keep: int = KEPT_VERSIONS) -> None:
        """Put another version in its place and keep this one beside it.

        Args:
            bundle: The next version, proven.
            keep: How many versions before it may stay, at least 1.

        Raises:
            UsageError: `keep` is below 1.
            BundleError: The file was changed by somebody else since it was read.
            OSError: The folder cannot be written to, or the disk is full; the bundle is as it was.
        """
        if keep < 1:
            raise UsageError(
                f"keep must be at least 1. Received: {keep}. The version before is what undo goes back to."
            )
        if self.path.read_bytes() != self.content:
            raise BundleError(
                f"A bundle must stay as it is while it is taught. Received: {self.path}, which was changed meanwhile. Teach it again."
            )
        write_atomically(version_path(self.path, self.bundle.manifest.version), self.content)
        bundle.write(self.path)
        for version, old in kept_versions(self.path):
            if version <= self.bundle.manifest.version - keep:
                old.unlink(missing_ok=True)


def version_path(path: str | os.PathLike[str], version: int) -> Path:
    """Where a version is kept: `mugs.edge.v3` beside `mugs.edge`."""
    return Path(f"{os.fspath(path)}.v{version}")


def kept_versions(path: str | os.PathLike[str]) -> list[tuple[int, Path]]:
    """Versions that are kept beside a bundle, oldest first."""
    bundle = Path(path)
    pattern = re.compile(re.escape(bundle.name) + r"\.v([1-9][0-9]*)")
    found = ((pattern.fullmatch(each.name), each) for each in bundle.parent.iterdir())
    return sorted((int(match[1]), each) for match, each in found if match)


def undo_file(path: str | os.PathLike[str]) -> Bundle:
    """Go back one version: the one that is kept takes the bundle's name, and the latest is gone.

    Args:
        path: The bundle's file.

    Returns:
        The bundle as it is now.

    Raises:
        UsageError: The version before is not kept, or what is kept under its name is another bundle.
        BundleError: It, or the bundle itself, is no bundle; nothing is changed.
    """
    file = BundleFile.open(path)
    version = file.bundle.manifest.version
    before = version_path(file.path, version - 1)
    if not before.exists():
        raise UsageError(
            f"Undo needs the version before, {before.name}, beside the bundle. Received: version {version} without it. "
            "Nothing was changed."
        )
    bundle = Bundle.open(before)
    if bundle.manifest.version != version - 1 or _encoder(bundle) != _encoder(file.bundle):
        raise UsageError(
            f"Undo goes back to the version that this one was made of. Received: {before.name}, which has another encoder or "
            f"number. Copy it over {file.path.name} yourself if it is the one you want."
        )
    before.replace(file.path)
    return bundle


def _encoder(bundle: Bundle) -> str | None:
    """The hash of the encoder, which no teaching changes."""
    form = bundle.manifest.staged
    return bundle.manifest.files[form.encoder].sha256 if form and form.encoder else None
