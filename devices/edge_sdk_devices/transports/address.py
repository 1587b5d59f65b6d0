"""From what a person types to the way to a device."""

from __future__ import annotations

from pathlib import Path

from .base import ShellTransport
from .emulated import emulated_transport
from .local import LocalTransport
from .ssh import SshTransport

__all__ = ["open_transport"]


def open_transport(address: str) -> ShellTransport:
    """The way to a device; nothing is asked of it yet.

    Args:
        address: `local` for this machine, `local:FOLDER` for a folder of it that plays the home folder, `emulated:FILE` for the
            target that an emulated board wrote, and for everything else what a person types after `ssh`.

    Raises:
        DeviceError: The address is none, or the file of an emulated board is not there.
    """
    kind, mark, rest = address.partition(":")
    if kind == "local" and (rest or not mark):
        return LocalTransport(Path(rest) if rest else None)
    if kind == "emulated" and rest:
        return emulated_transport(Path(rest))
    return SshTransport(address)
