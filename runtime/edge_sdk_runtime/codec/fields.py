"""Numbers and runs of bytes from a packed file that may be damaged or made to do harm: nothing is used before it is checked."""

from __future__ import annotations

from ..errors import BundleCorruptError

__all__ = ["Cursor", "corrupt"]


def corrupt(received: str) -> BundleCorruptError:
    """The error for a packed file that breaks its format's rules; `received` says how."""
    return BundleCorruptError(
        f"A packed model must be whole and unaltered. Received: {received}. Copy or write the file again."
    )


class Cursor:
    """Reads a packed file from front to back.

    Args:
        content: The whole file.
        position: Where to begin, in bytes.
    """

    def __init__(self, content: memoryview, position: int = 0) -> None:
        self._content = content
        self.position = position

    @property
    def left(self) -> int:
        """Bytes between here and the end."""
        return len(self._content) - self.position

    def take(self, count: int, what: str) -> memoryview:
        """The next `count` bytes.

        Args:
            count: How many; not negative.
            what: What they are, for an error.

        Raises:
            BundleCorruptError: The file ends before them.
        """
        if count > self.left:
            raise corrupt(f"{self.left} bytes where {count} of {what} should follow")
        self.position += count
        return self._content[self.position - count : self.position]

    def byte(self, what: str) -> int:
        """The next byte, 0 to 255."""
        return self.take(1, what)[0]

    def number(self, most: int, what: str, least: int = 0) -> int:
        """The next number: 7 bits a byte, the lowest first, the top bit set on all bytes but the last (LEB128).

        Args:
            most: The largest that can be right.
            what: What it counts, for an error.
            least: The smallest that can be right.

        Raises:
            BundleCorruptError: The file ends in it, or it is out of range.
        """
        value = shift = 0
        while value <= most:
            byte = self.byte(what)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 63:
                break
        if not least <= value <= most:
            raise corrupt(f"{value} as {what}, which must be {least} to {most}")
        return value
