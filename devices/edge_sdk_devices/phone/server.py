"""A web server for one site: files that browsers may keep, nothing from anywhere else, over https where asked to.

On the loopback interface it answers who calls it by a loopback name, so that no other web page can reach it by a name of its
own.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import re
import socket
import socketserver
import threading
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import PhoneError
from .certificate import Certificate
from .site import TYPES, Site, gzipped

__all__ = ["PhoneServer", "lan_address"]

_MOST_CONNECTIONS = 32
_TIMEOUT_S = 15
_TLS_HANDSHAKE = b"\x16"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HASHED = re.compile(r"^assets/.+-[\w-]{8}\.\w+$")
_HEADERS = {
    # As in the page itself, which other servers serve without these headers; only here can it be said who may frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # Isolated pages may read the clock in steps of 5 µs instead of 100.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class PhoneServer:
    """A running server; a context manager.

    Args:
        site: What is served.
        host: The address of this machine to listen on.
        port: Where it listens; 0 takes a free one.
        certificate: For https; plain http where None.

    Attributes:
        url: What to type into a browser.

    Raises:
        PhoneError: The port is in use, may not be used, or the address is not this machine's.
    """

    def __init__(
        self, site: Site, host: str = "127.0.0.1", port: int = 0, certificate: Certificate | None = None
    ) -> None:
        try:
            self._server = _Server(site, host, port, certificate)
        except (OSError, OverflowError) as error:
            raise PhoneError(_refusal(host, port, error)) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{shown}:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="phone", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> PhoneServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lan_address() -> str:
    """This machine's address in its network, as a phone there has to write it.

    Raises:
        PhoneError: It has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation; for UDP nothing is sent
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if ipaddress.ip_address(address).is_loopback:
        raise PhoneError(
            "A phone needs this machine's address in a network that both are in. Received: none. "
            "Connect to that network, or give the address with --address."
        )
    return address


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, site: Site, host: str, port: int, certificate: Certificate | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.site, self.certificate = site, certificate
        self.is_loopback = host in _LOOPBACK_NAMES
        self.packed = lru_cache(maxsize=None)(lambda name: gzipped(name, site.files[name]))
        self.tags = {name: f'"{hashlib.sha256(content).hexdigest()[:32]}"' for name, content in site.files.items()}
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, which can take seconds where there is none."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve, in the request's own thread: a phone that is slow to shake hands keeps nobody waiting."""
        if self.certificate is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_TIMEOUT_S)
        if request.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            _Redirect(request, client_address, self)
            return
        with self.certificate.context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that left, or does not trust the certificate yet, is no error of anybody's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with a file of the site."""
        if self.server.is_loopback and urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _LOOPBACK_NAMES:
            self._send(HTTPStatus.FORBIDDEN, b"Call this server localhost.\n")
            return
        name = unquote(urlsplit(self.path).path)[1:] or "index.html"
        if name not in self.server.site.files:
            self._send(HTTPStatus.NOT_FOUND, b"There is no such file.\n")
        elif self.server.tags[name] in self.headers.get("If-None-Match", ""):
            self._send(HTTPStatus.NOT_MODIFIED, b"", self._about(name))
        else:
            self._send_file(name)

    def do_HEAD(self) -> None:
        """Answer with what is said about a file alone."""
        self.do_GET()

    def version_string(self) -> str:
        """No versions: nobody who calls needs to know them."""
        return "edge-sdk"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _send_file(self, name: str) -> None:
        headers = {**self._about(name), "Content-Type": TYPES[PurePosixPath(name).suffix]}
        content = self.server.site.files[name]
        packed = self.server.packed(name) if "gzip" in self.headers.get("Accept-Encoding", "") else None
        if packed is not None:
            headers["Content-Encoding"], content = "gzip", packed
        self._send(HTTPStatus.OK, content, headers)

    def _about(self, name: str) -> dict[str, str]:
        """A file whose name changes with its content can be kept for good; of others, ask whether they have changed."""
        keep = "public, max-age=31536000, immutable" if _HASHED.match(name) else "no-cache"
        return {"Cache-Control": keep, "ETag": self.server.tags[name], "Vary": "Accept-Encoding"}

    def _send(self, status: HTTPStatus, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        plain = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        for name, value in {**_HEADERS, **(plain if headers is None else headers)}.items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Redirect(BaseHTTPRequestHandler):
    """Sends who came over plain http to https: the same port serves both."""

    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        self.send_response(HTTPStatus.PERMANENT_REDIRECT)
        self.send_header("Location", f"https://{host}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def version_string(self) -> str:
        return "edge-sdk"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _refusal(host: str, port: int, error: OSError | OverflowError) -> str:
    shown = f"{host}:{port}"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"A page needs a port of its own. Received: {shown}, which is in use. Choose another one, such as --port {port % 65535 + 1}."
    if number in (errno.EACCES, errno.EPERM):
        return f"A page needs a port that it may use. Received: {shown}, which only root may. Choose 1024 or above, such as --port 8443."
    reason = (isinstance(error, OSError) and error.strerror) or error
    return f"A page must be served on an address of this machine. Received: {shown} ({reason}). Leave --address out."
