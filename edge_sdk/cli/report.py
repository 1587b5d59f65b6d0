"""`edge-sdk report`: bundles side by side on one HTML page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .console import results_table, say, tell_skipped, working
from .options import Data, Limit, Output, Strict

__all__ = ["report"]


def report(
    bundles: Annotated[
        list[Path], typer.Argument(help="One or more .edge files with the same classes.", show_default=False)
    ],
    data: Data,
    output: Output,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Edge SDK report",
    limit: Limit = None,
    strict: Strict = False,
) -> None:
    """Measure bundles on held-out pictures and write a page: table, confusion, embedding map, size and latency."""
    from edge_sdk_runtime import Bundle

    opened = [Bundle.open(path) for path in bundles]
    with working() as told:
        from ..report.html import write_report
        from ..report.measure import check_labels, load_again, measure

        splits = load_again(data, opened[0], strict=strict, progress=partial(told, "read")).at_most(limit)
        results = []
        for path, bundle in zip(bundles, opened, strict=True):
            check_labels(bundle, splits.test)
            progress = partial(told, f"classify with {path.stem}")
            results.append(measure(path.stem, bundle, splits.test, progress=progress))
        write_report(output, results, title=title, notes=[splits.note] if splits.note else [])
    tell_skipped(splits)
    results_table(results)
    say(f"{output} is written: open it in a browser.")
