"""What `edge-run camera` shows: a line that follows, and figures at the end."""

from __future__ import annotations

import json
from collections import Counter
from time import monotonic
from typing import Any, TextIO

from ..cameras import CameraCounts
from ..classifier import Classifier
from ..live import Seen
from ..timing import LatencySummary, StageClock
from .status_line import StatusLine
from .text import format_label, format_ns, format_table, json_number

__all__ = ["LiveView"]

_MOST_LABELS = 5
_AGE = "frame age"


class LiveView:
    """The terminal's view of a camera's classifications.

    Args:
        classifier: What classifies; its clock has the latencies.
        stream: Where the view goes.
        as_json: One JSON document per line instead of text: one for every frame, then one with the figures.
    """

    def __init__(self, classifier: Classifier, stream: TextIO, *, as_json: bool = False) -> None:
        self.frames = 0
        self._classifier = classifier
        self._stream = stream
        self._as_json = as_json
        self._line = StatusLine(stream)
        self._ages = StageClock((_AGE,))
        self._labels: Counter[str] = Counter()
        self._begun: float | None = None
        self._latest = 0.0

    def add(self, seen: Seen) -> None:
        """Show one classification."""
        self._latest = monotonic()
        self._begun = self._latest if self._begun is None else self._begun
        self.frames += 1
        self._labels["unknown" if seen.result.unknown else seen.result.label] += 1
        self._ages.record((seen.result.capture_age_ns or 0,))
        if self._as_json:
            print(json.dumps(_document(seen), ensure_ascii=False), file=self._stream, flush=True)
        else:
            self._line.show(lambda: _line(seen))

    def end(self, counts: CameraCounts) -> None:
        """Show the figures of all of them.

        Args:
            counts: What became of the camera's frames.
        """
        self._line.end()
        if self._as_json:
            print(json.dumps({"summary": self._summary(counts)}, ensure_ascii=False), file=self._stream)
        else:
            print(self._table(counts), file=self._stream)

    @property
    def _seconds(self) -> float:
        return 0.0 if self._begun is None else self._latest - self._begun

    @property
    def _fps(self) -> float:
        return (self.frames - 1) / self._seconds if self._seconds > 0 else 0.0

    def _latencies(self) -> dict[str, LatencySummary]:
        if not self.frames:
            return {}
        return {_AGE: self._ages.summary()[_AGE], **self._classifier.summary()}

    def _summary(self, counts: CameraCounts) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "seconds": round(self._seconds, 3),
            "fps": round(self._fps, 2),
            **counts._asdict(),
            "labels": dict(self._labels.most_common()),
            "latency": {stage.replace(" ", "_"): vars(summary) for stage, summary in self._latencies().items()},
        }

    def _table(self, counts: CameraCounts) -> str:
        rows: list[tuple[str, ...]] = [("", "p50", "p95", "p99", "max")]
        rows += [
            (stage, *map(format_ns, (summary.p50_ns, summary.p95_ns, summary.p99_ns, summary.max_ns)))
            for stage, summary in self._latencies().items()
        ]
        most = ", ".join(f"{label} {number}" for label, number in self._labels.most_common(_MOST_LABELS))
        more = ", …" if len(self._labels) > _MOST_LABELS else ""
        head = f"{self.frames} frames in {self._seconds:.1f} s, {self._fps:.1f} per second; {_told(counts)}"
        return "\n".join([head, format_table(rows), f"labels: {most}{more}"] if self.frames else [head])


def _told(counts: CameraCounts) -> str:
    parts = [f"{counts.dropped} dropped for a newer one"]
    if counts.reconnects:
        parts.append(f"{counts.reconnects} reconnects")
    if counts.unreadable:
        parts.append(f"{counts.unreadable} unreadable")
    return ", ".join(parts)


def _line(seen: Seen) -> str:
    result = seen.result
    stages = "  ".join(f"{s} {format_ns(n)}" for s, n in zip(result.stages, result.durations_ns, strict=True))
    age = "" if result.capture_age_ns is None else f"  age {format_ns(result.capture_age_ns)}"
    return (
        f"{format_label(result, f'{result.score:.1%}')}  {seen.fps:.1f} fps{age}  total {format_ns(result.total_ns)}"
        f"  {stages}  {seen.counts.dropped} dropped"
    )


def _document(seen: Seen) -> dict[str, Any]:
    result = seen.result
    return {
        "sequence": seen.frame.sequence,
        **({"file": seen.frame.name} if seen.frame.name else {}),
        "label": result.label,
        "score": json_number(result.score),
        "unknown": result.unknown,
        "capture_age_ns": result.capture_age_ns,
        "stages_ns": dict(zip(result.stages, result.durations_ns, strict=True)),
        "total_ns": result.total_ns,
        "fps": round(seen.fps, 2),
        "dropped": seen.counts.dropped,
    }
