"""An OpenSSH server of this test run's own, on 127.0.0.1: its keys, its port, its known hosts; nothing of this machine's is touched.

The server is the installed one, or the one that EDGE_SDK_SSHD names, or Debian's package, fetched and unpacked without installing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_sdk_devices.transports import SshTransport

_PACKAGES = ("openssh-server", "libwrap0")


@dataclass(frozen=True)
class Server:
    folder: Path
    port: int
    user: str

    def target(self, **changes: object) -> dict[str, object]:
        """What the file of an emulated board would say."""
        own = {"host": "127.0.0.1", "port": self.port, "user": self.user, "emulated": True}
        return {**own, "identity": "user", "known_hosts": "known_hosts", **changes}

    def connect(self, identity: str = "user", known_hosts: str = "known_hosts") -> SshTransport:
        settings = (
            f"IdentityFile={self.folder / identity}",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            f"UserKnownHostsFile={self.folder / known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
        )
        return SshTransport(f"ssh://{self.user}@127.0.0.1:{self.port}", settings, Path("/dev/null"))


def find_server(cache: Path) -> Path | None:
    """The server's program; None where there is none and none can be fetched."""
    named = os.environ.get("EDGE_SDK_SSHD") or shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    fetched = cache / "root" / "usr" / "sbin" / "sshd"
    if named or fetched.exists():
        return Path(named or fetched)
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    subprocess.run(["apt-get", "download", "-qq", *_PACKAGES], cwd=cache, capture_output=True, check=False)
    for package in cache.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(cache / "root")], check=True)
    return fetched if fetched.exists() else None


@contextmanager
def running(sshd: Path, folder: Path) -> Iterator[Server | str]:
    """A server that accepts the key `user` for whoever runs the tests; the reason in words where it does not start."""
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    (folder / "known_stranger").write_text(f"[127.0.0.1]:{port} {(folder / 'stranger.pub').read_text()}")
    (folder / "known_nobody").touch()
    settings = {"Port": port, "ListenAddress": "127.0.0.1", "HostKey": folder / "host", "PidFile": "none"}
    settings |= {"AuthorizedKeysFile": folder / "authorized_keys", "StrictModes": "no", "UsePAM": "no"}
    settings |= {"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no", "PermitRootLogin": "yes"}
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command = [*_namespace(folder), str(sshd), "-D", "-e", "-f", str(folder / "sshd_config")]
    libraries = os.pathsep.join(map(str, sshd.parents[1].glob("lib/*-linux-gnu*")))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": libraries})
    try:
        up = _answers(port, server)
        yield Server(folder, port, pwd.getpwuid(os.getuid()).pw_name) if up else (folder / "log").read_text().strip()
    finally:
        server.terminate()
        server.wait()


def _namespace(folder: Path) -> list[str]:
    """For root: the account and the folder that the server insists on, in a mount namespace that nobody else sees."""
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        if os.getuid() == 0 and shutil.which("unshare"):
            accounts = Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
            (folder / "passwd").write_text(accounts)
            mounts = f"mount --bind {folder / 'passwd'} /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd"
            return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    return []


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
