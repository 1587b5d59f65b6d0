"""`edge-run info`: what a bundle holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..bundle import Bundle
from ..manifest import Manifest
from .text import format_bytes, format_table

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "info", parents=[common], help="what a bundle holds: labels, forms, files, measured figures"
    )
    parser.add_argument("bundle", help="an .edge file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    manifest = Bundle.open(options.bundle).manifest
    if options.json:
        print(json.dumps(json.loads(manifest.to_json()), indent=2, ensure_ascii=False))
    else:
        print(_as_text(manifest))
    return 0


def _as_text(manifest: Manifest) -> str:
    spec, measured = manifest.preprocess, manifest.measured
    accuracy = (
        "not measured" if measured.accuracy is None else f"{measured.accuracy:.2%} of {measured.images} held-out images"
    )
    rows = [
        ("bundle", manifest.name),
        ("task", manifest.task),
        ("labels", f"{len(manifest.labels)}: {', '.join(manifest.labels)}"),
        ("input", f"{spec.width} × {spec.height} {spec.color.value}, {spec.resize.value}, {spec.interpolation.value}"),
        ("forms", ", ".join(f"{form} (default)" if form == manifest.default_form else form for form in manifest.forms)),
        ("accuracy", f"{accuracy} ({measured.data})" if measured.data else accuracy),
        ("network", f"{_count(measured.parameters)} parameters, {_count(measured.macs)} multiply-accumulates"),
        ("proven with", ", ".join(manifest.interpreters) or "nothing"),
        ("runs on", _runs_on(manifest)),
        ("unknown images", "are told" if manifest.unknown else "are not told"),
        *_teaching(manifest),
        *((f"  {key}", value) for key, value in sorted(manifest.provenance.items()) if "\n" not in value),
    ]
    coded = any(entry.rebuilt for entry in manifest.files.values())
    if coded:
        from ..cache import cache_status

        rows.append(("model cache", str(cache_status())))
    return f"{format_table(rows)}\n\n{format_table(_files(manifest, coded))}"


def _teaching(manifest: Manifest) -> list[tuple[str, str]]:
    """Whether it can be taught, and what it was taught."""
    if not (manifest.staged and manifest.staged.memory):
        return [("teaching", "not possible: it has no feature memory")]
    taught = [
        f"{each.label}: {each.images} images, {each.prototypes} prototype{'s' * (each.prototypes != 1)}, "
        + ("accuracy unknown" if each.accuracy is None else f"about {each.accuracy:.1%} right")
        for each in manifest.taught
    ]
    return [("version", f"{manifest.version}"), *([("taught", "; ".join(taught))] if taught else [])]


def _runs_on(manifest: Manifest) -> str:
    if not manifest.models:
        return "NumPy alone: it holds no model, so it needs no interpreter"
    return ", ".join(f"{name} ≥ {oldest}" for name, oldest in sorted(manifest.requires.items())) or "unknown"


def _files(manifest: Manifest, coded: bool) -> list[tuple[str, ...]]:
    """Sizes as stored, and where some files are coded, beside them those of the rebuilt ones."""
    files = sorted(manifest.files.items())
    if not coded:
        return [("file", "size"), *((name, format_bytes(entry.size_bytes)) for name, entry in files)]
    rebuilt = [format_bytes(entry.rebuilt.size_bytes) if entry.rebuilt else "" for _, entry in files]
    sizes = ((name, format_bytes(entry.size_bytes), size) for (name, entry), size in zip(files, rebuilt, strict=True))
    return [("file", "stored", "rebuilt"), *sizes]


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
