"""What was measured, as data that goes to JSON and comes back."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..timing import LatencySummary
from .plan import BenchPlan
from .power import Power
from .system import Board, BoardState

__all__ = ["SCHEMA", "BenchReport", "Measurement", "limits_between"]

SCHEMA = 1
"""Version of the JSON document."""


@dataclass(frozen=True)
class Measurement:
    """One form with one thread count.

    Attributes:
        form: `"staged"` or `"fused"`.
        threads: Of the interpreter.
        interpreter: Its name and version.
        runs: Classifications measured, those of all rounds together.
        stages: Percentiles per stage, then of their sum as `total`.
        import_ns: Importing the runtime, as the median of the rounds; so are the two that follow.
        load_ns: Opening the bundle and loading its models.
        first_ns: The first classification.
        peak_rss_bytes: The most memory that a process had until it was warm; the largest of the rounds.
        runs_per_s: Classifications per second of a loop that does nothing else.
        power: What the board took, or None where it has no sensor.
        round_p50_ns: By stage, the median of every round.
        sample_ns: By stage, at most 1000 measurements, evenly from all rounds.
    """

    form: str
    threads: int
    interpreter: str
    runs: int
    stages: dict[str, LatencySummary]
    import_ns: int
    load_ns: int
    first_ns: int
    peak_rss_bytes: int
    runs_per_s: float
    power: Power | None
    round_p50_ns: dict[str, tuple[int, ...]]
    sample_ns: dict[str, tuple[int, ...]]

    @property
    def start_ns(self) -> int:
        """From the first import to the first result."""
        return self.import_ns + self.load_ns + self.first_ns


@dataclass(frozen=True)
class BenchReport:
    """Everything that `edge-run bench` found.

    Attributes:
        plan: What was to be measured.
        bundle: The bundle's name.
        bundle_sha256: Hash of its file.
        date: When, UTC, `YYYY-MM-DDTHH:MM:SSZ`.
        versions: Of Python and the runtime.
        board: What the board is.
        before: How it was before the first measurement.
        after: How it was after the last.
        limits: What limited the clock meanwhile; the figures are valid only where nothing did.
        measurements: One per form and thread count.
    """

    plan: BenchPlan
    bundle: str
    bundle_sha256: str
    date: str
    versions: dict[str, str]
    board: Board
    before: BoardState
    after: BoardState
    limits: tuple[str, ...]
    measurements: tuple[Measurement, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is known to have limited the clock."""
        return not self.limits

    def document(self) -> dict[str, Any]:
        """The report as `json.dumps` takes it."""
        return {"schema": SCHEMA, "valid": self.valid, **dataclasses.asdict(self)}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> BenchReport:
        """Read a report that `edge-run bench --json` printed or `--save` wrote.

        Raises:
            UsageError: The file is no such report.
            OSError: It cannot be read.
        """
        try:
            document = json.loads(Path(path).read_bytes())
            if document["schema"] != SCHEMA:
                raise ValueError(f"schema {document['schema']}")
            return _report(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error).split("\n", maxsplit=1)[0]
            raise UsageError(
                f"A report must be what edge-run bench --json prints. Received: {path} ({what}). Measure it again."
            ) from error


def limits_between(states: Sequence[BoardState]) -> tuple[str, ...]:
    """What limited the clock at some moments, or between them, in words; nothing where nothing is known to have.

    Args:
        states: At least one, in order of time.
    """
    first, last = states[0], states[-1]
    seen = [word for state in states for word in state.throttled]
    since = [word for word in last.throttled_since_start if word not in first.throttled_since_start]
    counted = [
        f"{name} ({count - first.counters.get(name, 0)} times)"
        for name, count in last.counters.items()
        if count > first.counters.get(name, 0)
    ]
    return tuple(dict.fromkeys((*seen, *since, *counted)))


def _report(document: dict[str, Any]) -> BenchReport:
    fields = {field.name: document[field.name] for field in dataclasses.fields(BenchReport)}
    plan = {**_tupled(document["plan"]), "affinity": None}  # the processors of another machine may not be there
    return BenchReport(
        **{
            **fields,
            "plan": BenchPlan(**plan),
            "board": Board(**document["board"]),
            "before": _state(document["before"]),
            "after": _state(document["after"]),
            "limits": tuple(document["limits"]),
            "measurements": tuple(map(_measurement, document["measurements"])),
        }
    )


def _state(document: dict[str, Any]) -> BoardState:
    return BoardState(**_tupled(document))


def _tupled(document: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}


def _measurement(document: dict[str, Any]) -> Measurement:
    fields = {
        **document,
        "stages": {stage: LatencySummary(**figures) for stage, figures in document["stages"].items()},
        "power": None if document["power"] is None else Power(**document["power"]),
    }
    for name in ("round_p50_ns", "sample_ns"):
        fields[name] = {stage: tuple(map(int, values)) for stage, values in document[name].items()}
        if set(fields[name]) != set(fields["stages"]) or not all(fields[name].values()):
            raise ValueError(f"{name} without a value for every stage")
    return Measurement(**fields)
