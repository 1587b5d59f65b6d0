"""Demands on a measurement, as a person types them: `p95<20ms`, `embed.p95<5ms`, `rss<90MB`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError
from .report import Measurement

__all__ = ["Assertion", "Finding", "check", "parse_assertion"]

_TIME = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9}
_SIZE = {"B": 1.0, "kB": 1e3, "KB": 1e3, "KiB": 1024.0, "MB": 1e6, "MiB": 1024.0**2, "GB": 1e9, "GiB": 1024.0**3}
_RATE = {"": 1.0, "fps": 1.0}
_STAGE_METRICS = ("p50", "p90", "p95", "p99", "max")
_METRICS = {
    **dict.fromkeys(_STAGE_METRICS, _TIME),
    **dict.fromkeys(("import", "load", "first", "start"), _TIME),
    "rss": _SIZE,
    "fps": _RATE,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PATTERN = re.compile(r"\s*(?:([a-z]+)\s*\.\s*)?([a-z0-9]+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-zµμ]*)\s*")


@dataclass(frozen=True)
class Assertion:
    """One demand.

    Attributes:
        text: As it was typed.
        stage: The stage it is about, `"total"` where none was named; empty where the metric has no stages.
        metric: One of p50, p90, p95, p99, max, import, load, first, start, rss, fps.
        relation: `<`, `<=`, `>` or `>=`.
        limit: In nanoseconds, bytes or classifications per second.
    """

    text: str
    stage: str
    metric: str
    relation: str
    limit: float


@dataclass(frozen=True)
class Finding:
    """What a measurement says to a demand.

    Attributes:
        assertion: The demand.
        form: Of the measurement.
        threads: Of the measurement.
        measured: In the unit of the demand's limit.
        passed: Whether the demand is met.
    """

    assertion: Assertion
    form: str
    threads: int
    measured: float
    passed: bool


def parse_assertion(text: str) -> Assertion:
    """Read a demand: an optional stage and a point, a metric, a relation, a number and a unit.

    Raises:
        UsageError: It is something else.
    """
    match = _PATTERN.fullmatch(text)
    if not match or match[2] not in _METRICS:
        raise UsageError(
            f"An assertion must be [STAGE.]METRIC, a relation and a value with a unit; metrics are {', '.join(_METRICS)}. "
            f"Received: {text!r}. Write 'p95<20ms', 'embed.p95<5ms' or 'rss<90MB'."
        )
    stage, metric, relation, number, unit = match.groups()
    units = _METRICS[metric]
    if unit not in units:
        raise UsageError(
            f"The unit of {metric} must be one of {', '.join(filter(None, units))}. Received: {text!r}. Add the unit."
        )
    if stage and metric not in _STAGE_METRICS:
        raise UsageError(f"{metric} is of no single stage. Received: {text!r}. Leave out '{stage}.'.")
    where = (stage or "total") if metric in _STAGE_METRICS else ""
    return Assertion(text.strip(), where, metric, relation, float(number) * units[unit])


def check(assertion: Assertion, measurement: Measurement) -> Finding:
    """Hold a demand against a measurement.

    Raises:
        UsageError: The measured form has no such stage.
    """
    measured = _measured(assertion, measurement)
    passed = _COMPARE[assertion.relation](measured, assertion.limit)
    return Finding(assertion, measurement.form, measurement.threads, measured, passed)


def _measured(assertion: Assertion, measurement: Measurement) -> float:
    if assertion.metric == "rss":
        return measurement.peak_rss_bytes
    if assertion.metric == "fps":
        return measurement.runs_per_s
    if not assertion.stage:
        return float(getattr(measurement, f"{assertion.metric}_ns"))
    if assertion.stage not in measurement.stages:
        raise UsageError(
            f"A stage of the {measurement.form} form must be one of {', '.join(measurement.stages)}. "
            f"Received: {assertion.text!r}. Choose one of them."
        )
    return float(getattr(measurement.stages[assertion.stage], f"{assertion.metric}_ns"))
