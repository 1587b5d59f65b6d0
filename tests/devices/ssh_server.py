"""The OpenSSH server of emulated boards, with keys that it does not know as well, and a way to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_sdk_devices.emulation import OpenSshServer, find_server, running_server
from edge_sdk_devices.emulation.openssh import make_key
from edge_sdk_devices.errors import DeviceError
from edge_sdk_devices.transports import SshTransport

__all__ = ["Server", "find_server", "running"]


class Server(OpenSshServer):
    def connect(self, identity: str = "user", known_hosts: str = "known_hosts") -> SshTransport:
        settings = (
            f"IdentityFile={self.folder / identity}",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            f"UserKnownHostsFile={self.folder / known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
        )
        return SshTransport(f"ssh://{self.user}@127.0.0.1:{self.port}", settings, Path("/dev/null"))


@contextmanager
def running(sshd: Path, folder: Path) -> Iterator[Server | str]:
    """A server that accepts the key `user` for whoever runs the tests; the reason in words where it does not start."""
    make_key(folder / "stranger")
    with ExitStack() as stack:
        try:
            own = stack.enter_context(running_server(sshd, folder))
        except DeviceError as error:
            yield str(error)
            return
        stranger = (folder / "stranger.pub").read_text()
        (folder / "known_stranger").write_text(f"[127.0.0.1]:{own.port} {stranger}")
        (folder / "known_nobody").touch()
        yield Server(own.folder, own.port, own.user)
