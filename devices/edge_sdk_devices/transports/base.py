"""What a transport must do, and what all of them that have a POSIX shell at the other end share."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ..errors import DeviceConnectionError, DeviceError, DeviceFullError

__all__ = ["DEFAULT_TIMEOUT_S", "Result", "ShellTransport", "Transport"]

DEFAULT_TIMEOUT_S = 120.0
"""How long a command may take where nothing else is said."""
_CUT_SHORT = 75
"""The status of a file that arrived shorter than it was sent (EX_TEMPFAIL of sysexits.h)."""
_FULL = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True)
class Result:
    """What a command did.

    Attributes:
        status: Its exit status; 0 where it succeeded.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    status: int
    output: bytes
    errors: str = ""

    @property
    def text(self) -> str:
        """Its output as text."""
        return self.output.decode(errors="replace")

    @property
    def reason(self) -> str:
        """The last line that it wrote to standard error, else to standard output: what a program says when it gives up."""
        lines = [line.strip() for line in (self.errors.strip() or self.text.strip()).splitlines()]
        return lines[-1] if lines else f"exit status {self.status}"


class Transport(Protocol):
    """A way to a device. Paths are those of the device: absolute, or below the home folder of the person there.

    Attributes:
        address: What a person types to name the device.
        emulated: Whether it is an emulation, whose times mean nothing for any board.
    """

    address: str
    emulated: bool

    def run(self, command: str, data: bytes = b"", timeout: float = DEFAULT_TIMEOUT_S) -> Result:
        """Run a command of the POSIX shell in the home folder.

        Args:
            command: Any text that `sh -c` takes.
            data: What it reads from standard input.
            timeout: Seconds that it may take.

        Raises:
            DeviceError: The device cannot be reached, is lost, or does not end in time. That the command fails is no error.
        """
        ...

    def put(self, content: bytes | Path, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Write a file so that no reader ever sees a part of it; its folder is created where it is missing.

        Args:
            content: The whole file, or one of this machine.
            path: The file to create or replace.
            timeout: Seconds that it may take.

        Raises:
            DeviceError: As for `run`, or the file cannot be written; what was there before is as it was.
        """
        ...

    def get(self, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """Read a file.

        Raises:
            DeviceError: As for `run`, or there is no such file.
        """
        ...

    def close(self) -> None:
        """Let go of the device; may be called more than once."""
        ...


class ShellTransport(ABC):
    """A transport that runs commands, and moves files through their input and output.

    Args:
        address: What a person types to name the device.
        emulated: Whether it is an emulation.
    """

    def __init__(self, address: str, emulated: bool = False) -> None:
        self.address = address
        self.emulated = emulated

    @abstractmethod
    def run(self, command: str, data: bytes = b"", timeout: float = DEFAULT_TIMEOUT_S) -> Result:
        """As `Transport.run`."""

    def put(self, content: bytes | Path, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """As `Transport.put`."""
        data = content.read_bytes() if isinstance(content, Path) else content
        done = self.run(_put_script(path, len(data)), data, timeout)
        if done.status == _CUT_SHORT:
            raise DeviceConnectionError(
                f"A file must arrive whole. Received: {path} on {self.address}, cut short ({done.reason}). Try again."
            )
        self.check(done, f"{path} must be written")

    def get(self, path: str, timeout: float = DEFAULT_TIMEOUT_S) -> bytes:
        """As `Transport.get`."""
        return self.check(self.run(f"cat -- {shlex.quote(path)}", timeout=timeout), f"{path} must be readable").output

    def close(self) -> None:  # noqa: B027  most have nothing to let go of
        """As `Transport.close`."""

    def check(self, done: Result, rule: str) -> Result:
        """What a command did, where it succeeded.

        Args:
            done: What it did.
            rule: What must be so, for the error.

        Raises:
            DeviceFullError: It failed, and says that the disk is full.
            DeviceError: It failed otherwise.
        """
        if done.status == 0:
            return done
        if any(word in done.errors for word in _FULL):
            raise DeviceFullError(
                f"The device's disk must have room. Received: {self.address} is full ({done.reason}). "
                "Free some space there (df -h shows where it is), then run the same command again."
            )
        raise DeviceError(f"{rule}. Received: {done.reason} on {self.address}. Mend that there, and try again.")

    def __enter__(self) -> ShellTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _put_script(path: str, size: int) -> str:
    """Write standard input beside the file and rename; a connection that breaks gives fewer bytes, and changes nothing."""
    return f"""
    target={shlex.quote(path)}; part="$target.$$.part"
    trap 'rm -f "$part"' EXIT; trap 'exit 129' HUP; trap 'exit 143' TERM
    mkdir -p "$(dirname "$target")" && cat > "$part" || exit 1
    arrived=$(($(wc -c < "$part")))
    if [ "$arrived" -ne {size} ]; then echo "$arrived of {size} bytes" >&2; exit {_CUT_SHORT}; fi
    {{ sync "$part" 2>/dev/null || sync; }} && mv -f "$part" "$target"
    """
