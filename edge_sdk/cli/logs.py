"""`edge-sdk logs`: what happened on a device."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import say
from .deploy import Target

__all__ = ["logs"]


def logs(
    target: Target,
    name: Annotated[str, typer.Option(help="A bundle's name: what its camera service says.", show_default=False)] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many, the newest.")] = 50,
) -> None:
    """Show what was deployed, refused and rolled back on a device; with --name, the journal of a camera service."""
    from edge_sdk_devices.logs import read_logs
    from edge_sdk_devices.transports import open_transport

    with open_transport(target) as transport:
        say(read_logs(transport, name, lines))
