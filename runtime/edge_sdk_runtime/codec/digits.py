"""Several small numbers to a byte: digits of one base, the first the lowest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .fields import corrupt
from .streams import Stream

__all__ = ["Digits"]


class Digits:
    """Reads digits from a stream of bytes.

    Args:
        base: One more than the largest digit, 2 to 256.
        per_byte: Digits to a byte, with `base ** per_byte` ≤ 256.
        stream: The bytes.
        meanings: What each digit is read as, `[base]`; the digit itself where None.
    """

    def __init__(
        self, base: int, per_byte: int, stream: Stream, meanings: NDArray[np.unsignedinteger] | None = None
    ) -> None:
        self._stream, self._per_byte, self._limit = stream, per_byte, base**per_byte
        digits = np.arange(self._limit)[:, None] // base ** np.arange(per_byte) % base
        self._table = digits.astype(np.uint8) if meanings is None else meanings[digits]
        self._ready = self._table[:0].ravel()

    def read(self, count: int) -> NDArray[np.unsignedinteger]:
        """The next `count` digits, or what they mean.

        Raises:
            BundleCorruptError: The stream is damaged, or a byte holds none.
        """
        missing = count - len(self._ready)
        if missing > 0:
            content = self._stream.read(-(-missing // self._per_byte))
            if content.max() >= self._limit:
                raise corrupt(f"a byte of {content.max()} where {self._limit - 1} is the largest")
            self._ready = np.concatenate([self._ready, self._table[content].ravel()])
        digits, self._ready = self._ready[:count], self._ready[count:]
        return digits
