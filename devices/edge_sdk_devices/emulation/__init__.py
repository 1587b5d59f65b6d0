"""An emulated 64-bit Raspberry Pi: Debian's own arm64 programs under QEMU, behind an SSH server of this machine.

What installs there, what it computes and where it crashes is what a board of that processor does; its times mean nothing.
"""

from .board import EmulatedPi, Interpreter, build, trouble_here
from .openssh import OpenSshServer, find_server, running_server
from .serve import serving

__all__ = [
    "EmulatedPi",
    "Interpreter",
    "OpenSshServer",
    "build",
    "find_server",
    "running_server",
    "serving",
    "trouble_here",
]
