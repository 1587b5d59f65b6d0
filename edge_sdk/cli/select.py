"""`edge-sdk select`: labelled pictures → the list of those worth learning from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from ..learn.selection import Strategy
from ..learn.selection.base import no_basis
from .console import Told, command, say, tell_skipped, working
from .options import Json, Limit, Output, Seed, Strict

if TYPE_CHECKING:
    from ..data import Splits
    from ..learn.selection import SelectionConfig
    from ..learn.selection.embed import Embedder

__all__ = ["select"]

_AUTOENCODER_SIDE = 32


@dataclass(frozen=True)
class _Basis:
    """What images are to be chosen by, as the options say.

    Attributes:
        model: A `.keras` file.
        autoencoder: Whether to train one.
        steps: Of that training.
        keep: Where to leave its encoder.
    """

    model: Path | None
    autoencoder: bool
    steps: int
    keep: Path | None


def select(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="A folder with one folder per class, an .npz file, or a named set. With --merge, files of --part.",
            show_default=False,
        ),
    ],
    output: Output,
    count: Annotated[int | None, typer.Option(min=1, help="Images to choose.", show_default=False)] = None,
    share: Annotated[
        float | None, typer.Option(min=0, max=1, help="The same as a share of the training images.", show_default=False)
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="What images are chosen by.")] = Strategy.TOP_ACTIVATION,
    balanced: Annotated[bool, typer.Option("--balanced", help="The same number of every class.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="A .keras file whose embedding, or class scores, to choose by.", show_default=False),
    ] = None,
    autoencoder: Annotated[
        bool, typer.Option("--autoencoder", help="Train an autoencoder and choose by its code; needs no labels.")
    ] = False,
    autoencoder_steps: Annotated[int, typer.Option(min=1, help="Optimisation steps of that training.")] = 2000,
    keep_encoder: Annotated[
        Path | None, typer.Option(help="Write the autoencoder's encoder there, for --model.", show_default=False)
    ] = None,
    discard: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the hardest images that the margin leaves out.")
    ] = 0.3,
    part: Annotated[
        str | None, typer.Option(help="See only a part, such as 2/4, and write a file for --merge.", show_default=False)
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Choose from the files that --part wrote.")] = False,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Choose training pictures by their embeddings, and write their names: a list for edge-sdk train --only.

    Held-out pictures are never among them. The split depends on --seed and --limit, so train with the same ones.
    """
    if merge:
        _merge(sources, output, as_json, given=count or share or part or model or autoencoder)
        return
    source = _only_source(sources)
    basis = _Basis(model, autoencoder, autoencoder_steps, keep_encoder)
    _check_number(count, share)
    _check(basis, strategy, part)
    with working() as told:
        from ..data import load_images
        from ..learn.selection import SelectionConfig

        splits = load_images(source, seed=seed, strict=strict, limit=limit, progress=partial(told, "read"))
        config = SelectionConfig(
            strategy,
            _number(count, share, len(splits.train)),
            len(splits.labels) if balanced else None,
            seed,
            discard=discard,
        )
        embedder = _embedder(splits, config, basis, told)
        run = partial(_see_part, part=part) if part else _choose
        document = run(splits, config, embedder, basis, output, told)
    tell_skipped(splits)
    if as_json:
        say(json.dumps(document, ensure_ascii=False, indent=2))
    elif part:
        say(f"{output}: part {part} of {len(splits.train)} training pictures is seen. When all parts are:")
        say(f"  {command('edge-sdk')} select --merge PART.npz PART.npz … -o chosen.txt")
    else:
        _tell_chosen(source, output, document)


def _merge(sources: list[str], output: Path, as_json: bool, given: object) -> None:
    from ..learn.selection.lists import write_list
    from ..learn.selection.parts import merge_parts

    if given:
        raise DataError(
            "--merge takes its options from the parts. Received: it together with --count, --share, --part, --model or "
            "--autoencoder. Leave them out."
        )
    _, names = merge_parts(sources)
    write_list(output, names)
    if as_json:
        say(json.dumps({"chosen": str(output), "images": len(names), "parts": len(sources)}, indent=2))
    else:
        say(f"{output}: {len(names)} pictures, chosen from {len(sources)} parts together.")


def _choose(
    splits: Splits, config: SelectionConfig, embedder: Embedder | None, basis: _Basis, output: Path, told: Told
) -> dict[str, Any]:
    import numpy as np

    from ..learn.selection.images import select_images
    from ..learn.selection.lists import write_list

    del basis
    chosen = select_images(splits.train, config, embedder, told)
    write_list(output, [splits.train.names[index] for index in chosen])
    counts = np.bincount(splits.train.targets[chosen], minlength=len(splits.labels))
    return {
        "chosen": str(output),
        "images": len(chosen),
        "of": len(splits.train),
        "strategy": config.strategy.value,
        "balanced": config.classes is not None,
        "by": embedder.what if embedder else "chance",
        "images_per_class": dict(zip(splits.labels, counts.tolist(), strict=True)),
    }


