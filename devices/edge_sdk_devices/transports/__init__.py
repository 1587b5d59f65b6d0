"""How the workstation reaches a device: the same few calls for this machine, for one behind SSH and for an emulated one."""

from .address import open_transport
from .base import Result, ShellTransport, Transport
from .emulated import EmulatedTarget, emulated_transport
from .fake import FakeTransport
from .local import LocalTransport
from .ssh import SshTransport

__all__ = [
    "EmulatedTarget",
    "FakeTransport",
    "LocalTransport",
    "Result",
    "ShellTransport",
    "SshTransport",
    "Transport",
    "emulated_transport",
    "open_transport",
]
