"""A camera service: a systemd unit of the person on the device, which needs no rights of an administrator."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from ..errors import DeployError, DeviceError
from ..transports import ShellTransport
from .plan import Service

__all__ = ["install_service", "restart_service", "unit_name", "unit_text"]

_TEMPLATE = Path(__file__).with_name("camera.service")
# Over SSH a person's systemd is not always named.
_SYSTEMD = 'export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"; '
_SETTLES_S = 4.0
"""A service that is wrong ends within this time: it loads its bundle, and opens its camera."""


def unit_name(name: str) -> str:
    """What the service of a bundle is called."""
    return f"edge-sdk-{name}.service"


def unit_text(name: str, service: Service) -> str:
    """The unit of a camera service.

    Args:
        name: What the bundle is called on the device.
        service: Which camera.
    """
    arguments = ["--source", service.source, *(["--preview", service.preview] if service.preview else [])]
    words = " ".join(map(_systemd_quoted, arguments))
    return _TEMPLATE.read_text(encoding="utf-8").replace("@NAME@", name).replace("@ARGUMENTS@", words)


def install_service(transport: ShellTransport, name: str, service: Service) -> None:
    """Write the unit and enable it; it is not started yet.

    Raises:
        DeviceError: There is no systemd for this person, or it refuses the unit.
    """
    path = f".config/systemd/user/{unit_name(name)}"
    done = transport.run(f"{_SYSTEMD} systemctl --user show-environment >/dev/null")
    if done.status:
        raise DeviceError(
            f"A service needs systemd for this account. Received: {done.reason} on {transport.address}. "
            'Run there: sudo loginctl enable-linger "$USER", or deploy without --service.'
        )
    transport.put(unit_text(name, service).encode(), path)
    command = f"{_SYSTEMD} systemctl --user daemon-reload && systemctl --user enable {shlex.quote(unit_name(name))}"
    transport.check(transport.run(command), "The service must be installable")


def lingers(transport: ShellTransport) -> bool:
    """Whether the account's services go on when nobody is logged in; asks for it where they do not."""
    command = 'loginctl enable-linger >/dev/null 2>&1; [ -e "/var/lib/systemd/linger/$(id -un)" ]'
    return transport.run(command).status == 0


def restart_service(transport: ShellTransport, name: str, settles_s: float = _SETTLES_S) -> bool:
    """Start the service of a bundle again, where there is one, and look whether it stays.

    Args:
        transport: The way to the device.
        name: What the bundle is called there.
        settles_s: Seconds after which it is looked at.

    Returns:
        Whether there is one.

    Raises:
        DeployError: It does not stay.
    """
    unit = shlex.quote(unit_name(name))
    if transport.run(f'[ -e "$HOME/.config/systemd/user/"{unit} ]').status:
        return False
    begun = transport.run(f"{_SYSTEMD} systemctl --user restart {unit}")
    if begun.status == 0:
        time.sleep(settles_s)
        begun = transport.run(f"{_SYSTEMD} systemctl --user is-active {unit}")
    if begun.status:
        said = transport.run(f"{_SYSTEMD} journalctl --user --unit {unit} --lines 3 --output cat 2>/dev/null").reason
        raise DeployError(
            f"The service must stay. Received: {unit_name(name)} is {begun.reason} ({said}). "
            f"Run: edge-sdk logs {transport.address} --name {name}"
        )
    return True


def _systemd_quoted(word: str) -> str:
    """A word of ExecStart (systemd.service(5), COMMAND LINES)."""
    for character, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(character, written)
    return f'"{word}"'
