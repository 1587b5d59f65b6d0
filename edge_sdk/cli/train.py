"""`edge-sdk train`: labelled pictures → a Keras classifier."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk_runtime.preprocess import ResizeMode
from edge_sdk_runtime.similarity import Similarity

from ..errors import DataError
from ..learn.kinds import EncoderKind, Weights
from ..learn.prototypes import PrototypeMethod
from .console import Told, command, say, tell_skipped, working
from .options import Json, Limit, Output, Seed, Strict

if TYPE_CHECKING:
    from ..data import Splits
    from ..learn.train import TrainConfig, Trained
    from ..learn.two_phase import FirstPhase

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
    encoder: Annotated[
        EncoderKind,
        typer.Option(
            help="Where embeddings come from: learned to tell the classes apart, the codes of one autoencoder per class, or the "
            "flattened picture itself, with no network at all."
        ),
    ] = EncoderKind.LEARNED,
    embedding: Annotated[int, typer.Option(min=2, help="Width of the embedding.")] = 64,
    width: Annotated[int, typer.Option(min=4, help="Filters of the encoder's first stage.")] = 24,
    detail: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Width of what stands beside the embedding for classes that a device will be taught, such as 128 "
            "(default: nothing).",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="A network of keras.applications in its place, such as MobileNetV2.", show_default=False),
    ] = None,
    weights: Annotated[Weights, typer.Option(help="What the backbone begins with.")] = Weights.NONE,
    layout: Annotated[
        str,
        typer.Option(help="Of autoencoders: auto, imageem-binary-1, imageem-binary-2 or imageem-multiclass."),
    ] = "auto",
    scale: Annotated[float, typer.Option(help="What the learned encoder's cosines are multiplied by.")] = 16.0,
    margin: Annotated[float, typer.Option(help="By how much the right cosine has to win.")] = 0.2,
    prototypes: Annotated[int, typer.Option(min=1, help="Prototypes per class.")] = 1,
    method: Annotated[
        PrototypeMethod | None,
        typer.Option(help="How they are made (default: the mean for one, kmeans for more).", show_default=False),
    ] = None,
    similarity: Annotated[
        Similarity | None,
        typer.Option(help="How embeddings and prototypes are compared (default cosine).", show_default=False),
    ] = None,
    encoder_from: Annotated[
        Path | None,
        typer.Option(
            help="Take the encoder of this .keras classifier as it is; only a head is trained.", show_default=False
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help="Class embeddings to compare with, from edge-sdk embeddings build.", show_default=False),
    ] = None,
    only: Annotated[
        Path | None,
        typer.Option(
            help="Learn from the training pictures in this list of edge-sdk select alone.", show_default=False
        ),
    ] = None,
    first: Annotated[
        Path | None,
        typer.Option(help="Begin with the training pictures in this list, then go on with all.", show_default=False),
    ] = None,
    first_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the encoder's training that they get (default 0.5).", show_default=False
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirrored pictures keep their class.")] = True,
    page: Annotated[
        Path | None,
        typer.Option("--report", help="Write what autoencoders give back as a page.", show_default=False),
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Train an encoder, class prototypes and an MLP head on labelled pictures.

    A fifth of the pictures is held out (or the folder's own test/), never learnt from, and classified at the end.
    """
    _check(
        encoder_from,
        embeddings,
        page,
        encoder,
        {
            "--size": size,
            "--epochs": epochs,
            "--backbone": backbone,
            "--detail": detail,
            "--similarity": similarity,
            "--first": first,
        },
    )
    with working() as told:
        from edge_sdk_converters.keras_file import save_keras
        from edge_sdk_converters.source import accuracy

        from ..data import load_images, prepare
        from ..learn.selection.lists import keep_only, read_list
        from ..learn.similarity_encoder import CosineMargin
        from ..learn.train import TrainConfig, default_spec, examples, train_classifier

        splits = load_images(source, seed=seed, strict=strict, limit=limit, progress=partial(told, "read"))
        splits = dataclasses.replace(splits, flips=splits.flips and flip)
        if only:
            splits = keep_only(splits, read_list(only))
        config = TrainConfig(
            epochs,
            embedding=embedding,
            width=width,
            prototypes=prototypes,
            similarity=similarity or Similarity.COSINE,
            seed=seed,
            encoder=encoder,
            backbone=backbone,
            weights=weights,
            layout=layout,
            method=method,
            margin=CosineMargin(scale, margin),
            first=_first_phase(splits, first, first_share),
            detail=detail or 0,
        )
        if encoder_from:
            trained = _on_encoder(encoder_from, embeddings, splits, config, told)
        else:
            spec = dataclasses.replace(default_spec(splits, size), resize=resize)
            trained = train_classifier(splits, spec, config, told)
        held_out = accuracy(trained.model, examples(prepare(splits.test, trained.card.preprocess)))
        save_keras(output, trained.model, trained.card)
        if page:
            _write_page(page, trained, splits)
    tell_skipped(splits)
    if as_json:
        figures = {"model": str(output), "labels": splits.labels, "accuracy": held_out, "images": len(splits.test)}
        say(json.dumps(figures, ensure_ascii=False, indent=2))
        return
    say(
        f"{output}: {len(splits.labels)} classes, {held_out:.2%} of {len(splits.test)} held-out pictures classified rightly.",
        *([f"{page} is written: open it in a browser."] if page else []),
        "Next:",
        f"  {command('edge-sdk')} compress {output} --data {source} --recipe small -o {output.with_suffix('.edge')}",
    )


