"""What happened on a device: what its camera service says, or what was deployed."""

from __future__ import annotations

import shlex

from .deploy.plan import ROOT
from .deploy.service import unit_name
from .errors import DeviceError
from .transports import ShellTransport

__all__ = ["read_logs"]


def read_logs(transport: ShellTransport, name: str = "", lines: int = 50) -> str:
    """The newest lines of a log.

    Args:
        transport: The way to the device.
        name: A bundle's, for the log of its service; what was deployed, with dates in UTC, where empty.
        lines: How many at most.

    Raises:
        DeviceError: There is no such log, or the device cannot be reached.
    """
    if not name:
        done = transport.run(f'tail -n {int(lines)} "$HOME/{ROOT[2:]}/deploy.log"')
        if done.status:
            raise DeviceError(
                f"There must be something deployed. Received: no log on {transport.address}. "
                f"Run: edge-sdk deploy BUNDLE {transport.address}"
            )
        return done.text.rstrip("\n")
    unit = shlex.quote(unit_name(name))
    if transport.run(f'[ -e "$HOME/.config/systemd/user/"{unit} ]').status:
        raise DeviceError(
            f"There must be a service. Received: no {unit_name(name)} on {transport.address}. "
            f"Run: edge-sdk deploy {name}.edge {transport.address} --service"
        )
    done = transport.run(f"journalctl --user --unit {unit} --lines {int(lines)} --no-pager --output short-iso")
    return transport.check(done, "The journal must be readable").text.rstrip("\n")
