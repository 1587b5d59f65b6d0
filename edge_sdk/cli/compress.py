"""`edge-sdk compress`: a Keras classifier → a small, proven bundle."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edge_sdk_runtime.preprocess import ResizeMode

from .console import Told, command, passes_table, quantization_lines, results_table, say, tell_skipped, working
from .options import Data, Json, Limit, Output, Seed, Strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from edge_sdk_converters.keras_file import ModelCard
    from edge_sdk_converters.recipe import Recipe
    from edge_sdk_runtime.packages import Runtime

    from ..compress import CompressedBundle
    from ..data import Splits
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
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE[:SYSTEM]",
            help="A device it is for, such as raspberry-pi-4 or raspberry-pi-4:bookworm-64: its interpreters must run it.",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Of a staged bundle: npz, for NumPy, or tflite (default: npz where the head's layers allow)."
        ),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="plain, or coded: smaller bundle, same models (default: what the recipe says).")
    ] = None,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory/--no-memory",
            help="Keep embeddings of training pictures in a staged bundle: it can be taught on the device and tells the unknown.",
        ),
    ] = True,
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
    plan, runtimes = _plan(recipe, storage), _runtimes(runtime or [], target or [])
    with working() as told:  # starts Keras, which all that follows needs
        from ..compress import check_forms, parse_head, parse_input_range
        from ..compress import compress as run

        forms, pixels, head_format = check_forms(form or []), parse_input_range(input_range), parse_head(head)
        source = _source(model, data, resize, seed=seed, limit=limit, strict=strict, told=told)
        result = run(
            source.network,
            source.card,
            source.splits,
            plan,
            name=output.stem,
            forms=forms,
            input_range=pixels,
            runtimes=runtimes,
            head=head_format,
            memory=memory,
            told=told,
        )
        result.bundle.write(output)
        measured = _measured(plan.name, result, source.splits, told)
    tell_skipped(source.splits)
    if as_json:
        say(json.dumps(_document(result, measured, output), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        _show(result, measured, output)


class _Source(NamedTuple):
    """What is compressed, and the pictures that it is recovered and measured with."""

    network: keras.Model
    card: ModelCard
    splits: Splits


def _runtimes(releases: Sequence[str], targets: Sequence[str]) -> tuple[Runtime, ...]:
    """What must run the bundle: releases as they are named, and all that the targets' systems have."""
    from edge_sdk_converters.compat import parse_runtimes
    from edge_sdk_devices.profile import parse_target

    of_targets = (runtime for target in targets for runtime in parse_target(target))
    return tuple(dict.fromkeys((*parse_runtimes(releases), *of_targets)))


def _plan(recipe: str, storage: str | None) -> Recipe:
    """The recipe, stored in another way where that is asked for."""
    from edge_sdk_converters.pack.config import parse_storage
    from edge_sdk_converters.recipe import load_recipe

    plan = load_recipe(recipe)
    return dataclasses.replace(plan, storage=parse_storage(storage)) if storage else plan


def _source(
    model: Path, data: str, resize: ResizeMode, *, seed: int, limit: int | None, strict: bool, told: Told
) -> _Source:
    """The model and its pictures, split as they were in its training where its file says how."""
    from edge_sdk_converters.keras_file import load_keras

    from ..compress import card_for
    from ..data import load_images

    network, card = load_keras(model)
    seed, known = (card.seed, card.limit) if card else (seed, limit)
    splits = load_images(data, seed=seed, strict=strict, limit=known, progress=partial(told, "read"))
    return _Source(network, card or card_for(network, splits, resize), splits.at_most(limit))


def _measured(title: str, result: CompressedBundle, splits: Splits, told: Told) -> BundleResult:
    """What the runtime makes of the held-out pictures, with the account of what each pass cost and bought."""
    from ..report.measure import measure

    return measure(
        title,
        result.bundle,
        splits.test,
        passes=result.compressed.reports,
        quantization=result.compressed.quantization,
        progress=partial(told, "time"),
    )


def _document(result: CompressedBundle, measured: BundleResult, output: Path) -> dict[str, Any]:
    """All that the text says, for a program to read."""
    from ..report.documents import passes_document, quantization_document
    from ..report.tables import as_json

    adopted = result.adopted
    return {
        "bundle": str(output),
        "requires": dict(result.bundle.manifest.requires),
        "input_range": adopted.input_range.value if adopted.input_range else None,
        "passes": passes_document(result.compressed.reports),
        "quantization": quantization_document(result.compressed.quantization),
        **as_json([measured])[0],
    }


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
    if not manifest.models:
        say("It holds no model: it runs on NumPy alone, without an interpreter.")
        return
    oldest = [f"{package} {release} and later" for package, release in sorted(manifest.requires.items())]
    say(f"It runs on {', '.join(oldest) or 'no release known here'}.")
    for runtime, findings in not_running_on(result.bundle).items():
        say(f"Not on {runtime}: {findings[0].received}. For that, {suggestion(findings[0])}.")
