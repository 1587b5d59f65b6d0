"""`edge-sdk train`: labelled pictures → a Keras classifier."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from typing import Annotated

import typer

from edge_sdk_runtime.preprocess import ResizeMode

from .console import command, say, tell_skipped, working
from .options import Json, Limit, Output, Seed, Strict

__all__ = ["train"]


def train(
    source: Annotated[str, typer.Argument(help="A folder with one folder per class, an .npz file, or a named set.")],
    output: Output,
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Side of the model's input in pixels (default 96).")
    ] = None,
    resize: Annotated[
        ResizeMode, typer.Option(help="How pictures of another shape are fitted.")
    ] = ResizeMode.CENTER_CROP,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the pictures (default: by their number).")
    ] = None,
    embedding: Annotated[int, typer.Option(min=2, help="Width of the embedding.")] = 64,
    width: Annotated[int, typer.Option(min=4, help="Filters of the encoder's first stage.")] = 24,
    prototypes: Annotated[int, typer.Option(min=1, help="Prototypes per class: 1 is the mean, more are k-means.")] = 1,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirrored pictures keep their class.")] = True,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Train a similarity encoder, class prototypes and an MLP head on labelled pictures.

    A fifth of the pictures is held out (or the folder's own test/), never learnt from, and classified at the end.
    """
    with working() as told:
        from edge_sdk_converters.keras_file import save_keras
        from edge_sdk_converters.source import accuracy

        from ..data import load_images, prepare
        from ..learn.train import TrainConfig, default_spec, examples, train_classifier

        splits = load_images(source, seed=seed, strict=strict, limit=limit, progress=partial(told, "read"))
        splits = dataclasses.replace(splits, flips=splits.flips and flip)
        spec = dataclasses.replace(default_spec(splits, size), resize=resize)
        config = TrainConfig(epochs, embedding=embedding, width=width, prototypes=prototypes, seed=seed)
        trained = train_classifier(splits, spec, config, told)
        held_out = accuracy(trained.model, examples(prepare(splits.test, spec)))
        save_keras(output, trained.model, trained.card)
    tell_skipped(splits)
    if as_json:
        figures = {"model": str(output), "labels": splits.labels, "accuracy": held_out, "images": len(splits.test)}
        say(json.dumps(figures, ensure_ascii=False, indent=2))
        return
    say(
        f"{output}: {len(splits.labels)} classes, {held_out:.2%} of {len(splits.test)} held-out pictures classified rightly.",
        "Next:",
        f"  {command('edge-sdk')} compress {output} --data {source} --recipe small -o {output.with_suffix('.edge')}",
    )
