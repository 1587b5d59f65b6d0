"""The report: one self-contained HTML page that needs no script and asks no server for anything."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.cli.text import format_bytes
from edge_sdk_runtime.files import write_atomically

from .plots import accuracy_by_pass, confusion_matrix, embedding_map, latency_bars, size_bars
from .svg import legible
from .tables import comparison

if TYPE_CHECKING:
    from edge_sdk_converters.quantize.plan import Quantization
    from edge_sdk_runtime.manifest import Manifest

    from .measure import BundleResult

__all__ = ["verdict", "write_report"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_WIDE_FROM = 21
"""Confusion matrices of so many classes take the page's whole width."""


def write_report(
    path: str | os.PathLike[str],
    results: Sequence[BundleResult],
    *,
    title: str,
    notes: Sequence[str] = (),
    next_commands: Sequence[str] = (),
) -> None:
    """Write bundles side by side as one HTML file; the same results give the same bytes.

    Args:
        path: The file to create or replace.
        results: Measured bundles of the same classes, at least one; the first is what the others are compared with.
        title: Heading of the page.
        notes: What a reader should know of the data.
        next_commands: What to type next, a command each.

    Raises:
        OSError: The file cannot be written; a previous one stays as it was.
    """
    body = "\n".join(
        (
            f"<header><h1>{_text(title)}</h1>\n<p class='verdict'>{_text(verdict(results))}</p></header>",
            _section("Comparison", _comparison(results), _list(notes)),
            *(_section(f"What each pass did: {each.title}", _passes(each)) for each in results if each.passes),
            *(
                _section(f"Quantization: {each.title}", _quantization(each.quantization))
                for each in results
                if each.quantization
            ),
            _section("Plots", f"<div class='plots'>{''.join(_plots(results))}</div>"),
            *(_section(f"Bundle: {each.title}", _about(each)) for each in results),
            _section("Next", _pre("\n".join(next_commands))) if next_commands else "",
        )
    )
    write_atomically(path, _page(title, body).encode())


def verdict(results: Sequence[BundleResult]) -> str:
    """What the comparison comes to, in one sentence.

    Args:
        results: Measured bundles, at least one; each is compared with the first.
    """
    first, *others = results
    if not others:
        size = format_bytes(first.bundle.manifest.measured.tflite_bytes)
        return f"{first.evaluation.accuracy:.1%} accuracy with {size} of .tflite."
    sentences = [_against(first, other) for other in others]
    if len(others) > 1:
        sentences = [f"{other.title}: {sentence}" for other, sentence in zip(others, sentences, strict=True)]
    return "; ".join(sentences) + "."


def _against(first: BundleResult, other: BundleResult) -> str:
    ratio = first.bundle.manifest.measured.tflite_bytes / max(other.bundle.manifest.measured.tflite_bytes, 1)
    size = f"1/{ratio:.1f} of" if ratio >= 1.05 else f"{1 / ratio:.1f} times" if ratio <= 0.95 else "about"
    return f"{first.evaluation.accuracy:.1%} → {other.evaluation.accuracy:.1%} accuracy at {size} the .tflite size"


def _page(title: str, body: str) -> str:
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _comparison(results: Sequence[BundleResult]) -> str:
    rows = [(row.name, *row.values) for row in comparison(results)]
    images = len(results[0].evaluation.targets)
    margin = max(_margin(result) for result in results)
    return _table(("", *(result.title for result in results)), rows) + _paragraph(
        f"Accuracy on {images:,} held-out images is known to about ±{margin * 100:.1f} percentage points (95% interval). "
        "Latency is of the machine that wrote this page; edge-run classify shows a device's own.",
        "aside",
    )


def _margin(result: BundleResult) -> float:
    """Half of the 95% interval of the accuracy, after Wilson, "Probable inference" (1927), which holds near 0 and 1 too."""
    count, share, z = len(result.evaluation.targets), result.evaluation.accuracy, 1.96
    return z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))


def _passes(result: BundleResult) -> str:
    head = (
        "pass",
        "accuracy right after",
        "after recovery",
        "parameters",
        "multiply-accumulates",
        "float .tflite size",
    )
    before = result.passes[0].before
    rows = [("original", "", f"{before.accuracy:.2%}", *_costs(before.parameters, before.macs, before.tflite_bytes))]
    for report in result.passes:
        after = report.after
        rows.append(
            (
                report.kind,
                f"{report.accuracy_before_recovery:.2%}",
                f"{after.accuracy:.2%}",
                *_costs(after.parameters, after.macs, after.tflite_bytes),
            )
        )
    details = (
        _details(f"{each.kind}, layer by layer", _pre("\n".join(each.details)))
        for each in result.passes
        if each.details
    )
    steps = accuracy_by_pass(result) or ""
    figure = _figure(steps, "Accuracy on the validation images, and parameters, after each pass.")
    return f"{_table(head, rows)}<div class='plots'>{figure}<div>{''.join(details)}</div></div>"


