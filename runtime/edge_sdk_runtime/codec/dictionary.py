"""What streams of one kind have in common, as the beginning of an LZMA stream that others continue.

A stream that continues such a one refers to what is in it, and finds the coder's statistics adapted: what a short stream would
spend on learning them, it saves.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Dictionary", "load_dictionary"]


@dataclass(frozen=True)
class Dictionary:
    """A raw LZMA stream that is part of the format.

    Attributes:
        plain_bytes: What it holds.
        properties: lc, lp and pb of LZMA.
        coded: The stream without its first byte, which is 0.
    """

    plain_bytes: int
    properties: tuple[int, int, int]
    coded: bytes


@functools.cache
def load_dictionary(name: str) -> Dictionary:
    """A dictionary of version 1 of the format, which never changes.

    Args:
        name: `"skeletons"`, of small networks, or `"gaps"`, between the weights of sparse tensors.
    """
    content = Path(__file__).with_name(f"{name}_1.bin").read_bytes()
    return Dictionary(int.from_bytes(content[:4], "little"), (content[4], content[5], content[6]), content[7:])
