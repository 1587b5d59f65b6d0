"""A bundle and the app that runs it, as the files of one static web site."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_sdk_runtime import Bundle

from ..errors import PhoneError

__all__ = ["BUNDLE", "TYPES", "Site", "build_site", "gzipped", "write_site"]

BUNDLE = "model.edge"
"""What the bundle is called on the site."""

TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".edge": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""Media type of every file that a site holds, by suffix; browsers refuse scripts and WebAssembly under another one."""

_APP = Path(__file__).with_name("app")
_PACKED_ALREADY = (".png", ".edge")
_SERVICE_WORKER = "service-worker.js"
_TITLE = "<title>Edge SDK</title>"
_PART = ".edge-sdk-phone-"


@dataclass(frozen=True)
class Site:
    """All files of the page.

    Attributes:
        name: What the bundle is called.
        files: Content by name, folders with a slash; `index.html` is where a visit begins.
    """

    name: str
    files: Mapping[str, bytes]

    @cached_property
    def page_bytes(self) -> int:
        """What a first visit loads without the bundle, compressed, in bytes."""
        return sum(len(gzipped(name, content) or content) for name, content in self.files.items() if name != BUNDLE)


def build_site(bundle: Bundle) -> Site:
    """Put a bundle and the app together.

    The bundle on the site holds its models plainly: what is stored coded is rebuilt here, since a browser has no codec.

    Args:
        bundle: An opened bundle.

    Raises:
        PhoneError: This installation holds no built app.
        BundleCorruptError: A coded model cannot be rebuilt.
    """
    files = _app_files()
    files[BUNDLE] = _plain(bundle).to_bytes()
    files["index.html"] = _titled(files["index.html"], bundle.manifest.name)
    files["manifest.webmanifest"] = _named(files["manifest.webmanifest"], bundle.manifest.name)
    files[_SERVICE_WORKER] = _listing(files) + files[_SERVICE_WORKER]
    return Site(bundle.manifest.name, files)


def write_site(site: Site, folder: str | os.PathLike[str]) -> int:
    """Write a site into a folder, with a `.gz` beside every file that gets smaller by it, and return its size in bytes.

    The folder appears, or is replaced, as a whole; whatever interrupts the writing leaves the previous one.

    Args:
        site: What is written.
        folder: A new or empty folder, or one that holds an earlier site.

    Raises:
        PhoneError: The folder holds something else.
        OSError: The disk is full or the folder cannot be written to.
    """
    target = Path(folder).absolute()
    _check_folder(target)
    with _replaced(target) as part:
        return sum(_write(part / name, content) for name, content in site.files.items())


def gzipped(name: str, content: bytes) -> bytes | None:
    """The content compressed, the same bytes every time; None where that would not make it smaller.

    Args:
        name: The file's name; its suffix tells whether it is compressed already.
        content: The file.
    """
    if name.endswith(_PACKED_ALREADY):
        return None
    packed = gzip.compress(content, 9, mtime=0)
    return packed if len(packed) < len(content) else None


def _app_files() -> dict[str, bytes]:
    files = {
        path.relative_to(_APP).as_posix(): path.read_bytes()
        for path in sorted(_APP.rglob("*"))
        if path.is_file() and path.suffix in TYPES
    }
    if not {"index.html", "manifest.webmanifest", _SERVICE_WORKER} <= set(files):
        raise PhoneError(
            "The phone's page must have been built once. Received: an installation without it. "
            "In a checkout, install Node.js 20.19 or newer and run: make phone"
        )
    return files


def _plain(bundle: Bundle) -> Bundle:
    if not any(entry.rebuilt for entry in bundle.manifest.files.values()):
        return bundle
    return Bundle.build(bundle.manifest, {name: bundle.read(name) for name in bundle.manifest.files})


def _titled(page: bytes, name: str) -> bytes:
    """The page under the bundle's name, which is also what a home screen shows."""
    return page.decode().replace(_TITLE, f"<title>{html.escape(name)}</title>").encode()


def _named(manifest: bytes, name: str) -> bytes:
    document = {**json.loads(manifest), "name": name, "short_name": name}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _listing(files: Mapping[str, bytes]) -> bytes:
    """What the service worker keeps, and a version that changes with any of it: browsers look for a changed script."""
    kept = sorted(name for name in files if name != _SERVICE_WORKER)
    digest = hashlib.sha256()
    for name in kept:
        digest.update(f"{name}\n{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    digest.update(files[_SERVICE_WORKER])
    # The folder itself stands for index.html: it is what addresses and home screens name.
    site = {"version": digest.hexdigest()[:16], "files": ["./", *(name for name in kept if name != "index.html")]}
    return f"self.site={json.dumps(site)};\n".encode()


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise PhoneError(f"A site must be a folder. Received: {folder}, a file. Choose another name.")
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not ((folder / BUNDLE).is_file() and (folder / _SERVICE_WORKER).is_file())
    ):
        raise PhoneError(
            f"A site needs a new or empty folder, or that of an earlier site. Received: {folder}, which holds other files. "
            "Choose another folder."
        )


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A folder beside the one named, which takes its place when all is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_PART}", dir=folder.parent))
    try:
        part = beside / "new"
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(beside / "old")
        try:
            part.rename(folder)
        except BaseException:
            if (beside / "old").exists():
                (beside / "old").rename(folder)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, content: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    packed = gzipped(path.name, content)
    if packed is not None:
        path.with_name(f"{path.name}.gz").write_bytes(packed)
    return len(content)
