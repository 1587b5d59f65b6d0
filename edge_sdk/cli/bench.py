"""`edge-sdk bench`: how fast a bundle is on a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import say
from .options import Json

if TYPE_CHECKING:
    from edge_sdk_devices.remote_bench import RemoteReport
    from edge_sdk_runtime.bench import Finding

__all__ = ["bench"]


def bench(
    bundle: Annotated[Path, typer.Argument(help="An .edge file.", show_default=False)],
    on: Annotated[
        str,
        typer.Option("--on", metavar="TARGET", help="The device, as `edge-sdk deploy` takes it.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="What it is called there (default: the file's name).")] = "",
    form: Annotated[str | None, typer.Option(help="staged, fused or both (default: the bundle's own).")] = None,
    threads: Annotated[str, typer.Option(metavar="N[,N…]", help="Interpreter threads, as 1,2,4.")] = "1",
    seconds: Annotated[float, typer.Option(help="Per form and thread count.")] = 3.0,
    runs: Annotated[int | None, typer.Option(min=1, help="Classifications instead of seconds.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Processes that share the time.")] = 3,
    assertions: Annotated[
        list[str] | None,
        typer.Option("--assert", metavar="RULE", help="Such as 'p95<20ms'; exit status 1 where it does not hold."),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the report as JSON as well.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Run `edge-run bench` on a device where something is deployed, and show what it found.

    Figures of an emulation are marked, and `edge-run bench --compare` refuses their file.
    """
    from edge_sdk_devices.errors import DeviceError
    from edge_sdk_devices.remote_bench import bench_on
    from edge_sdk_devices.transports import open_transport
    from edge_sdk_runtime.bench import check, parse_assertion
    from edge_sdk_runtime.files import write_atomically

    rules = [parse_assertion(text) for text in assertions or []]  # before anything takes time
    length = ["--seconds", f"{seconds:g}"] if runs is None else ["--runs", str(runs)]
    options = ["--threads", threads, "--rounds", str(rounds), *length, *(["--form", form] if form else [])]
    with open_transport(on) as transport:
        if rules and transport.emulated:
            raise DeviceError(
                f"An assertion must be about a real board. Received: {on}, whose times mean nothing. Leave --assert out."
            )
        measured = bench_on(bundle, transport, options, name)
    findings = [check(rule, measurement) for measurement in measured.report.measurements for rule in rules]
    document = json.dumps(measured.document(), ensure_ascii=False)
    if save:
        write_atomically(save, document.encode())
    say(document if as_json else _text(measured, findings))
    if rules and not (measured.report.valid and all(finding.passed for finding in findings)):
        raise typer.Exit(1)


def _text(measured: RemoteReport, findings: list[Finding]) -> str:
    from edge_sdk_runtime.bench.text import findings_text

    return "\n\n".join([str(measured), *([findings_text(findings)] if findings else [])])
