"""An emulated board: an SSH server on this machine in front of it, described by a small file that whoever started it wrote.

```toml
emulated = true
host = "127.0.0.1"
port = 2222
user = "pi"
identity = "id_ed25519"          # the private key; paths are relative to this file
known_hosts = "known_hosts"
```

JSON does as well. Nothing of a person's own SSH configuration is read, and nothing is added to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, ProfileError
from ..systems import read_toml
from ..tables import from_table
from .ssh import SshTransport

__all__ = ["EmulatedTarget", "emulated_transport"]


@dataclass(frozen=True)
class EmulatedTarget:
    """Where an emulated board answers.

    Attributes:
        host: Name or number of the machine.
        port: Of its SSH server.
        user: The account.
        identity: File of the private key.
        known_hosts: File with the server's host key.
        emulated: Must be true: that its times mean nothing is told with every figure.
    """

    host: str
    port: int
    user: str
    identity: str
    known_hosts: str
    emulated: bool

    def __post_init__(self) -> None:
        if not self.emulated:
            raise ProfileError("emulated must be true. Received: false. Name a real board by its SSH address instead.")
        if not 0 < self.port < 65536:
            raise ProfileError(f"port must be 1 to 65535. Received: {self.port}. Mend the file.")

    @classmethod
    def read(cls, path: Path) -> EmulatedTarget:
        """Read the file of a target, TOML or JSON.

        Raises:
            DeviceError: It cannot be read, or says something impossible.
        """
        try:
            text = path.read_text(encoding="utf-8")
            table = json.loads(text) if path.suffix == ".json" else read_toml(text, path.name)
            target = from_table(cls, table, path.name)
        except (OSError, ValueError) as error:  # also what reads TOML and fields
            raise DeviceError(
                f"emulated:PATH must name the file of a target. Received: {path} ({error}). Start the emulated board again."
            ) from error
        return target


def emulated_transport(path: Path) -> SshTransport:
    """The way to an emulated board.

    Args:
        path: The file of its target.

    Raises:
        DeviceError: The file cannot be read, or says something impossible.
    """
    target, folder = EmulatedTarget.read(path), path.absolute().parent
    settings = (
        f"IdentityFile={_quoted(folder / target.identity)}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f"UserKnownHostsFile={_quoted(folder / target.known_hosts)}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
    )
    address = f"ssh://{target.user}@{target.host}:{target.port}"
    return SshTransport(address, settings, Path("/dev/null"), emulated=True, name=f"emulated:{path}")


def _quoted(path: Path) -> str:
    """A path as ssh_config(5) has it where it may hold spaces; its tokens begin with %."""
    return '"' + str(path).replace("%", "%%") + '"'
