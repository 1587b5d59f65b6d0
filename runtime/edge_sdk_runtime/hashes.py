"""SHA-256 that starts quickly: a small bundle is hashed before OpenSSL, which `hashlib` brings, would be loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["OPENSSL_FROM_BYTES", "sha256_for"]

OPENSSL_FROM_BYTES = 1 << 20
"""From 1 MiB on OpenSSL's faster code makes up for the milliseconds that loading it takes."""


def sha256_for(size_bytes: int) -> Callable[[bytes], str]:
    """The quickest way to SHA-256 (FIPS 180-4) for so many bytes altogether.

    Args:
        size_bytes: How much is going to be hashed.

    Returns:
        A function from bytes to their hash, 64 hexadecimal digits.
    """
    sha256 = _openssl() if "hashlib" in sys.modules or size_bytes >= OPENSSL_FROM_BYTES else _built_in()

    def digest(content: bytes) -> str:
        return str(sha256(content).hexdigest())

    return digest


def _openssl() -> Any:
    import hashlib

    return hashlib.sha256


def _built_in() -> Any:
    """The interpreter's own code: `_sha2` since Python 3.12, `_sha256` before; a Python built without them has OpenSSL."""
    for name in ("_sha2", "_sha256"):
        try:
            return import_module(name).sha256
        except ImportError:
            continue
    return _openssl()
