"""Certificates for serving over https: one made here for this machine's address, or one from elsewhere.

A browser gives the camera only to secure pages, and no authority signs for an address such as 192.168.1.7; so the certificate
signs itself, and the phone asks once whether to trust it.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PhoneError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Certificate", "self_made", "supplied"]

_VALID = datetime.timedelta(days=365)
"""Phones take no server certificate that is valid for longer than 398 days."""

_RENEW = datetime.timedelta(days=14)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its private key, ready to serve with.

    Attributes:
        context: What wraps connections.
        fingerprint: SHA-256 of the certificate, as browsers show it: pairs of hexadecimal digits and colons.
        is_self_made: Whether it signs itself, so that browsers ask.
    """

    context: ssl.SSLContext
    fingerprint: str
    is_self_made: bool


def self_made(address: str, folder: str | os.PathLike[str] | None) -> Certificate:
    """A certificate for an address, made once and used again until shortly before it expires, so that a phone asks once.

    Args:
        address: The IP address, or the host name, that the phone will ask for.
        folder: The cache folder, in which it is kept with its key, readable by nobody else; None where there is none.

    Raises:
        PhoneError: There is no folder, or it cannot be written to.
    """
    if folder is None:
        raise PhoneError(
            "A certificate must be kept in a folder. Received: no home folder. Set EDGE_SDK_CACHE to a folder."
        )
    path = Path(folder) / "certificates" / f"{address.replace(':', '-')}.pem"
    try:
        if not _is_current(path):
            _write_secret(path, _made(address))
    except OSError as error:
        raise PhoneError(
            f"A certificate must be kept in a folder that can be written to. Received: {path.parent} ({error.strerror}). "
            "Set EDGE_SDK_CACHE to another folder."
        ) from error
    return Certificate(_context(path, path), _fingerprint(path), is_self_made=True)


def supplied(certificate: str | os.PathLike[str], key: str | os.PathLike[str]) -> Certificate:
    """A certificate from elsewhere, such as one that the phone trusts already.

    Args:
        certificate: A PEM file: the certificate, then those that it is signed by.
        key: A PEM file with its private key, not encrypted.

    Raises:
        PhoneError: They cannot be read, or do not belong together.
    """
    return Certificate(_context(Path(certificate), Path(key)), _fingerprint(Path(certificate)), is_self_made=False)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password makes an encrypted key an error, not a question in the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise PhoneError(
            "A certificate must be a PEM file, and its key one that belongs to it and is not encrypted. "
            f"Received: {certificate} and {key} ({error}). Check both."
        ) from error
    return context


def _fingerprint(path: Path) -> str:
    text = path.read_text(encoding="ascii", errors="replace")
    begin, end = text.index("-----BEGIN CERTIFICATE"), text.index("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(f"{text[begin:end]}-----END CERTIFICATE-----")
    return hashlib.sha256(der).digest().hex(":").upper()


def _is_current(path: Path) -> bool:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc) > _RENEW


def _made(address: str) -> bytes:
    """Key and certificate in one PEM file."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + _signed(address, key).public_bytes(serialization.Encoding.PEM)


def _signed(address: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """RFC 5280: browsers read the address from the alternative names, not from the subject."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge-sdk phone")])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternative = x509.SubjectAlternativeName([_general_name(address), x509.DNSName("localhost")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the phone's clock may be behind
        .not_valid_after(now + _VALID)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(address: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write_secret(path: Path, content: bytes) -> None:
    """Atomically, and at no moment readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
