"""A device behind SSH, through the system's own OpenSSH client.

The person's configuration, agent, jump hosts and known hosts all hold, as they do for `ssh ADDRESS` typed by hand. Nothing here
handles a password: `BatchMode` makes the client fail where it would ask. All commands share one connection (`ControlMaster`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import DeviceError, DeviceTimeoutError
from .base import DEFAULT_TIMEOUT_S, Result, ShellTransport
from .local import run_process
from .ssh_errors import ssh_error

__all__ = ["SshTransport"]

_LOST = 255
"""The client's own exit status for everything but the command's (ssh(1), EXIT STATUS)."""
_BEGINS = b"\nedge-sdk begins\n"
_SETTINGS = (
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",  # three without an answer: a connection that is gone is noticed within 15 s
    "ServerAliveCountMax=3",
    "ControlMaster=auto",
    "ControlPersist=30",  # of a program that was killed, the connection stays no longer than that
    "LogLevel=ERROR",
    "RequestTTY=no",
)


class SshTransport(ShellTransport):
    """Commands run by the shell at the other end of one shared connection, opened by the first of them.

    Args:
        address: `host`, `user@host`, an alias of ~/.ssh/config, or `ssh://user@host:port`.
        settings: Further ones as `ssh -o` takes them; they win over the person's configuration.
        configuration: A file in the place of the person's configuration; their own where None.
        emulated: Whether an emulation answers there.
        name: What to call the device; its address where None.

    Raises:
        DeviceError: There is no OpenSSH client on this machine, or the address is none.
    """

    def __init__(
        self,
        address: str,
        settings: Sequence[str] = (),
        configuration: Path | None = None,
        emulated: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name or address, emulated)
        _check_address(address)
        client = shutil.which("ssh")
        if client is None:
            raise DeviceError(
                "Devices are reached through OpenSSH. Received: no ssh on this machine. Run: sudo apt install openssh-client"
            )
        # The path of a socket may have about 100 characters; a long TMPDIR would be too much.
        short = tempfile.gettempdir() if len(tempfile.gettempdir()) < 50 else "/tmp"
        self._folder = Path(tempfile.mkdtemp(prefix="edge-sdk-ssh-", dir=short))
        options = [f"-o{setting}" for setting in (*settings, *_SETTINGS, f"ControlPath={self._folder}/socket")]
        self._client = [client, *(["-F", str(configuration)] if configuration else []), *options]
        self._destination = address

    def run(self, command: str, data: bytes = b"", timeout: float = DEFAULT_TIMEOUT_S) -> Result:
        """As `Transport.run`."""
        # What the account's own start-up files print comes before the mark, and is not the command's.
        script = f"printf '\\nedge-sdk begins\\n'; export LC_ALL=C; cd; {command}"
        done = self._call([self._destination, f"exec sh -c {shlex.quote(script)}"], data, timeout)
        if done is None:
            raise DeviceTimeoutError(
                f"A command must end within {timeout:g} s. Received: one on {self.address} that did not. "
                "Look at what the device is busy with, and try again."
            )
        before, mark, output = done.output.partition(_BEGINS)
        if done.status == _LOST:
            raise ssh_error(done.errors, self.address)
        if not mark:
            said = (done.errors or before.decode(errors="replace")).strip().splitlines()
            raise DeviceError(
                f"A device must have a POSIX shell. Received: {said[0] if said else 'nothing'} from {self.address}. "
                "Give the account there an ordinary shell."
            )
        return Result(done.status, output, done.errors)

    def close(self) -> None:
        """End the shared connection."""
        if (self._folder / "socket").exists():
            self._call(["-O", "exit", self._destination], b"", 10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, arguments: Sequence[str], data: bytes, timeout: float) -> Result | None:
        environment = {**os.environ, "LC_ALL": "C"}  # its messages are told apart by their words
        return run_process([*self._client, *arguments], data, timeout, environment)


def _check_address(address: str) -> None:
    host = address.removeprefix("ssh://").rpartition("@")[2]
    odd = not host or address.startswith("-") or host.startswith("-") or any(c.isspace() for c in address)
    port = not address.startswith("ssh://") and host.count(":") == 1
    if odd or port:
        fix = f"Write ssh://{address}." if port and not odd else "Write it as you would after ssh."
        raise DeviceError(f"An address must be host, user@host or ssh://user@host:port. Received: {address!r}. {fix}")
