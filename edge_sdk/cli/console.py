"""What every verb shows: progress on standard error, results on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from edge_sdk_converters.pipeline import PassReport
    from edge_sdk_converters.quantize.plan import Quantization

    from ..data import Splits
    from ..report.measure import BundleResult

__all__ = ["Told", "command", "passes_table", "quantization_lines", "results_table", "say", "tell_skipped", "working"]

Told = Callable[[str, int, int], None]


@contextmanager
def working() -> Iterator[Told]:
    """Progress bars for as long as something is worked on, one per kind of work; and TensorFlow started without its notices.

    Yields:
        A function that is told what is being done, and how far: done, planned.
    """
    from edge_sdk_runtime.images import quiet_decoders
    from edge_sdk_runtime.interpreters.quiet import without_notices

    quiet_decoders()
    # A descriptor of its own: the bars go on while notices of native code are held back on the real one.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as screen, _bars(Console(file=screen)) as bars:
        tasks = {"start TensorFlow": bars.add_task("start TensorFlow", total=1)}
        with without_notices():
            import keras

            keras.backend.backend()
        bars.update(tasks["start TensorFlow"], completed=1)

        def told(what: str, done: int, planned: int) -> None:
            if what not in tasks or (done < planned and bars.tasks[tasks[what]].finished):
                tasks[what] = bars.add_task(what, total=planned)
            bars.update(tasks[what], completed=done, total=planned)

        yield told


def _bars(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def say(*lines: str) -> None:
    """Print lines on standard output as they are: no markup, no wrapping, so that commands can be copied."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def tell_skipped(splits: Splits, shown: int = 10) -> None:
    """Name the images that were left out, with their count, on standard error; then the note beside the data's figures."""
    if splits.skipped:
        sys.stderr.write(f"Skipped {len(splits.skipped)} unreadable images (refuse them with --strict):\n")
        for image in splits.skipped[:shown]:
            sys.stderr.write(f"  {image.name}: {image.reason}\n")
        if len(splits.skipped) > shown:
            sys.stderr.write(f"  and {len(splits.skipped) - shown} more\n")
    if splits.note:
        sys.stderr.write(f"{splits.note}\n")


def results_table(results: Sequence[BundleResult]) -> None:
    """Print bundles side by side."""
    from ..report.tables import comparison

    table = Table(title=None, header_style="bold")
    table.add_column("")
    for result in results:
        table.add_column(result.title, justify="right")
    for row in comparison(results):
        table.add_row(row.name, *row.values)
    Console().print(table)


def passes_table(reports: Sequence[PassReport]) -> None:
    """Print what each pass did."""
    if not reports:
        return
    table = Table(title=None, header_style="bold")
    table.add_column("pass")
    for heading in ("parameters", "multiply-accumulates", "accuracy right after", "after recovery"):
        table.add_column(heading, justify="right")
    for report in reports:
        table.add_row(
            report.kind,
            f"{report.before.parameters:,} → {report.after.parameters:,}",
            f"{report.before.macs:,} → {report.after.macs:,}",
            f"{report.accuracy_before_recovery:.2%}",
            f"{report.after.accuracy:.2%}",
        )
    Console().print(table)


def quantization_lines(quantization: Quantization | None) -> None:
    """Say what quantizing costs and buys, layer by layer where that was measured."""
    if quantization:
        say(*quantization.details)


def command(name: str) -> str:
    """How to call one of our commands from here: by name where the shell finds it, else by its path."""
    beside = Path(sys.executable).with_name(name)
    on_path = any(Path(folder, name).exists() for folder in os.environ.get("PATH", "").split(os.pathsep))
    if on_path or not beside.exists():
        return name
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)
