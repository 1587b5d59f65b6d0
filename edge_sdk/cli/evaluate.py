"""`edge-sdk evaluate`: how good and how fast a bundle is on labelled pictures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .console import results_table, say, tell_skipped, working
from .options import Data, Json, Limit, Strict

__all__ = ["evaluate"]


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="An .edge file.", show_default=False)],
    data: Data,
    min_accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with status 1 when the accuracy is lower.", show_default=False)
    ] = 0.0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Classify held-out pictures with the runtime: accuracy, and latency per stage on this machine.

    The pictures are split as they were in training, so that those learnt from are not counted.
    """
    from edge_sdk_runtime import Bundle

    opened = Bundle.open(bundle)
    with working() as told:
        from ..report.measure import check_labels, load_again, measure
        from ..report.tables import as_json as figures

        splits = load_again(data, opened, strict=strict, progress=partial(told, "read")).at_most(limit)
        check_labels(opened, splits.test)
        result = measure(opened.manifest.name, opened, splits.test, progress=partial(told, "classify"))
    tell_skipped(splits)
    if as_json:
        say(json.dumps({"bundle": str(bundle), **figures([result])[0]}, ensure_ascii=False, indent=2))
    else:
        results_table([result])
    if result.evaluation.accuracy < min_accuracy:
        typer.echo(f"Accuracy {result.evaluation.accuracy:.2%} is below {min_accuracy:.2%}.", err=True)
        raise typer.Exit(1)