def _quantization(account: Quantization) -> str:
    """What it comes to, and what quantizing each layer alone costs where that was measured."""
    head = ("layer", "quantized alone as", "operators", "outputs above their error", "accuracy", "kept in")
    rows = [
        (
            layer.name,
            layer.mode.value,
            ", ".join(layer.operators),
            f"{layer.snr_db:.0f} dB",
            f"{layer.accuracy:.2%}",
            "float32" if layer.name in account.float_layers else "",
        )
        for layer in account.sensitivities
    ]
    return _list(account.summary) + (_table(head, rows) if rows else "")


def _costs(parameters: int, macs: int, tflite_bytes: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{macs:,}", format_bytes(tflite_bytes)


def _plots(results: Sequence[BundleResult]) -> Iterable[str]:
    """Figures of all bundles together, then of each; a map of the first and the last, for maps take seconds."""
    yield _figure(size_bars(results), "Size of the .tflite files of the default form, and of the whole bundle.")
    yield _figure(latency_bars(results), "Latency per image: median of each stage; marked: p95 of the total.")
    for result in results:
        wide = len(result.evaluation.labels) >= _WIDE_FROM
        caption = f"{result.title}: classes taken for one another. {_mistakes(result)}"
        yield _figure(confusion_matrix(result), caption, wide)
    for result in results if len(results) < 3 else (results[0], results[-1]):
        points = embedding_map(result)
        if points:
            yield _figure(points, f"{result.title}: held-out images where their embeddings lie, by true class.")


def _figure(svg: str, caption: str, wide: bool = False) -> str:
    return f"<figure{' class=wide' if wide else ''}>{svg}<figcaption>{_text(caption)}</figcaption></figure>\n"


def _mistakes(result: BundleResult, shown: int = 3) -> str:
    """The most frequent confusions in words."""
    counts = result.evaluation.confusion.copy()
    np.fill_diagonal(counts, 0)
    worst = [divmod(int(place), len(counts)) for place in np.argsort(-counts, axis=None, kind="stable")[:shown]]
    labels = result.evaluation.labels
    named = [f"{labels[i]} taken for {labels[j]} ({counts[i, j]})" for i, j in worst if counts[i, j]]
    return f"Most often {', '.join(named)}." if named else "No image is classified wrongly."


def _about(result: BundleResult) -> str:
    """How the bundle is run, how it was proven, and what it was made of."""
    manifest = result.bundle.manifest
    recipe = manifest.provenance.get("recipe")
    labels = f"<ul class='labels'>{''.join(f'<li>{_text(label)}</li>' for label in manifest.labels)}</ul>"
    count = f"{len(manifest.labels)} labels"
    members = "\n".join(
        f"{entry.sha256}  {name}, {format_bytes(entry.size_bytes)}" for name, entry in manifest.files.items()
    )
    return "\n".join(
        (
            _terms(_facts(manifest)),
            _details(count, labels) if len(manifest.labels) > 30 else f"<h3>{count}</h3>{labels}",
            f"<h3>Recipe</h3>{_pre(recipe.strip())}" if recipe else "",
            _details("Files and their SHA-256", _pre(members)),
        )
    )


def _facts(manifest: Manifest) -> dict[str, str]:
    measured, spec, allowed = manifest.measured, manifest.preprocess, manifest.tolerances
    proof = (
        f"{', '.join(manifest.interpreters)} reproduced the golden vectors of every stage when the bundle was written"
    )
    facts = {
        "Forms": ", ".join(f"{form} (default)" if form == manifest.default_form else form for form in manifest.forms),
        "Proof": proof
        if manifest.interpreters
        else "no interpreter is recorded as having reproduced the golden vectors",
        "Tolerances": f"preprocess {allowed.preprocess:.3g} grey levels, embed {allowed.embed:.3g}, "
        f"similarity {allowed.similarity:.3g}, scores {allowed.scores:.3g}",
        "Preprocessing": f"{spec.resize.value} to {spec.width} × {spec.height} pixels (width × height), "
        f"{spec.interpolation.value} interpolation, {spec.color.value}",
    }
    if manifest.staged:
        prototypes = len(manifest.staged.prototype_labels)
        facts["Stages"] = f"encoder, {manifest.staged.similarity.value} similarity to {prototypes} prototypes, head"
    if measured.accuracy is not None:
        facts["Measured when written"] = f"{measured.accuracy:.2%} of {measured.images:,} images of {measured.data}"
    others = {key: value for key, value in manifest.provenance.items() if key != "recipe"}
    return facts | {key.replace("_", " ").capitalize(): value for key, value in others.items()}


def _text(text: str) -> str:
    return html.escape(legible(text))


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{''.join(parts)}\n</section>"


def _paragraph(text: str, kind: str) -> str:
    return f"<p class='{kind}'>{_text(text)}</p>"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>" if items else ""


def _pre(text: str) -> str:
    return f"<pre>{_text(text)}</pre>"


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{_text(summary)}</summary>{content}</details>"


def _terms(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{_text(term)}</dt><dd>{_text(fact)}</dd>' for term, fact in facts.items())}</dl>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls on its own where the screen is narrow; the first cell of a row names it."""
    heading = "".join(f"<th scope='col'>{_text(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{_text(row[0])}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in row[1:])}</tr>\n"
        for row in rows
    )
    return f"<div class='scroll' tabindex='0'><table>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