def _see_part(
    splits: Splits,
    config: SelectionConfig,
    embedder: Embedder | None,
    basis: _Basis,
    output: Path,
    told: Told,
    *,
    part: str,
) -> dict[str, Any]:
    from ..learn.selection import make_selector
    from ..learn.selection.images import see_images
    from ..learn.selection.parts import Part, fingerprint, parse_part, write_part

    number, parts = parse_part(part)
    by = hashlib.sha256(basis.model.read_bytes()).hexdigest() if basis.model else ""
    names = splits.train.names
    seen = Part(
        number, parts, fingerprint(names, by), len(names), config, make_selector(config), dict(enumerate(names))
    )
    if not seen.rows:
        raise DataError(f"A part must have images. Received: {len(names)} images in {parts} parts. Use fewer parts.")
    see_images(seen.selector, splits.train, seen.rows, config.strategy, embedder, told)
    write_part(output, seen)
    return {"part": str(output), "number": number, "parts": parts, "images": len(seen.rows), "of": len(names)}


def _embedder(splits: Splits, config: SelectionConfig, basis: _Basis, told: Told) -> Embedder | None:
    from edge_sdk_converters.keras_file import ModelCard, load_keras, save_keras
    from edge_sdk_runtime import Color, PreprocessSpec

    from ..learn.embedding_autoencoder import EmbeddingAutoencoderConfig
    from ..learn.selection.embed import embedder_of, native_spec
    from ..learn.selection.images import autoencoder_embedder

    if basis.model:
        network, card = load_keras(basis.model)
        spec = card.preprocess if card else native_spec(network)
        return embedder_of(network, spec, splits.train, scores=config.strategy is Strategy.MARGIN)
    if not basis.autoencoder:
        return None
    color = splits.spec.color if splits.spec else Color.RGB
    spec = PreprocessSpec(_AUTOENCODER_SIDE, _AUTOENCODER_SIDE, color=color)
    plan = EmbeddingAutoencoderConfig(steps=basis.steps, flip=splits.flips, seed=config.seed)
    embedder = autoencoder_embedder(splits, spec, plan, told)
    if basis.keep:
        card = ModelCard(splits.labels, spec, splits.name, splits.seed, splits.flips, splits.limit)
        save_keras(basis.keep, embedder.model, card)
    return embedder


def _only_source(sources: list[str]) -> str:
    if len(sources) != 1:
        raise DataError(
            f"Images are chosen from one data set. Received: {len(sources)}: {' '.join(sources[:3])}. "
            "Name one, or add --merge where these are parts."
        )
    return sources[0]


def _check(basis: _Basis, strategy: Strategy, part: str | None) -> None:
    if basis.model and basis.autoencoder:
        raise DataError("Images are chosen by one embedding. Received: --model and --autoencoder. Leave one out.")
    if strategy is Strategy.RANDOM and (basis.model or basis.autoencoder):
        raise DataError(
            "The strategy random looks at no embedding. Received: --model or --autoencoder beside it. Leave it out."
        )
    if strategy is Strategy.MARGIN and basis.autoencoder:
        raise DataError(
            "The margin needs a classifier's scores. Received: --autoencoder. Pass --model with a classifier of these classes."
        )
    if strategy is not Strategy.RANDOM and not (basis.model or basis.autoencoder):
        raise no_basis(strategy)
    if part and basis.autoencoder:
        raise DataError(
            "All parts must be embedded by one model. Received: --part with --autoencoder, which would train one for each. "
            "Train it once with --keep-encoder FILE, then pass --model FILE."
        )
    if part:
        from ..learn.selection.parts import parse_part

        parse_part(part)


def _check_number(count: int | None, share: float | None) -> None:
    if (count is None) == (share is None):
        raise DataError(
            f"How many to choose must be given once. Received: --count {count}, --share {share}. Give one of the two."
        )


def _number(count: int | None, share: float | None, images: int) -> int:
    chosen = count if count is not None else max(1, round((share or 0) * images))
    if chosen > images:
        raise DataError(
            f"No more can be chosen than there are, {images} training images. Received: {chosen}. Choose fewer."
        )
    return chosen


def _tell_chosen(source: str, output: Path, document: dict[str, Any]) -> None:
    per_class = ", ".join(f"{label} {number}" for label, number in document["images_per_class"].items())
    say(
        f"{output}: {document['images']} of {document['of']} training pictures, by {document['by']}.",
        f"  {per_class}",
        "Next:",
        f"  {command('edge-sdk')} train {source} --only {output} -o MODEL.keras",
    )
