"""What every benchmark shares: how figures are stated, printed and recorded."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_sdk_devices.errors import EdgeSdkError
from edge_sdk_runtime.files import write_atomically

__all__ = ["RESULTS", "Figure", "Outcome", "at_least", "at_most", "command", "run_quickly"]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("edge-sdk", "edge-sdk-runtime", "numpy", "opencv-python-headless", "ai-edge-litert", "keras", "tensorflow")


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark claims.

    Attributes:
        name: What it is.
        value: What was measured.
        unit: Its unit; empty for a ratio.
        goal: What it should be, as text; empty where there is no goal.
        met: Whether it is; None where there is no goal.
        published: What others published, with its source; empty where nobody did.
        why: Where a goal is missed, one sentence why.
    """

    name: str
    value: float
    unit: str = ""
    goal: str = ""
    met: bool | None = None
    published: str = ""
    why: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found.

    Attributes:
        data: What it ran on.
        figures: What it claims.
        rows: The table behind the figures: one mapping per line, same keys.
        seed: Of everything random.
        notes: What a reader must know.
    """

    data: str
    figures: Sequence[Figure]
    rows: Sequence[dict[str, Any]] = field(default_factory=list)
    seed: int = 0
    notes: Sequence[str] = ()


def at_most(name: str, value: float, limit: float, unit: str = "", published: str = "", why: str = "") -> Figure:
    """A figure that should not exceed a limit; `why` is kept only where it does."""
    met = bool(value <= limit)
    return Figure(name, value, unit, f"≤ {limit:g}", met, published, "" if met else why)


def at_least(name: str, value: float, limit: float, unit: str = "", published: str = "", why: str = "") -> Figure:
    """A figure that should reach a limit; `why` is kept only where it does not."""
    met = bool(value >= limit)
    return Figure(name, value, unit, f"≥ {limit:g}", met, published, "" if met else why)


def command(name: str, measure: Callable[[bool], Outcome]) -> int:
    """Run a benchmark from the command line: print its table, and record it unless it is a quick run.

    Args:
        name: The script's name; the record is `results/NAME.json` and `results/NAME.txt`.
        measure: Takes whether to run quickly, gives the outcome.

    Returns:
        The exit status: 0, whatever the figures are; a record is not a test. It exits with 2 where something that it needs is missing,
        and with 130 where it is interrupted.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="a small form of the same code, in seconds; not recorded")
    quick = parser.parse_args().quick
    try:
        record = _measured(name, measure, quick=quick)
    except EdgeSdkError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(
            130, "Interrupted; nothing is recorded. Trained networks that were finished are kept for the next run.\n"
        )
    text = as_text(record)
    sys.stdout.write(text)
    if quick:
        return 0
    write_atomically(RESULTS / f"{name}.json", (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(RESULTS / f"{name}.txt", text.encode())
    return 0


def run_quickly(name: str, measure: Callable[[bool], Outcome]) -> None:
    """Run the quick form of a benchmark and print its table; nothing is recorded."""
    sys.stdout.write(as_text(_measured(name, measure, quick=True)))


def _measured(name: str, measure: Callable[[bool], Outcome], *, quick: bool) -> dict[str, Any]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")  # as the command line does: the same numbers twice
    begun = time.perf_counter()
    outcome = measure(quick)
    return _record(name, outcome, time.perf_counter() - begun)


def as_text(record: dict[str, Any]) -> str:
    """A record as a table that a person reads."""
    machine, versions = record["machine"], record["versions"]
    lines = [
        f"{record['benchmark']}: {record['data']}",
        f"{record['date']}, {machine['cpu']}, {machine['cores']} cores, seed {record['seed']}, {record['duration_s']} s",
        ", ".join(f"{package} {version}" for package, version in versions.items()),
        "",
    ]
    if record["rows"]:
        lines += [
            *_aligned([list(record["rows"][0]), *([_cell(v) for v in row.values()] for row in record["rows"])]),
            "",
        ]
    heads = [["figure", "value", "goal", "met", "published"]]
    lines += _aligned(heads + [_figure_cells(figure) for figure in record["figures"]])
    lines += [f"{figure['name']}: {figure['why']}" for figure in record["figures"] if figure["why"]]
    return "\n".join([*lines, *record["notes"]]) + "\n"


def _figure_cells(figure: dict[str, Any]) -> list[str]:
    met = {True: "yes", False: "NO", None: ""}[figure["met"]]
    return [
        figure["name"],
        f"{_cell(figure['value'])} {figure['unit']}".strip(),
        figure["goal"],
        met,
        figure["published"],
    ]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _record(name: str, outcome: Outcome, duration_s: float) -> dict[str, Any]:
    return {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "seed": outcome.seed,
        "data": outcome.data,
        "duration_s": round(duration_s, 1),
        "figures": [asdict(figure) for figure in outcome.figures],
        "rows": list(outcome.rows),
        "notes": list(outcome.notes),
    }


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


def _machine() -> dict[str, Any]:
    return {"cpu": _cpu(), "cores": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()}


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
