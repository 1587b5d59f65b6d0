"""Packages of Debian, fetched by any account: apt with lists, cache and status file of its own, this machine's left alone.

What apt is told on this machine (apt.conf(5): proxies, certificates) holds, and so do its signatures: nothing is taken that Debian
has not signed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from ..errors import DeviceConnectionError, DeviceError

__all__ = ["BOOKWORM", "Apt", "bookworm_source", "unpack"]

BOOKWORM = "http://deb.debian.org/debian"
"""Where Bookworm's packages are, unless this machine is told of another place."""
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Apt:
    """An apt of its own.

    Attributes:
        folder: Everything that it keeps; may be deleted at any time.
        architectures: What its packages may be for, such as `("arm64", "amd64")`; this machine's own where empty.
        source: The one place that it fetches from, as sources.list(5) has it; those of this machine where empty.
    """

    folder: Path
    architectures: tuple[str, ...] = ()
    source: str = ""

    def update(self) -> None:
        """Fetch the lists of packages.

        Raises:
            DeviceConnectionError: The source does not answer.
        """
        done = self._call("update", "-q")
        # A source that does not answer is a warning to apt, and no list of it is there afterwards.
        if done.returncode or not any((self.folder / "lists").glob("*_Packages*")):
            raise DeviceConnectionError(
                f"Debian's lists of packages must be fetchable. Received: {_reason(done)}. "
                "Check this machine's network and what /etc/apt says, then try again."
            )

    def download(self, packages: Sequence[str], folder: Path) -> tuple[Path, ...]:
        """Fetch packages; what they depend on is not added.

        Args:
            packages: Their names, with `:ARCHITECTURE` where it is not the first one.
            folder: Where the .deb files go.

        Returns:
            Every .deb file of the folder.

        Raises:
            DeviceConnectionError: One of them is not there, or the source does not answer.
        """
        folder.mkdir(parents=True, exist_ok=True)
        done = self._call("download", "-q", *packages, where=folder)
        if done.returncode:
            raise DeviceConnectionError(
                f"Debian's packages must be fetchable. Received: {_reason(done)}. "
                "Check this machine's network and what /etc/apt says, then try again."
            )
        return tuple(sorted(folder.glob("*.deb")))

    def _call(self, *words: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "apt.conf", self._configuration().encode())
        command = ["apt-get", "-o", "Acquire::Retries=2", *words]
        environment = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=where, env=environment)

    def _configuration(self) -> str:
        lines = {
            "Dir::State": self.folder,
            "Dir::State::Lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
        }
        settings = [f'{name} "{path}";' for name, path in lines.items()]
        settings += ['Acquire::Languages "none";', 'Debug::NoLocking "true";', 'APT::Sandbox::User "";']
        if self.architectures:
            write_atomically(self.folder / "status", b"")
            own = " ".join(f'"{name}";' for name in self.architectures)
            settings += [
                f'Dir::State::status "{self.folder / "status"}";',
                f'APT::Architecture "{self.architectures[0]}";',
            ]
            settings += [f"APT::Architectures {{ {own} }};"]
        if self.source:
            write_atomically(self.folder / "sources.list", f"{self.source}\n".encode())
            settings += [
                f'Dir::Etc::SourceList "{self.folder / "sources.list"}";',
                'Dir::Etc::SourceParts "/dev/null";',
            ]
        return "\n".join([*settings, ""])


def bookworm_source() -> str:
    """Debian 12 from the mirror that this machine's apt uses for it, else from Debian's own, as a line of sources.list(5).

    Raises:
        DeviceError: Debian's keys are not on this machine.
    """
    if not _KEYS.is_file():
        raise DeviceError(
            f"Debian's packages must be checked with Debian's keys. Received: no {_KEYS}. "
            "Run: sudo apt install debian-archive-keyring"
        )
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    targets = (line.split() for line in said.splitlines())
    # Others than Debian call their releases bookworm too.
    own = (
        words[0] for words in targets if words[1:] == ["bookworm", "main"] and words[0].rstrip("/").endswith("/debian")
    )
    return f"deb [signed-by={_KEYS}] {next(own, BOOKWORM)} bookworm main"


def unpack(package: Path, folder: Path) -> None:
    """Unpack a .deb file without installing it.

    Raises:
        DeviceError: It is damaged, or the disk is full.
    """
    done = subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeviceError(
            f"A package must be unpackable. Received: {package.name} ({_reason(done)}). Free some space, then try again."
        )


def missing_tools(*names: str) -> tuple[str, ...]:
    """Those programs of some that this machine has not."""
    return tuple(name for name in names if not shutil.which(name))


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr.strip() or done.stdout.strip()).splitlines()]
    errors = [line for line in lines if line.startswith(("E:", "Err:"))]
    return (errors or lines or [f"exit status {done.returncode}"])[0]
