"""`edge-sdk compress`: a Keras classifier → a small, proven bundle."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk_runtime.preprocess import ResizeMode

from .console import command, passes_table, quantization_lines, results_table, say, tell_skipped, working
from .options import Data, Json, Limit, Output, Seed, Strict

if TYPE_CHECKING:
    from ..compress import CompressedBundle
    from ..report.measure import BundleResult

__all__ = ["compress"]


def compress(
    model: Annotated[Path, typer.Argument(help="A .keras file, or the folder of a SavedModel.", show_default=False)],
    data: Data,
    output: Output,
    recipe: Annotated[str, typer.Option(help="none, int8, small, smallest, fast, or a TOML file.")] = "small",
    form: Annotated[
        list[str] | None, typer.Option(help="staged or fused, the default first; may be given twice for both.")
    ] = None,
    input_range: Annotated[
        str | None,
        typer.Option(help="Pixels a foreign model was trained on: 0..255, 0..1 or -1..1 (default: found out)."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(help="A release that must run it, such as tflite-runtime==2.14.0; may be given several times."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="plain, or coded: smaller bundle, same models (default: what the recipe says).")
    ] = None,
    resize: Annotated[
        ResizeMode, typer.Option(help="For a foreign model: how its training fitted pictures.")
    ] = ResizeMode.STRETCH,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe on any Keras image classifier and write a bundle that the runtime has proven.

    The pictures recover the network after each pass, calibrate int8, and the held-out ones measure the result. A model from
    edge-sdk train knows its labels, preprocessing and split; for any other, the class folders, sorted, are its outputs in order.
    """
    from edge_sdk_converters.compat import parse_runtimes
    from edge_sdk_converters.pack.config import parse_storage
    from edge_sdk_converters.recipe import load_recipe

    plan, runtimes = load_recipe(recipe), parse_runtimes(runtime or [])
    if storage:
        plan = dataclasses.replace(plan, storage=parse_storage(storage))
    with working() as told:
        from edge_sdk_converters.keras_file import load_keras

        from ..compress import card_for, check_forms, parse_input_range
        from ..compress import compress as run
        from ..data import load_images
        from ..report.measure import measure
        from ..report.tables import as_json as figures

        forms, pixels = check_forms(form or []), parse_input_range(input_range)
        network, card = load_keras(model)
        known = (card.seed, card.limit) if card else (seed, limit)
        splits = load_images(data, seed=known[0], strict=strict, limit=known[1], progress=partial(told, "read"))
        card, splits = card or card_for(network, splits, resize), splits.at_most(limit)
        result = run(
            network,
            card,
            splits,
            plan,
            name=output.stem,
            forms=forms,
            input_range=pixels,
            runtimes=runtimes,
            told=told,
        )
        result.bundle.write(output)
        measured = measure(
            plan.name,
            result.bundle,
            splits.test,
            passes=result.compressed.reports,
            quantization=result.compressed.quantization,
            progress=partial(told, "time"),
        )
    tell_skipped(splits)
    if as_json:
        requires = dict(result.bundle.manifest.requires)
        document = {"bundle": str(output), "requires": requires, **figures([measured])[0]}
        say(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        _show(result, measured, output)


def _show(result: CompressedBundle, measured: BundleResult, output: Path) -> None:
    adopted = result.adopted
    if adopted.input_range and adopted.accuracies:
        found = ", ".join(f"{each.value} {share:.1%}" for each, share in adopted.accuracies.items())
        say(f"Pixels taken as {adopted.input_range.value}, by how well the model classifies ({found}).")
        if sum(share >= max(adopted.accuracies.values()) - 0.02 for share in adopted.accuracies.values()) > 1:
            say("Other ranges fit about as well: name the one it was trained on with --input-range to be sure.")
    passes_table(result.compressed.reports)
    quantization_lines(result.compressed.quantization)
    results_table([measured])
    _show_runtimes(result)
    say(
        f"{output} is written and proven with {', '.join(result.bundle.manifest.interpreters)}.",
        "Next, here or on the device (pip install edge-sdk-runtime):",
        f"  {command('edge-run')} classify {output} PICTURE.jpg",
    )


def _show_runtimes(result: CompressedBundle) -> None:
    from edge_sdk_converters.compat import not_running_on, suggestion

    manifest = result.bundle.manifest
    oldest = [f"{package} {release} and later" for package, release in sorted(manifest.requires.items())]
    say(f"It runs on {', '.join(oldest) or 'no release known here'}.")
    for runtime, findings in not_running_on(result.bundle).items():
        say(f"Not on {runtime}: {findings[0].received}. For that, {suggestion(findings[0])}.")
