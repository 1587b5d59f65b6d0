from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_sdk_devices.errors import PhoneError
from edge_sdk_devices.phone import PhoneServer, Site, build_site, self_made, supplied
from edge_sdk_devices.phone import server as server_module
from edge_sdk_devices.phone.server import lan_address
from tests.devices.phone.helpers import APP, small_app
from tests.runtime.helpers import make_bundle


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    with small_app(tmp_path_factory.mktemp("app")):
        return build_site(make_bundle())


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[PhoneServer]:
    with PhoneServer(site) as running:
        yield running


def get(
    server: PhoneServer, path: str, method: str = "GET", context: ssl.SSLContext | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    address = urlsplit(server.url)
    connection = (
        http.client.HTTPSConnection("127.0.0.1", address.port, timeout=30, context=context)
        if context
        else http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
    )
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("assets/app-aBc_-123.js?v=2", "text/javascript; charset=utf-8"),
        ("litert/model.wasm", "application/wasm"),
        ("manifest.webmanifest", "application/manifest+json"),
        ("icon-192.png", "image/png"),
        ("model.edge", "application/octet-stream"),
    ],
)
def test_files_come_under_the_type_that_browsers_ask_for(server: PhoneServer, site: Site, name: str, kind: str) -> None:
    answer, content = get(server, f"/{name}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert content == site.files[name.split("?", maxsplit=1)[0] or "index.html"]


def test_every_answer_forbids_other_hosts_and_isolates_the_page(server: PhoneServer) -> None:
    for path in ("/", "/nothing"):
        headers = get(server, path)[0].headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; ")
        assert "'unsafe-" not in policy and "http" not in policy and "frame-ancestors 'none'" in policy
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "edge-sdk"


def test_files_come_compressed_where_asked_and_once(server: PhoneServer, site: Site) -> None:
    answer, content = get(server, "/", Accept_Encoding="br, gzip")
    assert answer.headers["Content-Encoding"] == "gzip" and gzip.decompress(content) == site.files["index.html"]
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["Vary"] == "Accept-Encoding"
    answer, content = get(server, "/index.html", If_None_Match=tag)
    assert (answer.status, content) == (304, b"")
    assert "immutable" in get(server, "/assets/app-aBc_-123.js")[0].headers["Cache-Control"]
    assert get(server, "/model.edge", Accept_Encoding="gzip")[0].headers["Content-Encoding"] is None


def test_only_the_site_is_served_and_only_to_who_calls_it_by_a_loopback_name(server: PhoneServer) -> None:
    for path in ("/../pyproject.toml", "/..%2fpyproject.toml", "/assets/", "/service-worker.js.gz"):
        assert get(server, path)[0].status == 404
    assert get(server, "/", Host="evil.example")[0].status == 403
    assert get(server, "/", Host="localhost:80")[0].status == 200
    answer, content = get(server, "/", method="HEAD")
    assert (answer.status, content) == (200, b"") and int(answer.headers["Content-Length"]) == len(
        APP["index.html"]
    ) - 1
    assert get(server, "/", method="POST")[0].status == 501


def test_https_with_a_certificate_for_the_address(site: Site, tmp_path: Path) -> None:
    certificate = self_made("127.0.0.1", tmp_path)
    trusting = ssl.create_default_context(cafile=tmp_path / "certificates" / "127.0.0.1.pem")
    with PhoneServer(site, certificate=certificate) as server:
        assert server.url.startswith("https://127.0.0.1:")
        answer, content = get(server, "/", context=trusting)
        assert answer.status == 200 and content == site.files["index.html"]
        # Who does not trust it, or says nothing at all, keeps nobody else waiting.
        with (
            socket.create_connection(("127.0.0.1", int(urlsplit(server.url).port or 0))),
            contextlib.suppress(ssl.SSLCertVerificationError),
        ):
            get(server, "/", context=ssl.create_default_context())
        assert get(server, "/model.edge", context=trusting)[1] == site.files["model.edge"]


def test_plain_http_on_the_https_port_is_sent_to_https(site: Site, tmp_path: Path) -> None:
    with PhoneServer(site, certificate=self_made("127.0.0.1", tmp_path)) as server:
        answer, _ = get(server, "/?a=1")
        assert (answer.status, answer.headers["Location"]) == (308, f"{server.url}?a=1")


def test_a_port_in_use_and_foreign_addresses_are_refused_in_one_line(server: PhoneServer, site: Site) -> None:
    port = int(urlsplit(server.url).port or 0)
    with pytest.raises(PhoneError, match=rf"127\.0\.0\.1:{port}, which is in use\. .*--port {port + 1}\."):
        PhoneServer(site, port=port)
    with pytest.raises(PhoneError, match=r"address of this machine\. Received: 203\.0\.113\.7:0"):
        PhoneServer(site, host="203.0.113.7")


def test_certificates_are_made_once_and_kept_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_sdk_devices.phone import certificate as module

    first = self_made("192.168.1.7", tmp_path)
    path = tmp_path / "certificates" / "192.168.1.7.pem"
    assert path.stat().st_mode & 0o777 == 0o600 and [each.name for each in path.parent.iterdir()] == [path.name]
    assert first.is_self_made and len(first.fingerprint.split(":")) == 32
    assert self_made("192.168.1.7", tmp_path).fingerprint == first.fingerprint
    assert self_made("raspberrypi.local", tmp_path).fingerprint != first.fingerprint
    monkeypatch.setattr(module, "_RENEW", module._VALID)  # as if it were about to expire
    assert self_made("192.168.1.7", tmp_path).fingerprint != first.fingerprint
    path.write_text("damaged")
    assert self_made("192.168.1.7", tmp_path).fingerprint


def test_a_certificate_from_elsewhere_must_fit_its_key(tmp_path: Path) -> None:
    self_made("10.0.0.1", tmp_path)
    made = self_made("10.0.0.2", tmp_path)
    one, other = (tmp_path / "certificates" / f"10.0.0.{i}.pem" for i in (1, 2))
    given = supplied(other, other)
    assert (given.fingerprint, given.is_self_made) == (made.fingerprint, False)
    for certificate, key in ((one, other), (one, tmp_path / "none.pem"), (tmp_path, one)):
        with pytest.raises(PhoneError, match=r"one that belongs to it"):
            supplied(certificate, key)
    with pytest.raises(PhoneError, match="EDGE_SDK_CACHE"):
        self_made("10.0.0.1", None)
    with pytest.raises(PhoneError, match="can be written to"):
        self_made("10.0.0.1", one)


def test_the_address_in_the_network_is_one_that_phones_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    class Probe:
        def __init__(self, address: str) -> None:
            self.address = address

        def __enter__(self) -> Probe:
            return self

        def __exit__(self, *_: object) -> None: ...

        def connect(self, to: tuple[str, int]) -> None:
            if not self.address:
                raise OSError(101, "Network is unreachable")

        def getsockname(self) -> tuple[str, int]:
            return (self.address, 9)

    def network(address: str) -> None:
        monkeypatch.setattr(server_module.socket, "socket", lambda *_: Probe(address))

    network("192.168.1.7")
    assert lan_address() == "192.168.1.7"
    for nowhere in ("", "127.0.1.1"):
        network(nowhere)
        with pytest.raises(PhoneError, match=r"Received: none\. .*--address"):
            lan_address()
