"""The preview's web server: one page, one picture at a time, one document; nothing from anywhere else.

On the loopback interface it answers who calls it by a loopback name, so that no web page can reach it by a name of its own.
On any other it answers who has the token in the address. Both are refused alike, whatever they ask for.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import re
import secrets
import socketserver
import threading
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..errors import PreviewError
from .picture import PictureMaker
from .state import PreviewState
from .where import PreviewAddress

__all__ = ["Preview"]

_PAGE = Path(__file__).with_name("page.html")
_MOST_CONNECTIONS = 16
_CONNECTION_TIMEOUT_S = 15
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


class Preview:
    """A running preview; a context manager.

    Args:
        state: What it shows.
        address: Where it listens.

    Attributes:
        url: What to type into a browser, the token included.

    Raises:
        PreviewError: The port is in use, may not be used, or the address is not this machine's.
    """

    def __init__(self, state: PreviewState, address: PreviewAddress) -> None:
        token = "" if address.is_loopback else secrets.token_urlsafe(16)
        try:
            self._server = _Server(address, state, token)
        except OSError as error:
            raise PreviewError(_refusal(address, error)) from error
        self.url = address.url(self._server.server_address[1], f"/{token}/" if token else "/")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="preview", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; answers that are under way end with the process at the latest."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Preview:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    """Threads that die with the process, and not more of them than a small board can bear."""

    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, address: PreviewAddress, state: PreviewState, token: str) -> None:
        import socket

        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.state = state
        self.pictures = PictureMaker(state)
        self.token = token.encode()
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__((address.host, address.port), _Handler)

    @cached_property
    def page(self) -> tuple[bytes, str]:
        """The page, and the policy that allows its own style and script and nothing else."""
        text = _PAGE.read_text(encoding="utf-8")
        hashes = {
            kind: base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            for kind, inside in _INLINE.findall(text)
        }
        policy = (
            f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'sha256-{hashes['style']}'; "
            f"script-src 'sha256-{hashes['script']}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return text.encode(), policy

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, which can take seconds where there is none."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread of its own where one is free; else hang up."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, then free the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that left is no error of anybody's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _CONNECTION_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with what the rest of the address names, where it may be asked for at all."""
        asked = urlsplit(self.path)
        name = self._admitted(asked.path)
        if name is None:
            self._send(HTTPStatus.FORBIDDEN, b"The whole address is needed, as edge-run camera prints it.\n")
        elif name == "":
            page, policy = self.server.page
            self._send(HTTPStatus.OK, page, "text/html; charset=utf-8", {"Content-Security-Policy": policy})
        elif name == "state.json":
            document = json.dumps(self.server.state.document(), ensure_ascii=False, allow_nan=False)
            self._send(HTTPStatus.OK, document.encode(), "application/json")
        elif name == "frame.jpg":
            self._send_picture(asked.query)
        elif name == "metrics":
            from ..metrics import CONTENT_TYPE, as_prometheus

            self._send(HTTPStatus.OK, as_prometheus(self.server.state.clock).encode(), CONTENT_TYPE)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"There is no such page.\n")

    def version_string(self) -> str:
        """No versions: nobody who calls needs to know them."""
        return "edge-run"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal shows classifications."""

    def _admitted(self, path: str) -> str | None:
        """What is asked for, without the token; None where it may not be."""
        if not self.server.token:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            return path[1:] if host in _LOOPBACK_NAMES else None
        token, _, name = path[1:].partition("/")
        return name if hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token) else None

    def _send_picture(self, query: str) -> None:
        after = parse_qs(query).get("after", ["-1"])[0]
        picture = self.server.pictures.newer(int(after) if after.isascii() and after.isdigit() else -1)
        if picture is None:
            self._send(HTTPStatus.NO_CONTENT, b"")
        else:
            about = {"X-Sequence": str(picture.sequence), "X-Classification": picture.classification}
            self._send(HTTPStatus.OK, picture.jpeg, "image/jpeg", about)

    def _send(
        self,
        status: HTTPStatus,
        content: bytes,
        kind: str = "text/plain; charset=utf-8",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        always = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**always, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _refusal(address: PreviewAddress, error: OSError) -> str:
    shown = f"{address.host}:{address.port}"
    if error.errno == errno.EADDRINUSE:
        another = address.port % 65535 + 1
        return f"A preview needs a port of its own. Received: {shown}, which is in use. Choose another one, such as :{another}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"A preview needs a port that it may use. Received: {shown}, which only root may. Choose 1024 or above, such as :8080."
    reason = error.strerror or error
    return f"A preview must listen on an address of this machine. Received: {shown} ({reason}). Write :8080, or 0.0.0.0:8080."
