"""`edge-sdk demo`: the whole way in one command."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .console import command, passes_table, quantization_lines, results_table, say, tell_skipped, working
from .options import Json, Limit, Seed, Strict

__all__ = ["demo"]


def demo(
    data: Annotated[
        str,
        typer.Option(
            "--data", help="digits (no download), fashion_mnist, mnist, cifar10, or a folder of class folders."
        ),
    ] = "digits",
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("edge-demo"),
    recipe: Annotated[str, typer.Option(help="none, int8, small, smallest, fast, or a TOML file.")] = "small",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the pictures (default: by their number).")
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Pictures → encoder, prototypes and MLP → compressed bundle → classified with a time for every stage; and a report."""
    from edge_sdk_converters.recipe import load_recipe

    plan = load_recipe(recipe)
    with working() as told:
        from ..data import load_images
        from ..demo import run_demo
        from ..report.tables import as_json as figures

        splits = load_images(data, seed=seed, strict=strict, limit=limit, progress=partial(told, "read"))
        outcome = run_demo(splits, plan, output, epochs=epochs, seed=seed, told=told, edge_run=command("edge-run"))
    tell_skipped(splits)
    if as_json:
        say(json.dumps(figures(outcome.results), ensure_ascii=False, indent=2))
        return
    passes_table(outcome.results[-1].passes)
    quantization_lines(outcome.results[-1].quantization)
    results_table(outcome.results)
    say(f"Report:  {outcome.report}", "Next:", *(f"  {line}" for line in outcome.next_commands))
