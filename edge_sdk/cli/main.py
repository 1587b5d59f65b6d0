"""`edge-sdk`: what a person types on the workstation.

Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong input, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from edge_sdk_devices.errors import EdgeSdkError
from edge_sdk_runtime.cli.text import error_text
from edge_sdk_runtime.errors import EdgeRuntimeError

from . import (
    bench,
    compress,
    demo,
    deploy,
    devices,
    doctor,
    embeddings,
    evaluate,
    logs,
    pack,
    phone,
    report,
    select,
    train,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="edge-sdk",
    help="From labelled pictures to a small, fast, proven image classifier on a Raspberry Pi, a Jetson or a phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (demo.demo, train.train, select.select, compress.compress, evaluate.evaluate, report.report, pack.pack):
    app.command()(verb)
for on_device in (deploy.deploy, bench.bench, doctor.doctor, logs.logs):
    app.command()(on_device)
app.add_typer(devices.app, name="devices")
app.add_typer(embeddings.app, name="embeddings")
app.add_typer(phone.app, name="phone")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"edge-sdk {metadata.version('edge-sdk')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of every verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: What follows `edge-sdk`; the process's own where None.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The same command has to give the same numbers; without this, sums are added up in whatever order threads finish.
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    try:
        app(args=[argument for argument in given if argument != "--debug"], prog_name="edge-sdk")
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
        if status == 130:
            sys.stderr.write("Interrupted; nothing half-written was left behind.\n")
        return status
    except (EdgeSdkError, EdgeRuntimeError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"edge-sdk: {error_text(error)}\n")
        return 2
    return 0
