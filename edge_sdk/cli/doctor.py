"""`edge-sdk doctor`: what is wrong with a device, and what mends it."""

from __future__ import annotations

import dataclasses
import json

import typer

from .console import say
from .deploy import Target
from .options import Json

__all__ = ["doctor"]


def doctor(target: Target, as_json: Json = False) -> None:
    """Examine a device: board, system, Python, disk, what is deployed, and `edge-run doctor` there.

    Exit status 1 where something is wrong.
    """
    from edge_sdk_devices.checkup import check_up
    from edge_sdk_devices.transports import open_transport
    from edge_sdk_runtime.cli.text import format_table

    with open_transport(target) as transport:
        found = check_up(transport)
    if as_json:
        document = {
            "healthy": found.healthy,
            "address": found.address,
            "emulated": found.emulated,
            "facts": dataclasses.asdict(found.probe.facts),
            "profile": found.probe.profile.name,
            "system": found.probe.system.name if found.probe.system else None,
            "free_bytes": found.probe.free_bytes,
            "deployed": dataclasses.asdict(found.state)["bundles"] if found.state else None,
            "diagnosis": found.diagnosis,
            "troubles": list(found.troubles),
        }
        say(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        deployed = bool(found.state and found.state.bundles)
        well = "Healthy." if deployed else "Healthy; nothing is deployed yet."
        say(format_table(found.rows()), "", *(found.troubles or [well]))
    if not found.healthy:
        raise typer.Exit(1)
