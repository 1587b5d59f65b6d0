"""An OpenSSH server of its own on 127.0.0.1: its keys, its port, its known hosts; nothing of this machine's is touched.

The server is the installed one, or the one that EDGE_SDK_SSHD names, or the distribution's package, fetched and unpacked without
installing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_sdk_runtime.files import write_atomically

from ..errors import DeviceConnectionError, DeviceError
from .apt import Apt, missing_tools, unpack

__all__ = ["OpenSshServer", "find_server", "make_key", "running_server"]

_PACKAGES = ("openssh-server", "libwrap0")
_STARTS_S = 20.0


@dataclass(frozen=True)
class OpenSshServer:
    """A server that runs.

    Attributes:
        folder: Its keys `host` and `user`, and `known_hosts` for its clients.
        port: Where it listens on 127.0.0.1.
        user: The account that the key `user` opens.
    """

    folder: Path
    port: int
    user: str

    def target(self, **changes: object) -> dict[str, object]:
        """What the file of an emulated board says of it, in the same folder."""
        own = {"host": "127.0.0.1", "port": self.port, "user": self.user, "emulated": True}
        return {**own, "identity": "user", "known_hosts": "known_hosts", **changes}


def find_server(cache: Path) -> Path | None:
    """The server's program.

    Args:
        cache: Where a fetched one is kept.

    Returns:
        Its path; None where there is none and none can be fetched.
    """
    named = os.environ.get("EDGE_SDK_SSHD") or shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    fetched = cache.absolute() / "root" / "usr" / "sbin" / "sshd"
    if named or fetched.exists():
        return Path(named or fetched)
    if missing_tools("apt-get", "dpkg-deb"):
        return None
    try:
        for package in _fetched(cache):
            unpack(package, cache / "root")
    except DeviceError:
        return None
    return fetched if fetched.exists() else None


def _fetched(cache: Path) -> tuple[Path, ...]:
    """The packages: by this machine's lists where it has some, else by lists of our own."""
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["apt-get", "download", "-qq", *_PACKAGES], cwd=cache, capture_output=True, check=False)
    if done.returncode == 0:
        return tuple(sorted(cache.glob("*.deb")))
    apt = Apt(cache.absolute() / "apt")
    apt.update()
    return apt.download(_PACKAGES, cache)


@contextmanager
def running_server(sshd: Path, folder: Path, settings: Mapping[str, object] | None = None) -> Iterator[OpenSshServer]:
    """A server that accepts the key `user` for whoever runs this, until the block ends.

    Args:
        sshd: Its program.
        folder: Keys, configuration and log; keys that are there stay.
        settings: Further ones, as sshd_config(5) takes them.

    Yields:
        The server, which answers already.

    Raises:
        DeviceConnectionError: It does not start; says why.
    """
    for name in ("host", "user"):
        make_key(folder / name)
    port = _free_port()
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    write_atomically(folder / "known_hosts", f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}".encode())
    _configure(folder, {"Port": port, **(settings or {})})
    command = [*_namespace(folder), str(sshd), "-D", "-e", "-f", str(folder / "sshd_config")]
    libraries = os.pathsep.join(map(str, sshd.parents[1].glob("lib/*-linux-gnu*")))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": libraries})
    try:
        if not _answers(port, server):
            raise DeviceConnectionError(
                f"The OpenSSH server must start. Received: {(folder / 'log').read_text().strip() or 'no word of it'}. "
                "Install openssh-server, or name another sshd in EDGE_SDK_SSHD."
            )
        yield OpenSshServer(folder, port, pwd.getpwuid(os.getuid()).pw_name)
    finally:
        server.terminate()
        server.wait()


def make_key(path: Path) -> None:
    """Make a pair of keys without a passphrase, `path` and `path.pub`; one that is there stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configure(folder: Path, settings: Mapping[str, object]) -> None:
    own: dict[str, object] = {"ListenAddress": "127.0.0.1", "HostKey": folder / "host", "PidFile": "none"}
    own |= {"AuthorizedKeysFile": folder / "authorized_keys", "StrictModes": "no", "UsePAM": "no"}
    own |= {"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no", "PermitRootLogin": "yes", **settings}
    lines = (f"{name} {_written(value)}\n" for name, value in own.items())
    write_atomically(folder / "sshd_config", "".join(lines).encode())


def _written(value: object) -> str:
    """A path may hold spaces; the text of a command stays as it is."""
    return f'"{value}"' if isinstance(value, Path) else str(value)


def _namespace(folder: Path) -> list[str]:
    """For root: the account and the folder that the server insists on, in a mount namespace that nobody else sees."""
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        if os.getuid() == 0 and shutil.which("unshare"):
            accounts = Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
            write_atomically(folder / "passwd", accounts.encode())
            mounts = 'mount --bind "$0" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd'
            return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', str(folder / "passwd")]
    return []


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _STARTS_S
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
