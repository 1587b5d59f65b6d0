"""What a preview shows, handed from the thread that classifies to those that serve.

Publishing costs the classifying thread about a microsecond; whatever is made of it, a JPEG or a document, is made by the
thread of who asks.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from ..live import Seen
from ..timing import BUCKET_BOUNDS_NS, StageClock

if TYPE_CHECKING:
    from ..bench.system import BoardState

__all__ = ["PreviewState", "classification_document"]

_RECENT = 256
_SHOWN_CLASSES = 6
_BOARD_EVERY_S = 5.0


class PreviewState:
    """The latest classification, for any number of threads.

    Args:
        bundle: The bundle's name.
        source: The camera's address.
        clock: The classifier's clock, for the histograms.
        root: The folder that holds the board's `proc` and `sys`.
    """

    def __init__(self, bundle: str, source: str, clock: StageClock, root: Path = Path("/")) -> None:
        self.clock = clock
        self._named = {"bundle": bundle, "source": source}
        self._root = root
        self._changed = threading.Condition()
        self._seen: Seen | None = None
        self._durations: deque[tuple[int, ...]] = deque(maxlen=_RECENT)
        self._board_lock = threading.Lock()
        self._board: tuple[float, dict[str, Any]] = (-1e9, {})

    def publish(self, seen: Seen) -> None:
        """Show this one from now on; its frame must not be written to afterwards."""
        with self._changed:
            self._seen = seen
            self._durations.append(seen.result.durations_ns)
            self._changed.notify_all()

    def newer(self, than: int, timeout_s: float) -> Seen | None:
        """The latest one where its sequence is another than `than`, waiting for one; None where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._seen is not None and self._seen.frame.sequence != than, timeout_s)
            return self._seen if self._seen is not None and self._seen.frame.sequence != than else None

    def document(self) -> dict[str, Any]:
        """Figures over many frames, and what was said of the latest; ready for `json.dumps`, every duration in nanoseconds."""
        with self._changed:
            seen, recent = self._seen, list(self._durations)
        document: dict[str, Any] = {**self._named, "waiting": seen is None, "board": self._board_document()}
        if seen is None:
            return document
        return {
            **document,
            **classification_document(seen),
            "fps": round(seen.fps, 2),
            **seen.counts._asdict(),
            "stages": self._stages(seen.result.stages, recent),
            "bucket_bounds_ns": BUCKET_BOUNDS_NS,
        }

    def _stages(self, stages: tuple[str, ...], recent: list[tuple[int, ...]]) -> list[dict[str, Any]]:
        table = np.array(recent, np.int64)
        table = np.column_stack((table, table.sum(axis=1)))
        p50, p95, p99 = np.percentile(table, (50, 95, 99), axis=0, method="inverted_cdf")
        histograms = self.clock.histograms()
        return [
            {
                "stage": stage,
                "last_ns": int(table[-1, i]),
                "p50_ns": int(p50[i]),
                "p95_ns": int(p95[i]),
                "p99_ns": int(p99[i]),
                "counts": histograms[stage].counts,
            }
            for i, stage in enumerate((*stages, "total"))
        ]

    def _board_document(self) -> dict[str, Any]:
        """Temperature and throttling, read every few seconds at most: asking a board takes it milliseconds."""
        from ..bench.system import read_state

        with self._board_lock:
            if monotonic() - self._board[0] > _BOARD_EVERY_S:
                self._board = (monotonic(), _as_board(read_state(self._root)))
            return self._board[1]


def classification_document(seen: Seen) -> dict[str, Any]:
    """What was said of one frame, ready for `json.dumps`; the most probable classes only."""
    result = seen.result
    return {
        "sequence": seen.frame.sequence,
        "label": result.label,
        "score": _number(result.score),
        "unknown": result.unknown,
        "scores": [[label, _number(score)] for label, score in result.top(_SHOWN_CLASSES)],
        "classes": len(result.labels),
        "capture_age_ns": result.capture_age_ns,
    }


def _as_board(state: BoardState) -> dict[str, Any]:
    return {
        "temperature_c": state.hottest_c,
        "throttled": list(state.throttled),
        "throttled_since_start": list(state.throttled_since_start),
    }


def _number(value: float) -> float | None:
    """A probability to six places; None where it is none, since JSON has no word for that."""
    return round(value, 6) if np.isfinite(value) else None
