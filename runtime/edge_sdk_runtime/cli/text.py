"""How numbers, results and errors look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..classifier import Classification

__all__ = ["error_text", "format_bytes", "format_label", "format_ns", "format_share", "format_table", "json_number"]


def format_ns(nanoseconds: int) -> str:
    """A duration with a unit that suits it: `850 ns`, `42.3 µs`, `1.24 ms`, `2.10 s`."""
    if nanoseconds < 1_000:
        return f"{nanoseconds} ns"
    for unit, divisor in (("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < 999.5 * divisor:  # from here on, three digits would round to 1e+03
            return f"{nanoseconds / divisor:.3g} {unit}"
    return f"{nanoseconds / 1e9:.2f} s"


def format_bytes(size: int) -> str:
    """A size in bytes, and from 1,000 on in decimal kB or MB: `512 B`, `38.4 kB`, `1.27 MB`."""
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 999_950 else f"{size / 1e6:.2f} MB"


def format_label(result: Classification, score: str = "") -> str:
    """The label, or for what is unknown `unknown (closest: boot 0.41)`.

    Args:
        result: A classification.
        score: Its score as it is to be shown; empty where it stands elsewhere.
    """
    named = f"{result.label} {score}".rstrip()
    return f"unknown (closest: {named})" if result.unknown else named


def format_share(share: float | None) -> str:
    """A share as a percentage: `92.3 %`; `not to be had` where there is none."""
    return "not to be had" if share is None else f"{share:.1%}"


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first row a header; numbers are for the caller to format."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def json_number(value: float) -> float | None:
    """The number, or None where it is NaN or infinite: JSON has no word for those."""
    return value if math.isfinite(value) else None


def error_text(error: Exception) -> str:
    """The line for an error: its message; for one that the system raised over a file also the rule and the fix.

    Args:
        error: One of ours, which has both, or an OSError.
    """
    if not isinstance(error, OSError) or error.filename is None or error.strerror is None:
        return str(error)
    if isinstance(error, FileNotFoundError):
        fix = "Check the path."
    elif isinstance(error, PermissionError):
        fix = "Change its permissions, or name another one."
    else:
        fix = "Check what it is, and how much room its disk has."
    return f"Files must be usable as asked. Received: {error.filename} ({error.strerror}). {fix}"
