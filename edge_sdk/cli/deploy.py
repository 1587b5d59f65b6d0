"""`edge-sdk deploy`: a bundle onto a device, verified there, with a way back."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import command, say
from .options import Json

if TYPE_CHECKING:
    from edge_sdk_devices.deploy import Deployment, DeployPlan
    from edge_sdk_devices.remote_bench import RemoteReport

__all__ = ["Target", "deploy"]

_BRIEFLY = ("--rounds", "1", "--seconds", "1")
"""How `--bench` measures: whether it is about as fast as it should be, not how fast to a percent."""
Target = Annotated[
    str,
    typer.Argument(
        help="user@host or whatever follows ssh, local, local:FOLDER, or emulated:FILE.", show_default=False
    ),
]


def deploy(
    bundle: Annotated[Path, typer.Argument(help="An .edge file.", show_default=False)],
    target: Target,
    name: Annotated[str, typer.Option(help="What it is called there (default: the file's name).")] = "",
    wheelhouse: Annotated[
        Path | None,
        typer.Option(help="A folder of wheels to carry along; the device asks no index.", show_default=False),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="The device has no internet: fetch its wheels here and carry them along.")
    ] = False,
    environment: Annotated[
        str, typer.Option(help="An environment there with the runtime, to use as it is (default: one is made).")
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Make the environment anew.")] = False,
    system_packages: Annotated[
        bool, typer.Option("--system-packages", help="Let the environment see the system's packages, as picamera2 is.")
    ] = False,
    service: Annotated[bool, typer.Option("--service", help="Run it on a camera for as long as the device runs.")] = (
        False
    ),
    source: Annotated[
        str | None, typer.Option(help="With --service: the camera (default: usb:0).", show_default=False)
    ] = None,
    preview: Annotated[
        str | None, typer.Option(help="With --service: serve a page, as :8080.", show_default=False)
    ] = None,
    bench: Annotated[
        bool, typer.Option("--bench", help="Measure it there afterwards, for a second; edge-sdk bench takes longer.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the release before; BUNDLE is its file or its name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Install a bundle on a device: runtime, bundle, golden vectors repeated there, and only then the switch.

    May be interrupted at any moment: what was deployed before goes on, and the same command finishes the work.
    """
    from edge_sdk_devices.deploy import DeployPlan, Service

    if not service and (source is not None or preview is not None):
        raise typer.BadParameter("--source and --preview go with --service.")
    if bench and rollback:
        raise typer.BadParameter("--bench goes with a deployment; leave --rollback out.")
    if rollback:
        _roll_back(target, bundle, name, as_json)
        return
    camera = Service(source or "usb:0", preview or "") if service else None
    plan = DeployPlan(bundle, name, wheelhouse, offline, environment, fresh, system_packages, camera)
    done, measured = _deploy(plan, target, bench)
    if as_json:
        document = {**dataclasses.asdict(done), **({"bench": measured.document()} if measured else {})}
        say(json.dumps(document, ensure_ascii=False, indent=2))
        return
    say(*_lines(done, bundle, target), *(["", str(measured)] if measured else []))


def _deploy(plan: DeployPlan, target: str, bench: bool) -> tuple[Deployment, RemoteReport | None]:
    """Deploy, and measure where that is asked for, over one connection."""
    from edge_sdk_devices.deploy import deploy as run
    from edge_sdk_devices.remote_bench import bench_on
    from edge_sdk_devices.transports import open_transport

    with open_transport(target) as transport:
        done = run(plan, transport, _tell)
        if not bench:
            return done, None
        _tell("measuring it")
        return done, bench_on(plan.bundle, transport, _BRIEFLY, plan.name)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _lines(done: Deployment, bundle: Path, target: str) -> list[str]:
    lines = [done.verified]
    if done.emulated:
        lines.append("EMULATED: results are those of the board's processor, times are not.")
    if done.changed:
        before = f", before it {done.before}" if done.before else ""
        lines.append(f"{done.name} is deployed on {done.address}: release {done.release}{before}.")
    else:
        lines.append(f"{done.name} was deployed on {done.address} already: release {done.release}; nothing is changed.")
    lines.append(f"There: {done.environment}/bin/edge-run classify {done.path} PHOTO")
    lines.append(f"Next: {command('edge-sdk')} bench {bundle} --on {target}")
    if done.lingers is False:
        lines.append(
            'The service ends with the session; for it to go on, run there: sudo loginctl enable-linger "$USER"'
        )
    return lines


def _roll_back(target: str, bundle: Path, name: str, as_json: bool) -> None:
    from edge_sdk_devices.deploy import roll_back
    from edge_sdk_devices.deploy.plan import bundle_name
    from edge_sdk_devices.transports import open_transport

    called = bundle_name(bundle, name)
    with open_transport(target) as transport:
        release = roll_back(transport, called)
    if as_json:
        say(json.dumps({"name": called, "release": release, "address": target}, ensure_ascii=False, indent=2))
        return
    say(f"{called} is release {release} again on {target}; the same command goes forward again.")
