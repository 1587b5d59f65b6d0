"""The runtime as a wheel, from what is installed here: a checkout or a released one."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import edge_sdk_runtime

__all__ = ["RuntimeWheel", "runtime_wheel"]

_DISTRIBUTION = "edge-sdk-runtime"
_KEPT = ("METADATA", "WHEEL", "entry_points.txt", "LICENSE")
_WHEN = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class RuntimeWheel:
    """A wheel of the runtime.

    Attributes:
        name: Its file name.
        version: The runtime's.
        content: The file.
    """

    name: str
    version: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of its content; the same runtime gives the same."""
        return hashlib.sha256(self.content).hexdigest()


def runtime_wheel() -> RuntimeWheel:
    """The runtime that this Python imports, as a wheel; the device gets exactly what was tried here.

    Follows the binary distribution format (packaging.python.org/specifications/binary-distribution-format): every file with its
    SHA-256 in RECORD, which comes last.
    """
    distribution = metadata.distribution(_DISTRIBUTION)
    folder = Path(edge_sdk_runtime.__file__).parent
    about = f"edge_sdk_runtime-{distribution.version}.dist-info"
    files = {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _sources(folder)}
    for entry in distribution.files or ():
        if entry.parent.name.endswith(".dist-info") and entry.name in _KEPT:
            files[f"{about}/{entry.name}"] = Path(str(entry.locate())).read_bytes()
    files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD")
    return RuntimeWheel(
        f"edge_sdk_runtime-{distribution.version}-py3-none-any.whl", distribution.version, _archive(files)
    )


def _sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _record(files: dict[str, bytes], own: str) -> bytes:
    def line(name: str, content: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        return f"{name},sha256={digest},{len(content)}"

    return "\n".join([*(line(*each) for each in files.items()), f"{own},,", ""]).encode()


def _archive(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()
