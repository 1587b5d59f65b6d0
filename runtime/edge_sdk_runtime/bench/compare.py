"""What changed from one report to another, and what of it is more than chance.

Within a process, latencies follow one another and are not independent, so a rank test alone finds a difference in almost any two
runs. Here a stage counts as changed only where three things agree: the test's p-value is below 0.01, the medians differ by
2 % or more, and the medians of all rounds of one report, which are processes of their own, lie beyond those of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ..errors import UsageError
from .report import BenchReport, Measurement
from .significance import mann_whitney

__all__ = ["SMALLEST_CHANGE", "Comparison", "SettingChange", "StageChange", "ValueChange", "Verdict", "compare"]

SMALLEST_CHANGE = 0.02
"""Share of the old median below which a change is not called one."""
_P_VALUE = 0.01


class Verdict(str, Enum):
    """What became of a stage."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no clear change"


@dataclass(frozen=True)
class StageChange:
    """One stage of one form with one thread count.

    Attributes:
        form: `"staged"` or `"fused"`.
        threads: Of the interpreter.
        stage: Its name, or `"total"`.
        old_p50_ns: Median before.
        new_p50_ns: Median now.
        p_value: Of the Mann–Whitney test on the samples that the reports keep.
        verdict: Whether it changed.
    """

    form: str
    threads: int
    stage: str
    old_p50_ns: int
    new_p50_ns: int
    p_value: float
    verdict: Verdict

    @property
    def change(self) -> float:
        """How much longer the stage takes, as a share of before; below 0 where it is faster."""
        return self.new_p50_ns / self.old_p50_ns - 1 if self.old_p50_ns else 0.0


@dataclass(frozen=True)
class ValueChange:
    """A figure without a sample, of one form with one thread count.

    Attributes:
        form: `"staged"` or `"fused"`.
        threads: Of the interpreter.
        name: Of the `Measurement`'s attribute.
        old: Before.
        new: Now.
    """

    form: str
    threads: int
    name: str
    old: float
    new: float


@dataclass(frozen=True)
class SettingChange:
    """Something else than the latency that is different.

    Attributes:
        name: What it is.
        old: Before.
        new: Now.
    """

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """Everything that changed.

    Attributes:
        settings: What the reports were made of and on, where that differs.
        stages: Every stage that both have.
        values: Start-up and memory of what both have.
        missing: What only one of them has: `"before"` or `"now"`, form, thread count.
    """

    settings: tuple[SettingChange, ...]
    stages: tuple[StageChange, ...]
    values: tuple[ValueChange, ...]
    missing: tuple[tuple[str, str, int], ...]


def compare(old: BenchReport, new: BenchReport) -> Comparison:
    """Say what changed between two reports.

    Args:
        old: The one before.
        new: The one now.

    Raises:
        UsageError: One of them is of an emulated board, whose times mean nothing.
    """
    for report in (old, new):
        if report.board.emulated:
            raise UsageError(
                f"Reports to compare must be of real boards. Received: {report.board.model}. Measure on a board."
            )
    before = {(m.form, m.threads): m for m in old.measurements}
    now = {(m.form, m.threads): m for m in new.measurements}
    both = [(before[key], now[key]) for key in now if key in before]
    missing = [("before", *key) for key in before if key not in now] + [
        ("now", *key) for key in now if key not in before
    ]
    return Comparison(
        settings=tuple(_settings(old, new)),
        stages=tuple(_stage(a, b, name) for a, b in both for name in b.stages if name in a.stages),
        values=tuple(
            ValueChange(b.form, b.threads, name, getattr(a, name), getattr(b, name))
            for a, b in both
            for name in ("import_ns", "load_ns", "first_ns", "peak_rss_bytes")
        ),
        missing=tuple(missing),
    )


def _stage(old: Measurement, new: Measurement, stage: str) -> StageChange:
    before, now = old.stages[stage].p50_ns, new.stages[stage].p50_ns
    p_value = mann_whitney(new.sample_ns[stage], old.sample_ns[stage]).p_value
    clear = p_value < _P_VALUE and abs(now - before) >= SMALLEST_CHANGE * before
    verdict = Verdict.SAME
    if clear and min(new.round_p50_ns[stage]) > max(old.round_p50_ns[stage]):
        verdict = Verdict.SLOWER
    elif clear and max(new.round_p50_ns[stage]) < min(old.round_p50_ns[stage]):
        verdict = Verdict.FASTER
    return StageChange(new.form, new.threads, stage, before, now, p_value, verdict)


def _settings(old: BenchReport, new: BenchReport) -> Iterable[SettingChange]:
    for name, before in _described(old).items():
        now = _described(new).get(name, "")
        if before != now:
            yield SettingChange(name, before or "none", now or "none")


def _described(report: BenchReport) -> dict[str, str]:
    plan = report.plan
    return {
        "bundle": f"{report.bundle} {report.bundle_sha256[:12]}",
        "board": report.board.model,
        "processor": f"{report.board.cpu}, {report.board.cores} cores",
        "kernel": report.board.kernel,
        "interpreter": ", ".join(dict.fromkeys(m.interpreter for m in report.measurements)),
        **report.versions,
        "frame": plan.image or "{}x{}".format(*plan.frame),
        "governor": ", ".join(report.before.governors),
        "power mode": report.before.power_mode,
        "limits": ", ".join(report.limits),
    }
