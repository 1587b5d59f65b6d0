"""`edge-run classify`: label, score and time per stage for image files."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..classifier import Classification, Classifier
from ..errors import ImageReadError, UsageError
from ..images import read_image
from .text import format_ns, format_table, json_number

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser("classify", parents=[common], help="classify image files: label, score, time per stage")
    parser.add_argument("bundle", help="an .edge file")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="show the K most probable classes (default 1)")
    parser.add_argument("--form", choices=("staged", "fused"), help="inference form (default: the bundle's own)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="interpreter threads (default 1)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.top < 1:
        raise UsageError(f"--top must be at least 1. Received: {options.top}. Ask for one class or more.")
    results: list[tuple[str, Classification]] = []
    unreadable = 0
    with Classifier.load(
        options.bundle, form=options.form, interpreter=options.interpreter, threads=options.threads
    ) as classifier:
        classifier.warm_up()
        for path in options.images:
            try:
                results.append((path, classifier.classify(read_image(path))))
            except ImageReadError as error:
                print(f"edge-run: {error}", file=sys.stderr)
                unreadable += 1
    if results:
        print(_as_json(results, options.top) if options.json else _as_text(results, options.top))
    return 2 if unreadable else 0


def _as_json(results: list[tuple[str, Classification]], top: int) -> str:
    documents = [
        {
            "image": path,
            "label": result.label,
            "score": json_number(result.score),
            "top": [{"label": label, "score": json_number(score)} for label, score in result.top(top)],
            "stages_ns": dict(zip(result.stages, result.durations_ns, strict=True)),
            "total_ns": result.total_ns,
        }
        for path, result in results
    ]
    return json.dumps(documents, indent=2, ensure_ascii=False)


def _as_text(results: list[tuple[str, Classification]], top: int) -> str:
    rows = [("image", "label", "score", *results[0][1].stages, "total")]
    for path, result in results:
        times = (*map(format_ns, result.durations_ns), format_ns(result.total_ns))
        best, *others = result.top(top)
        rows.append((path, best[0], f"{best[1]:.3f}", *times))
        rows += [("", label, f"{score:.3f}", *("" for _ in times)) for label, score in others]
    return format_table(rows)
