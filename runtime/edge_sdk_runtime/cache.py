"""Rebuilt models, kept between runs: a file named by its hash, checked whenever it is used.

The folder is the environment variable `EDGE_SDK_CACHE`, else `$XDG_CACHE_HOME/edge-sdk`, else `~/.cache/edge-sdk`. Whatever is
in it can be deleted at any time. Where it cannot be written to, models are rebuilt in memory whenever a bundle is opened.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from .codec import PackedModel
from .files import written_atomically

__all__ = ["CACHE_VARIABLE", "CacheStatus", "cache_status", "cached_model"]

CACHE_VARIABLE = "EDGE_SDK_CACHE"


@dataclass(frozen=True)
class CacheStatus:
    """Whether rebuilt models can be kept.

    Attributes:
        folder: Where they are, or would be; None where there is no home folder.
        problem: Why nothing can be kept there; empty where it can.
    """

    folder: Path | None
    problem: str = ""

    def __str__(self) -> str:
        if not self.problem:
            return str(self.folder)
        where = f"{self.folder} cannot be written to ({self.problem})" if self.folder else self.problem
        return f"none: {where}; models are rebuilt in memory at every start. Set {CACHE_VARIABLE} to a folder that can."


def cache_status() -> CacheStatus:
    """Find the cache folder, and try whether a file can be created in it."""
    import tempfile

    folder = _folder()
    if folder is None:
        return CacheStatus(None, "there is no home folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return CacheStatus(folder)
    except OSError as error:
        return CacheStatus(folder, error.strerror or type(error).__name__)


def cached_model(packed: PackedModel) -> bytes:
    """The .tflite file of a packed model: from the cache where it is there and whole, else rebuilt and put there.

    Args:
        packed: The model, its directory read.

    Returns:
        The file, byte for byte.

    Raises:
        BundleCorruptError: The packed model is damaged.
    """
    folder = _folder()
    if folder is None:
        return packed.to_bytes()
    path = folder / f"{packed.sha256}.tflite"
    return _read(path, packed) or _rebuild(path, packed)


def _folder() -> Path | None:
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():  # another is to be ignored, as the XDG Base Directory Specification says
        return Path(base) / "edge-sdk"
    try:
        return Path.home() / ".cache" / "edge-sdk"
    except RuntimeError:
        return None


def _read(path: Path, packed: PackedModel) -> bytes | None:
    """The cached file, or None where it is missing, unreadable, or not what its name says."""
    try:
        if path.stat().st_size != packed.size_bytes:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == packed.sha256 else None


def _rebuild(path: Path, packed: PackedModel) -> bytes:
    """Rebuild into the cache, a tensor at a time; in memory where that cannot be written to or does not hold."""
    try:
        with written_atomically(path) as file:
            packed.write_to(file.write)
    except OSError:
        return packed.to_bytes()
    return _read(path, packed) or packed.to_bytes()
