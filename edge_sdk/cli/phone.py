"""`edge-sdk phone`: a bundle as a page that a phone runs with its own camera."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import command, say
from .options import Json

if TYPE_CHECKING:
    from edge_sdk_devices.phone import Certificate, PhoneServer, Site

__all__ = ["app"]

app = typer.Typer(help="Run a bundle in a phone's browser, with the phone's own camera.", no_args_is_help=True)

Bundle = Annotated[Path, typer.Argument(help="An .edge file, in any form.", show_default=False)]


@app.command()
def build(
    bundle: Bundle,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write the page and the bundle as a folder that any https server can serve.

    Nothing on it asks another host for anything; once loaded it works without a network.
    """
    from edge_sdk_devices.phone import write_site

    site = _site(bundle)
    size = write_site(site, output)
    if as_json:
        document = {
            "site": str(output),
            "files": len(site.files),
            "bytes": size,
            "page_compressed_bytes": site.page_bytes,
        }
        say(json.dumps(document, ensure_ascii=False, indent=2))
        return
    from edge_sdk_runtime.cli.text import format_bytes

    say(
        f"{output}/ is written: {len(site.files)} files. A phone loads {format_bytes(site.page_bytes)} compressed, "
        f"and the bundle of {format_bytes(len(site.files['model.edge']))}.",
        "Put it on any https server; the address of its folder is the page. To try it from here:",
        f"  {command('edge-sdk')} phone serve {bundle} --tls",
    )


@app.command()
def serve(
    bundle: Bundle,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve phones in this network over https, with a certificate made here.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8080, with https 8443.", show_default=False)
    ] = None,
    address: Annotated[
        str, typer.Option(help="This machine's address that phones can reach (default: found).", show_default=False)
    ] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="With --tls: a certificate that the phone trusts, as PEM.", show_default=False)
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, as PEM.", show_default=False)] = None,
) -> None:
    """Serve the page until Ctrl-C: to this machine, or with --tls to phones in the same network."""
    from edge_sdk_devices.phone import PhoneServer
    from edge_sdk_devices.phone.server import lan_address

    if ((certificate or key or address) and not tls) or (certificate is None) != (key is None):
        raise typer.BadParameter("--address, --certificate and --key go with --tls, and the last two with each other.")
    site = _site(bundle)
    host = (address or lan_address()) if tls else "127.0.0.1"
    trusted = _certificate(host, certificate, key) if tls else None
    with PhoneServer(site, host, (8443 if tls else 8080) if port is None else port, trusted) as server:
        _tell(site, server, trusted)
        _wait()


def _site(bundle: Path) -> Site:
    from edge_sdk_devices.phone import build_site
    from edge_sdk_runtime import Bundle

    return build_site(Bundle.open(bundle))


def _certificate(host: str, certificate: Path | None, key: Path | None) -> Certificate:
    from edge_sdk_devices.phone import self_made, supplied
    from edge_sdk_runtime.cache import cache_status

    if certificate and key:
        return supplied(certificate, key)
    return self_made(host, cache_status().folder)


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("", "Stopped.")


def _tell(site: Site, server: PhoneServer, certificate: Certificate | None) -> None:
    say(f"{site.name} is served at {server.url}  (Ctrl-C ends it)")
    if certificate is None:
        say("Only this machine can open it. For a phone in the same network, add --tls.")
    else:
        _tell_phone(server.url, certificate)
    sys.stdout.flush()


def _tell_phone(url: str, certificate: Certificate) -> None:
    if sys.stdout.isatty():
        import segno

        segno.make(url, error="m", micro=False).terminal(compact=True)
    say("Everybody in this network can load it. On the phone, scan the code or type the address; then:")
    if certificate.is_self_made:
        say(
            "1. The phone warns that the connection is not private: nobody but this machine vouches for the certificate.",
            "   Android: Advanced → Proceed. iPhone: Show Details → visit this website. It asks once. Fingerprint (SHA-256):",
            f"   {certificate.fingerprint}",
            "2. It asks whether the page may use the camera: allow it. No picture leaves the phone.",
            "Kept for use without a network it can only be with a certificate that the phone trusts: give one with",
            "--certificate and --key, or put what `edge-sdk phone build` writes on any https server.",
        )
    else:
        say("the phone asks whether the page may use the camera: allow it. No picture leaves the phone.")
