"""`edge-sdk embeddings`: class embeddings as files, handed out like word vectors."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from edge_sdk_runtime.similarity import Similarity

from ..errors import DataError
from ..learn.embedding_files import EmbeddingTable, read_embeddings, write_embeddings
from ..learn.neighbours import Duplicates, Neighbour, merge_tables, most_alike, nearest
from ..learn.prototypes import PrototypeMethod
from .console import command, say, tell_skipped, working
from .options import Json, Limit, Output, Seed, Strict

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["app"]

app = typer.Typer(help="Class embeddings as files: build them, look at them, put them together.", no_args_is_help=True)

_SHOWN = 40
_COMPARED = 2000
"""Labels up to which every one is compared with every other."""


@app.command()
def build(
    source: Annotated[str, typer.Argument(help="A folder with one folder per class, an .npz file, or a named set.")],
    model: Annotated[Path, typer.Option(help="A .keras classifier of edge-sdk train.", show_default=False)],
    output: Output,
    prototypes: Annotated[int, typer.Option(min=1, help="Vectors per class.")] = 1,
    method: Annotated[
        PrototypeMethod | None,
        typer.Option(help="How they are made (default: the mean for one, kmeans for more).", show_default=False),
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Embed labelled pictures and write vectors for each class: a text like word vectors, and the same as .npz beside it.

    Only training pictures are embedded. Pictures the model learnt from are split as they were then.
    """
    with working() as told:
        from ..data import load_images
        from ..learn.transfer import PrototypePlan, class_table, load_encoder

        known = load_encoder(model)
        own = known.card.data == source
        split, most = (known.card.seed, known.card.limit) if own else (seed, limit)
        splits = load_images(source, seed=split, strict=strict, limit=most, progress=partial(told, "read")).at_most(
            limit
        )
        table = class_table(known, splits, PrototypePlan(prototypes, method, seed), told)
    paths = write_embeddings(output, table)
    tell_skipped(splits)
    if as_json:
        say(json.dumps({"files": [str(path) for path in paths], **_summary(table)}, ensure_ascii=False, indent=2))
        return
    say(
        f"{' and '.join(map(str, paths))}: {_size(table)}.",
        "Next, with anybody's pictures:",
        f"  {command('edge-sdk')} train PICTURES --encoder-from {model} --embeddings {output} -o MODEL.keras",
    )


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="An embedding file, text or .npz.", show_default=False)],
    near: Annotated[
        str | None, typer.Option("--nearest", help="A label of the file, or a picture.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-k", min=1, help="Neighbours to show.")] = 5,
    model: Annotated[
        Path | None, typer.Option(help="For a picture: the .keras classifier that embeds it.", show_default=False)
    ] = None,
    similarity: Annotated[
        Similarity | None,
        typer.Option(help="How vectors are compared (default: as the model does, else cosine).", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what an embedding file holds: its labels and which is most like which, or the neighbours of a label or picture."""
    table = read_embeddings(file)
    if near is None:
        _show_all(table, file, similarity or Similarity.COSINE, as_json)
    elif near in table.counts:
        _show_near(_others(table, near, count, similarity or Similarity.COSINE), near, as_json)
    else:
        _show_near(_of_picture(table, near, count, model, similarity), near, as_json)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Embedding files of one width.", show_default=False)],
    output: Output,
    duplicates: Annotated[
        Duplicates,
        typer.Option(
            help="A label that several files have: append its vectors, keep those of the first or last file, or refuse."
        ),
    ] = Duplicates.APPEND,
    as_json: Json = False,
) -> None:
    """Put embedding files together. A vector that its label has already is left out."""
    table = merge_tables([read_embeddings(file) for file in files], duplicates)
    paths = write_embeddings(output, table)
    if as_json:
        say(json.dumps({"files": [str(path) for path in paths], **_summary(table)}, ensure_ascii=False, indent=2))
    else:
        say(f"{' and '.join(map(str, paths))}: {_size(table)}.")


def _size(table: EmbeddingTable) -> str:
    return f"{len(table.counts)} labels, {len(table)} vectors of {table.width} numbers"


def _summary(table: EmbeddingTable) -> dict[str, Any]:
    return {"width": table.width, "vectors": len(table), "labels": table.counts}


def _show_all(table: EmbeddingTable, file: Path, measure: Similarity, as_json: bool) -> None:
    from edge_sdk_runtime.cli.text import format_table

    alike = most_alike(table, measure) if len(table.counts) <= _COMPARED else {}
    if as_json:
        likes = {label: {"label": other, "similarity": value} for label, (other, value) in alike.items()}
        say(json.dumps({"file": str(file), **_summary(table), "most_alike": likes}, ensure_ascii=False, indent=2))
        return
    shown = list(table.counts)[:_SHOWN]
    rows = [("label", "vectors", "most like", measure.value)]
    for label in shown:
        like = (alike[label][0], f"{alike[label][1]:.3f}") if label in alike else ("", "")
        rows.append((label, str(table.counts[label]), *like))
    say(f"{file}: {_size(table)}.", format_table(rows))
    if len(table.counts) > len(shown):
        say(f"and {len(table.counts) - len(shown)} labels more")


def _others(table: EmbeddingTable, label: str, count: int, measure: Similarity) -> list[Neighbour]:
    """The neighbours of a label's mean among the other labels."""
    own = np.array([each == label for each in table.labels])
    if own.all():
        return []
    rest = EmbeddingTable(tuple(each for each in table.labels if each != label), table.vectors[~own])
    return list(nearest(rest, table.vectors[own].mean(axis=0), count, measure))


def _of_picture(
    table: EmbeddingTable, picture: str, count: int, model: Path | None, measure: Similarity | None
) -> list[Neighbour]:
    if not Path(picture).is_file():
        raise DataError(
            f"--nearest takes a label of the file or a picture. Received: {picture}, which is neither. "
            f"The labels begin with {', '.join(list(table.counts)[:5])}."
        )
    if model is None:
        raise DataError(
            f"A picture is embedded by the model that the file was built with. Received: {picture} without --model. Name it."
        )
    with working():
        from ..learn.transfer import load_encoder

        known = load_encoder(model)
        query = _embedded(known.encoder, known.spec, Path(picture))
    return list(nearest(table, query, count, measure or known.similarity))


def _embedded(encoder: Any, spec: Any, picture: Path) -> NDArray[np.float32]:
    from edge_sdk_converters.training import predict
    from edge_sdk_runtime.images import read_image
    from edge_sdk_runtime.preprocess import Preprocessor

    return predict(encoder, Preprocessor(spec)(read_image(picture, (spec.width, spec.height)))[None])[0]


def _show_near(found: list[Neighbour], query: str, as_json: bool) -> None:
    from edge_sdk_runtime.cli.text import format_table

    if as_json:
        document = {"query": query, "nearest": [_document(each) for each in found]}
        say(json.dumps(document, ensure_ascii=False, indent=2))
        return
    rows = [("label", "vector", "similarity")]
    rows += [(each.label, str(each.index), f"{each.similarity:.3f}") for each in found]
    say(format_table(rows))


def _document(found: Neighbour) -> dict[str, Any]:
    return {"label": found.label, "index": found.index, "similarity": found.similarity}
