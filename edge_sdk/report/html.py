"""The report: one self-contained HTML page that needs no script and asks no server for anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.cli.text import format_bytes
from edge_sdk_runtime.files import write_atomically

from . import page
from .plots import accuracy_by_pass, confusion_matrix, embedding_map, latency_bars, size_bars
from .tables import comparison

if TYPE_CHECKING:
    from edge_sdk_converters.metadata import ModelMetadata
    from edge_sdk_converters.quantize.plan import Quantization
    from edge_sdk_runtime.manifest import Manifest

    from .measure import BundleResult

__all__ = ["verdict", "write_report"]

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
            f"<header><h1>{page.text(title)}</h1>\n<p class='verdict'>{page.text(verdict(results))}</p></header>",
            page.section("Comparison", _comparison(results), page.bullets(notes)),
            *(page.section(f"What each pass did: {each.title}", _passes(each)) for each in results if each.passes),
            *(
                page.section(f"Quantization: {each.title}", _quantization(each.quantization))
                for each in results
                if each.quantization
            ),
            page.section("Plots", f"<div class='plots'>{''.join(_plots(results))}</div>"),
            *(page.section(f"Bundle: {each.title}", _about(each)) for each in results),
            page.section("Next", page.preformatted("\n".join(next_commands))) if next_commands else "",
        )
    )
    write_atomically(path, page.document(title, body).encode())


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


def _comparison(results: Sequence[BundleResult]) -> str:
    rows = [(row.name, *row.values) for row in comparison(results)]
    images = len(results[0].evaluation.targets)
    margin = max(_margin(result) for result in results)
    return page.table(("", *(result.title for result in results)), rows) + page.paragraph(
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
        page.details(f"{each.kind}, layer by layer", page.preformatted("\n".join(each.details)))
        for each in result.passes
        if each.details
    )
    steps = accuracy_by_pass(result) or ""
    figure = page.figure(steps, "Accuracy on the validation images, and parameters, after each pass.")
    return f"{page.table(head, rows)}<div class='plots'>{figure}<div>{''.join(details)}</div></div>"


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
    return page.bullets(account.summary) + (page.table(head, rows) if rows else "")


def _costs(parameters: int, macs: int, tflite_bytes: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{macs:,}", format_bytes(tflite_bytes)


def _plots(results: Sequence[BundleResult]) -> Iterable[str]:
    """Figures of all bundles together, then of each; a map of the first and the last, for maps take seconds."""
    yield page.figure(size_bars(results), "Size of the .tflite files of the default form, and of the whole bundle.")
    yield page.figure(latency_bars(results), "Latency per image: median of each stage; marked: p95 of the total.")
    for result in results:
        wide = len(result.evaluation.labels) >= _WIDE_FROM
        caption = f"{result.title}: classes taken for one another. {_mistakes(result)}"
        yield page.figure(confusion_matrix(result), caption, wide)
    for result in results if len(results) < 3 else (results[0], results[-1]):
        points = embedding_map(result)
        if points:
            yield page.figure(points, f"{result.title}: held-out images where their embeddings lie, by true class.")


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
    labels = f"<ul class='labels'>{''.join(f'<li>{page.text(label)}</li>' for label in manifest.labels)}</ul>"
    count = f"{len(manifest.labels)} labels"
    members = "\n".join(
        f"{entry.sha256}  {name}, {format_bytes(entry.size_bytes)}" for name, entry in manifest.files.items()
    )
    return "\n".join(
        (
            page.terms(_facts(manifest) | _says(result.metadata)),
            page.details(count, labels) if len(manifest.labels) > 30 else f"<h3>{count}</h3>{labels}",
            f"<h3>Recipe</h3>{page.preformatted(recipe.strip())}" if recipe else "",
            page.details("Files and their SHA-256", page.preformatted(members)),
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


def _says(metadata: ModelMetadata | None) -> dict[str, str]:
    """What the classifier's own file tells other tools."""
    if metadata is None:
        return {}
    image = metadata.image
    size = [f"{image.width} × {image.height} pixels"] if image.width else []
    says = [*size, *([image.color.value] if image.color else []), f"{len(metadata.scores.labels)} labels"]
    return {"TFLite Metadata": f"{metadata.name}, version {metadata.version}: {', '.join(says)}"}
