"""`edge-run classify`: label, score and time per stage for image files."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..classifier import Classification, Classifier
from ..errors import ImageReadError, UsageError
from ..images import IMAGE_SUFFIXES
from .processors import add_cpus_option, use_chosen_cpus
from .text import format_label, format_ns, format_table, json_number

if TYPE_CHECKING:
    from ..trace import TraceFile

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser("classify", parents=[common], help="classify image files: label, score, time per stage")
    parser.add_argument("bundle", help="an .edge file")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="show the K most probable classes (default 1)")
    parser.add_argument("--form", choices=("staged", "fused"), help="inference form (default: the bundle's own)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="interpreter threads (default 1)")
    add_cpus_option(parser)
    parser.add_argument("--trace", metavar="FILE.json", help="write a trace that Perfetto and chrome://tracing open")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.top < 1:
        raise UsageError(f"--top must be at least 1. Received: {options.top}. Ask for one class or more.")
    use_chosen_cpus(options)
    results: list[tuple[str, Classification]] = []
    unreadable = 0
    with (
        Classifier.load(
            options.bundle, form=options.form, interpreter=options.interpreter, threads=options.threads
        ) as classifier,
        _trace(options.trace) as trace,
    ):
        classifier.warm_up()
        for path, result in classifier.classify_files(_files(options.images)):
            if isinstance(result, ImageReadError):
                print(f"edge-run: {result}", file=sys.stderr)
                unreadable += 1
            else:
                results.append((path, result))
                if trace:
                    trace.add(result)
    if results:
        print(_as_json(results, options.top) if options.json else _as_text(results, options.top))
    return 2 if unreadable else 0


def _trace(path: str | None) -> AbstractContextManager[TraceFile | None]:
    if path is None:
        return nullcontext()
    from ..trace import TraceFile

    return TraceFile(path)


def _files(names: list[str]) -> list[str]:
    """The files named, and in the place of a folder the image files in it, by name."""
    files: list[str] = []
    for name in names:
        if not Path(name).is_dir():
            files.append(name)
            continue
        found = sorted(str(path) for path in Path(name).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise UsageError(f"A folder must hold image files. Received: {name} without any. Name another folder.")
        files += found
    return files


def _as_json(results: list[tuple[str, Classification]], top: int) -> str:
    documents = [
        {
            "image": path,
            "label": result.label,
            "score": json_number(result.score),
            "unknown": result.unknown,
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
        _, *others = result.top(top)
        rows.append((path, format_label(result), f"{result.score:.3f}", *times))
        rows += [("", label, f"{score:.3f}", *("" for _ in times)) for label, score in others]
    return format_table(rows)
