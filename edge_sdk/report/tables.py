"""The comparison of bundles: one list of rows, for the terminal, the HTML page and JSON alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_sdk_runtime.cli.text import format_bytes, format_ns
from edge_sdk_runtime.manifest import FileEntry

from .measure import BundleResult

__all__ = ["Row", "as_json", "comparison"]


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes:
        name: What is compared.
        values: One text per bundle.
    """

    name: str
    values: tuple[str, ...]


def comparison(results: Sequence[BundleResult]) -> list[Row]:
    """Accuracy, cost, sizes and latency per stage, side by side.

    Stages that only some of the bundles have are shown as `–` for the others.
    """
    measured = [result.bundle.manifest.measured for result in results]
    stored = tuple(map(_stored, results))
    rows = [
        Row("accuracy on held-out images", tuple(f"{result.evaluation.accuracy:.2%}" for result in results)),
        Row("parameters", tuple(_count(each.parameters) for each in measured)),
        Row("multiply-accumulates", tuple(_count(each.macs) for each in measured)),
        Row(".tflite size", tuple(format_bytes(each.tflite_bytes) for each in measured)),
        *([Row("stored in the bundle as", stored)] if any("coded" in each for each in stored) else []),
        *([Row("feature memory", tuple(map(_memory, results)))] if any(map(_memory_bytes, results)) else []),
        Row("bundle size", tuple(format_bytes(result.bundle_bytes) for result in results)),
    ]
    stages = dict.fromkeys(stage for result in results for stage in result.evaluation.latency if stage != "total")
    return rows + [
        Row(f"{stage}, p50 / p95", tuple(_latency(result, stage) for result in results)) for stage in (*stages, "total")
    ]


def as_json(results: Sequence[BundleResult]) -> list[dict[str, Any]]:
    """The same figures for a program to read; durations in nanoseconds, sizes in bytes."""
    return [
        {
            "title": result.title,
            "name": result.bundle.manifest.name,
            "accuracy": result.evaluation.accuracy,
            "images": len(result.evaluation.targets),
            "parameters": result.bundle.manifest.measured.parameters,
            "macs": result.bundle.manifest.measured.macs,
            "tflite_bytes": result.bundle.manifest.measured.tflite_bytes,
            "stored_bytes": _stored_bytes(result),
            "memory_bytes": _memory_bytes(result),
            "bundle_bytes": result.bundle_bytes,
            "latency": {stage: vars(summary) for stage, summary in result.evaluation.latency.items()},
        }
        for result in results
    ]


def _default_models(result: BundleResult) -> list[FileEntry]:
    manifest = result.bundle.manifest
    return [entry for name, entry in manifest.files.items() if name in manifest.default_models]


def _stored_bytes(result: BundleResult) -> int:
    """What the default form's models occupy in the bundle."""
    return sum(entry.size_bytes for entry in _default_models(result))


def _stored(result: BundleResult) -> str:
    coded = any(entry.rebuilt for entry in _default_models(result))
    return f"{format_bytes(_stored_bytes(result))}, {'coded' if coded else 'plain'}"


def _memory_bytes(result: BundleResult) -> int:
    """What the feature memory occupies in the bundle; 0 where there is none."""
    manifest = result.bundle.manifest
    entry = manifest.files.get(manifest.staged.memory or "") if manifest.staged else None
    return entry.size_bytes if entry else 0


def _memory(result: BundleResult) -> str:
    size = _memory_bytes(result)
    return format_bytes(size) if size else "none"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _latency(result: BundleResult, stage: str) -> str:
    summary = result.evaluation.latency.get(stage)
    return "–" if summary is None else f"{format_ns(summary.p50_ns)} / {format_ns(summary.p95_ns)}"
