"""A report and a comparison as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from ..cli.text import format_bytes, format_ns, format_table
from .assertions import Finding
from .compare import Comparison
from .report import BenchReport, Measurement
from .system import BoardState

__all__ = ["EMULATED", "comparison_text", "findings_text", "report_text", "table_text"]

EMULATED = "EMULATED: these times are those of an emulation, and mean nothing for any board."
"""Stands beside every figure of an emulation."""
_BUSY = 0.5
"""Load per processor from which on other programs are worth a word."""
_VALUES = {"import_ns": "import", "load_ns": "load", "first_ns": "first", "peak_rss_bytes": "peak RSS"}


def report_text(report: BenchReport) -> str:
    """The whole report."""
    board, before, after = report.board, report.before, report.after
    memory = f", {board.memory_bytes / 1e9:.1f} GB" if board.memory_bytes else ""
    interpreters = ", ".join(dict.fromkeys(measurement.interpreter for measurement in report.measurements))
    versions = [f"{name} {version}" for name, version in report.versions.items()]
    rows = [
        ("bundle", f"{report.bundle}, {_frame(report)}"),
        ("board", f"{board.model + ': ' if board.model else ''}{board.cpu}, {board.cores} cores{memory}"),
        ("software", ", ".join([interpreters, *versions, *([f"Linux {board.kernel}"] if board.kernel else [])])),
        *_clock_rows(before, after),
    ]
    parts = [format_table(rows), *(measurement_text(measurement) for measurement in report.measurements)]
    return "\n\n".join([*parts, *_verdict(report)])


def measurement_text(measurement: Measurement) -> str:
    """One form with one thread count: its stages, its start, its memory."""
    title = f"{_which(measurement.form, measurement.threads)}, {measurement.runs:,} runs"
    facts = [
        f"{_rate(measurement.runs_per_s)} runs/s",
        f"import {format_ns(measurement.import_ns)}",
        f"load {format_ns(measurement.load_ns)}",
        f"first {format_ns(measurement.first_ns)}",
        f"peak RSS {format_bytes(measurement.peak_rss_bytes)}",
    ]
    if measurement.power:
        facts.append(f"{measurement.power.watts:.2f} W, {measurement.power.joules_per_run * 1e3:.3g} mJ per run")
    return "\n".join([title, table_text(measurement), ", ".join(facts)])


def table_text(measurement: Measurement) -> str:
    """Percentiles per stage."""
    rows: list[tuple[str, ...]] = [("stage", "p50", "p90", "p95", "p99", "max")]
    for stage, summary in measurement.stages.items():
        figures = (summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.max_ns)
        rows.append((stage, *map(format_ns, figures)))
    return format_table(rows)


def findings_text(findings: Sequence[Finding]) -> str:
    """Demands, and what was measured."""
    many = len({(finding.form, finding.threads) for finding in findings}) > 1
    rows = [
        (
            "ok" if finding.passed else "FAILED",
            finding.assertion.text,
            _measured(finding),
            _which(finding.form, finding.threads) if many else "",
        )
        for finding in findings
    ]
    return format_table(rows)


def comparison_text(comparison: Comparison) -> str:
    """What changed."""
    rows = [("", "stage", "before", "now", "change", "p", "")]
    for stage in comparison.stages:
        rows.append(
            (
                _which(stage.form, stage.threads),
                stage.stage,
                format_ns(stage.old_p50_ns),
                format_ns(stage.new_p50_ns),
                f"{stage.change:+.1%}",
                f"{stage.p_value:.2g}",
                stage.verdict.value,
            )
        )
    for value in comparison.values:
        shown = format_bytes if value.name.endswith("bytes") else format_ns
        change = f"{value.new / value.old - 1:+.1%}" if value.old else ""
        rows.append(
            (
                _which(value.form, value.threads),
                _VALUES[value.name],
                shown(int(value.old)),
                shown(int(value.new)),
                change,
                "",
                "",
            )
        )
    lines = [f"{setting.name}: {setting.old} → {setting.new}" for setting in comparison.settings]
    lines += [f"only {when}: {_which(form, threads)}" for when, form, threads in comparison.missing]
    return "\n".join(["compared with before, medians", format_table(rows), *lines])


def _which(form: str, threads: int) -> str:
    return f"{form}, {threads} thread{'' if threads == 1 else 's'}"


def _frame(report: BenchReport) -> str:
    plan = report.plan
    frame = plan.image or "{} × {} computed frame".format(*plan.frame)
    return f"{frame}, processors {', '.join(map(str, plan.affinity))}" if plan.affinity else frame


def _clock_rows(before: BoardState, after: BoardState) -> list[tuple[str, str]]:
    rows = []
    clock = [*before.governors, *([before.power_mode] if before.power_mode else [])]
    if before.frequencies_mhz:
        clock.append(f"{max(before.frequencies_mhz)} → {max(after.frequencies_mhz or (0,))} MHz")
    if clock:
        rows.append(("clock", ", ".join(clock)))
    if before.hottest_c is not None and after.hottest_c is not None:
        rows.append(("hottest", f"{before.hottest_c:.1f} → {after.hottest_c:.1f} °C"))
    return rows


def _verdict(report: BenchReport) -> list[str]:
    lines = []
    if report.limits:
        lines.append(
            f"INVALID, the clock was limited: {'; '.join(report.limits)}. Cool or feed the board, then repeat."
        )
    elif not report.before.readable:
        lines.append("Throttling: this machine does not tell.")
    earlier = [word for word in report.before.throttled_since_start if word not in report.limits]
    if earlier:
        lines.append(f"Before this run, since the board was started: {'; '.join(earlier)}.")
    load = report.before.load
    if load is not None and load > _BUSY * report.board.cores:
        lines.append(
            f"Other programs kept {load:.1f} of {report.board.cores} processors busy before: stop them and repeat."
        )
    lines += [EMULATED] if report.board.emulated else []
    return ["\n".join(lines)] if lines else []


def _measured(finding: Finding) -> str:
    if finding.assertion.metric == "rss":
        return format_bytes(int(finding.measured))
    return f"{_rate(finding.measured)} fps" if finding.assertion.metric == "fps" else format_ns(int(finding.measured))


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"
