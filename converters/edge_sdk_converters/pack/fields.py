"""Numbers as a packed file writes them."""

from __future__ import annotations

__all__ = ["number"]


def number(value: int) -> bytes:
    """A number, 0 or more: 7 bits a byte, the lowest first, the top bit set on all bytes but the last (LEB128)."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])
