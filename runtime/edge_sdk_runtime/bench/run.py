"""Carry a plan out: a process per round, form and thread count, and the board watched meanwhile."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .. import errors
from ..bundle import Bundle
from ..errors import BenchError, BundleError, EdgeRuntimeError
from ..timing import LatencySummary, summarize
from ..version import __version__
from .child import SCRIPT
from .plan import BenchPlan
from .power import PowerMeter, find_rails
from .report import BenchReport, Measurement, limits_between
from .system import read_board, read_state

__all__ = ["SAMPLE", "bench"]

SAMPLE = 1000
"""Measurements per stage that a report keeps for comparisons."""


def bench(plan: BenchPlan, *, root: Path = Path("/"), progress: Callable[[float], None] | None = None) -> BenchReport:
    """Measure a bundle on this machine.

    Args:
        plan: What is to be measured.
        root: The folder that holds `proc` and `sys`, for readings of the board.
        progress: Called a few times a second with the share of the measuring that is done, 0 to 1.

    Raises:
        BundleError: The bundle cannot be used.
        InterpreterError: The interpreter refuses a model.
        BenchError: A measuring process ended before it had measured.
    """
    content = _content(plan.bundle)
    name = Bundle.from_bytes(content, plan.bundle).manifest.name
    tasks = _tasks(plan)
    states = [read_state(root)]
    answers: list[dict[str, Any]] = []
    with PowerMeter(find_rails(root)) as meter:
        for task in tasks:
            answers.append(_measured(task, plan, len(answers) / len(tasks), 1 / len(tasks), progress))
            states.append(read_state(root))
    combinations = len(plan.forms) * len(plan.threads)
    return BenchReport(
        plan=plan,
        bundle=name,
        bundle_sha256=hashlib.sha256(content).hexdigest(),
        date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        versions={"python": platform.python_version(), "edge-sdk-runtime": __version__},
        board=read_board(root),
        before=states[0],
        after=states[-1],
        limits=limits_between(states),
        measurements=tuple(_merge(tasks[i]["threads"], answers[i::combinations], meter) for i in range(combinations)),
    )


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BundleError(
            f"A bundle must be a readable file. Received: {path} ({error.strerror}). Check the path."
        ) from error


def _tasks(plan: BenchPlan) -> list[dict[str, Any]]:
    """What every process does, in turn: all combinations, then all again."""
    rounds = plan.rounds if plan.runs is None else min(plan.rounds, plan.runs)
    shared = {name: getattr(plan, name) for name in ("bundle", "interpreter", "image", "frame", "warm_up")}
    shared["parent"] = os.getpid()
    tasks = []
    for i in range(rounds):
        last = i == rounds - 1
        runs = None if plan.runs is None else plan.runs // rounds + (plan.runs % rounds if last else 0)
        share = {"runs": runs, "seconds": plan.seconds / rounds, "trace": plan.trace if last else None}
        tasks += [
            {**shared, **share, "form": form, "threads": threads} for form in plan.forms for threads in plan.threads
        ]
    return tasks


def _measured(
    task: dict[str, Any], plan: BenchPlan, done: float, share: float, progress: Callable[[float], None] | None
) -> dict[str, Any]:
    """Run one process to its end; whatever interrupts this one ends that one too."""
    affinity = ",".join(map(str, plan.affinity or ()))
    # A session of its own, or Ctrl-C would reach both and be told twice.
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(task), affinity],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    waited = 0
    try:
        while True:
            if progress:
                within = min(1.0, waited * 0.2 / (task["seconds"] + 0.5)) if task["runs"] is None else 0.0
                progress(done + share * within)
            waited += 1
            try:
                printed, said = process.communicate(timeout=0.2)
                return _answer(process.returncode, printed, said)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _answer(returncode: int, printed: str, said: str) -> dict[str, Any]:
    """What a process measured, or its error raised here."""
    lines = printed.strip().splitlines()
    if returncode or not lines:
        how = signal.Signals(-returncode).name if returncode < 0 else f"status {returncode}"
        last = (said.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"A measuring process must finish. Received: {how} ({last}). Run: edge-run doctor")
    answer: dict[str, Any] = json.loads(lines[-1])
    if "error" in answer:
        kind = getattr(errors, answer["kind"], OSError)
        raise (kind if issubclass(kind, EdgeRuntimeError) else OSError)(answer["error"])
    return answer


def _merge(threads: int, rounds: Sequence[dict[str, Any]], meter: PowerMeter) -> Measurement:
    """One measurement of what several processes measured."""
    names = (*rounds[0]["stages"], "total")
    columns = [dict(zip(names, _columns(answer["rows"]), strict=True)) for answer in rounds]
    runs = sum(answer["runs"] for answer in rounds)
    spans = [(answer["span_ns"][0], answer["span_ns"][1]) for answer in rounds]
    pooled = {name: [value for part in columns for value in part[name]] for name in names}
    longest = {name: max(answer["longest_ns"][i] for answer in rounds) for i, name in enumerate(names)}
    return Measurement(
        form=rounds[0]["form"],
        threads=threads,
        interpreter=rounds[0]["interpreter"],
        runs=runs,
        stages={name: _summary(pooled[name], runs, longest[name]) for name in names},
        import_ns=int(median(answer["import_ns"] for answer in rounds)),
        load_ns=int(median(answer["load_ns"] for answer in rounds)),
        first_ns=int(median(answer["first_ns"] for answer in rounds)),
        peak_rss_bytes=max(answer["peak_rss_bytes"] for answer in rounds),
        runs_per_s=runs / sum(end - begin for begin, end in spans) * 1e9,
        power=meter.power(spans, runs),
        round_p50_ns={name: tuple(summarize(part[name]).p50_ns for part in columns) for name in names},
        sample_ns={name: _thinned(pooled[name]) for name in names},
    )


def _columns(rows: Sequence[Sequence[int]]) -> Iterable[tuple[int, ...]]:
    return zip(*rows, strict=True)


def _summary(values: Sequence[int], runs: int, longest: int) -> LatencySummary:
    """Percentiles of the kept measurements; the count and the longest are of all."""
    return dataclasses.replace(summarize(values), count=runs, max_ns=longest)


def _thinned(values: Sequence[int]) -> tuple[int, ...]:
    count = min(SAMPLE, len(values))
    return tuple(values[i * len(values) // count] for i in range(count))