def _check(
    encoder_from: Path | None,
    embeddings: Path | None,
    page: Path | None,
    encoder: EncoderKind,
    learning: dict[str, object],
) -> None:
    """Refuse options that would do nothing beside others."""
    if embeddings and not encoder_from:
        raise DataError(
            f"Class embeddings belong to an encoder. Received: --embeddings {embeddings} alone. Name it with --encoder-from."
        )
    if page and encoder is not EncoderKind.AUTOENCODER:
        raise DataError(
            f"The report shows what autoencoders give back. Received: --report {page} with the {encoder.value} encoder. "
            "Add --encoder autoencoder, or compress the model and use edge-sdk report."
        )
    idle = [name for name, value in learning.items() if value is not None]
    if encoder is not EncoderKind.LEARNED:
        idle.append("--encoder")
    if encoder_from and idle:
        raise DataError(
            f"An encoder that is taken as it is has its own size and learns nothing. Received: {', '.join(idle)} beside "
            f"--encoder-from {encoder_from}. Leave one of them out."
        )


def _first_phase(splits: Splits, names: Path | None, share: float | None) -> FirstPhase | None:
    from ..learn.selection.lists import positions, read_list
    from ..learn.two_phase import FirstPhase

    if names is None and share is not None:
        raise DataError(
            f"--first-share is for the pictures of --first. Received: {share} alone. Name them with --first."
        )
    return FirstPhase(positions(splits.train, read_list(names)), 0.5 if share is None else share) if names else None


def _on_encoder(path: Path, embeddings: Path | None, splits: Splits, config: TrainConfig, told: Told) -> Trained:
    from ..learn.embedding_files import read_embeddings
    from ..learn.transfer import PrototypePlan, load_encoder, train_on_encoder

    table = read_embeddings(embeddings) if embeddings else None
    plan = PrototypePlan(config.prototypes, config.method, config.seed)
    return train_on_encoder(load_encoder(path), splits, plan, table=table, told=told)


def _write_page(page: Path, trained: Trained, splits: Splits) -> None:
    from ..report.reconstructions import reconstruct_each, write_reconstructions

    found = reconstruct_each(trained.autoencoders, trained.validation)
    write_reconstructions(
        page, found, title=f"Autoencoders of {splits.name}", notes=[splits.note] if splits.note else []
    )
