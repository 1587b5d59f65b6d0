"""Where a preview is served: `[HOST]:PORT`."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from ..errors import UsageError

__all__ = ["PreviewAddress"]


@dataclass(frozen=True)
class PreviewAddress:
    """A host and a port.

    Attributes:
        host: The address that is listened on; the loopback interface unless another one was given.
        port: 1 to 65535, or 0 for any free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> PreviewAddress:
        """Read `:8080`, `0.0.0.0:8080`, `[::]:8080` or `localhost:8080`.

        Raises:
            UsageError: It is something else.
        """
        host, colon, port = text.rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        bare_ipv6 = ":" in host and not text.startswith("[")
        if not colon or bare_ipv6 or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
            raise UsageError(
                f"A preview must be [HOST]:PORT with a port of 0 to 65535. Received: {text!r}. "
                "Write :8080, or 0.0.0.0:8080 for other devices."
            )
        return cls(host or "127.0.0.1", int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def url(self, port: int, path: str) -> str:
        """What to type into a browser.

        Args:
            port: The port that is really listened on.
            path: What follows it, `/` first.
        """
        host = _reachable(self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _reachable(host: str) -> str:
    """A name for what is listened on; for all interfaces, this machine's address on the network that it reaches others by."""
    if host not in ("0.0.0.0", "::"):
        return host
    family, other = (socket.AF_INET, "192.0.2.1") if host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))  # sends nothing: it only chooses the interface
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
