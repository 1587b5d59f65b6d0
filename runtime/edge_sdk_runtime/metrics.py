"""Latencies for other programs: a document for JSON, and the text format that Prometheus scrapes.

The text follows version 0.0.4 of Prometheus's exposition format: a histogram per stage since the start, whose buckets end at
1, 2 and 5 of every decade, and a summary of what the ring holds, the latest classifications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .timing import BUCKET_BOUNDS_NS, LatencyHistogram, StageClock

__all__ = ["CONTENT_TYPE", "as_document", "as_prometheus"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What a server says that `as_prometheus` is."""

_HISTOGRAM = "edge_sdk_stage_latency_seconds"
_SUMMARY = "edge_sdk_stage_recent_latency_seconds"
_QUANTILES = {"0.5": "p50_ns", "0.9": "p90_ns", "0.95": "p95_ns", "0.99": "p99_ns"}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def as_document(clock: StageClock) -> dict[str, Any]:
    """Everything a clock knows, ready for `json.dumps`.

    Args:
        clock: A classifier's `clock`.

    Returns:
        `recorded`, `bucket_bounds_ns`, and for every stage and `total` the `recent` percentiles (None where nothing was
        recorded) and the `histogram` since the start.
    """
    recent = {stage: vars(summary) for stage, summary in clock.summary().items()} if clock.recorded else {}
    stages = {
        stage: {"recent": recent.get(stage), "histogram": histogram._asdict()}
        for stage, histogram in clock.histograms().items()
    }
    return {"recorded": clock.recorded, "bucket_bounds_ns": BUCKET_BOUNDS_NS, "stages": stages}


def as_prometheus(clock: StageClock, labels: Mapping[str, str] | None = None) -> str:
    """What a clock knows as Prometheus reads it; every duration in seconds.

    Args:
        clock: A classifier's `clock`.
        labels: Further labels for every sample, such as `{"bundle": "mugs"}`.

    Returns:
        The text, its last line ended; to be sent as `CONTENT_TYPE`, or written where node_exporter collects text files.
    """
    histograms = clock.histograms()
    lines = [f"# HELP {_HISTOGRAM} Time per stage of a classification.", f"# TYPE {_HISTOGRAM} histogram"]
    for stage, histogram in histograms.items():
        lines += _histogram_lines({**(labels or {}), "stage": stage}, histogram)
    lines += [f"# HELP {_SUMMARY} Time per stage of the latest classifications.", f"# TYPE {_SUMMARY} summary"]
    for stage, summary in clock.summary().items() if clock.recorded else ():
        own = {**(labels or {}), "stage": stage}
        lines += [
            _sample(_SUMMARY, {**own, "quantile": quantile}, _seconds(getattr(summary, name)))
            for quantile, name in _QUANTILES.items()
        ]
        lines += _ends(_SUMMARY, own, histograms[stage])
    return "\n".join(lines) + "\n"


def _histogram_lines(labels: Mapping[str, str], histogram: LatencyHistogram) -> list[str]:
    lines, below = [], 0
    for bound, count in zip(BUCKET_BOUNDS_NS, histogram.counts, strict=False):
        below += count
        if str(bound)[0] in "125" and not int(str(bound)[1:]):  # three buckets per decade are what a dashboard wants
            lines.append(_sample(f"{_HISTOGRAM}_bucket", {**labels, "le": _seconds(bound)}, str(below)))
    lines.append(_sample(f"{_HISTOGRAM}_bucket", {**labels, "le": "+Inf"}, str(histogram.recorded)))
    return lines + _ends(_HISTOGRAM, labels, histogram)


def _ends(name: str, labels: Mapping[str, str], histogram: LatencyHistogram) -> list[str]:
    return [
        _sample(f"{name}_sum", labels, _seconds(histogram.sum_ns)),
        _sample(f"{name}_count", labels, str(histogram.recorded)),
    ]


def _sample(name: str, labels: Mapping[str, str], value: str) -> str:
    inside = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def _seconds(nanoseconds: int) -> str:
    return repr(nanoseconds / 1e9)
