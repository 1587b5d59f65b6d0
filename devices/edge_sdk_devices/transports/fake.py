"""A device that is none: answers as a test or a demonstration sets them, and a memory of what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import DEFAULT_TIMEOUT_S, Result, ShellTransport

__all__ = ["FakeTransport"]


class FakeTransport(ShellTransport):
    """Commands answered by a function, files kept in memory.

    Args:
        answer: What a command does, from its text and its input; whatever it raises is what the device fails with.
        emulated: What the transport says of itself.

    Attributes:
        commands: What was run, in order.
        files: Content of what was put, by path.
        closed: Whether it was closed.
    """

    def __init__(self, answer: Callable[[str, bytes], Result], emulated: bool = False) -> None:
        super().__init__("fake", emulated)
        self._answer = answer
        self.commands: list[str] = []
        self.files: dict[str, bytes] = {}
        self.closed = False

    def run(self, command: str, data: bytes = b"", timeout: float = DEFAULT_TIMEOUT_S) -> Result:
        """As `Transport.run`."""
        del timeout
        self.commands.append(command)
        return self._answer(command, data)

    def put(self, content: bytes | Path, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """As `Transport.put`."""
        del timeout
        self.files[path] = content.read_bytes() if isinstance(content, Path) else content

    def get(self, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """As `Transport.get`."""
        del timeout
        found = self.files.get(path)
        missing = Result(1, b"", f"{path}: No such file or directory")
        return self.check(missing if found is None else Result(0, found), f"{path} must be readable").output

    def close(self) -> None:
        """As `Transport.close`."""
        self.closed = True
