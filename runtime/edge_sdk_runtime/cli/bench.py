"""`edge-run bench`: percentiles per stage, start-up, memory, and whether the board throttled."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .processors import add_cpus_option

if TYPE_CHECKING:
    from ..bench import BenchPlan, BenchReport, Comparison, Finding

__all__ = ["add_parser"]

_BAR = 30


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "bench", parents=[common], help="measure latency per stage, start-up and memory on this board"
    )
    parser.add_argument("bundle", help="an .edge file")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--form", choices=("staged", "fused", "both"), help="inference form (default: the bundle's own)")
    what.add_argument("--threads", default="1", metavar="N[,N…]", help="interpreter threads, as 1,2,4 (default 1)")
    what.add_argument("--image", metavar="FILE", help="an image to classify (default: a computed frame)")
    what.add_argument("--frame", default="640x480", metavar="WxH", help="size of the computed frame (default 640x480)")
    add_cpus_option(what, "--affinity")
    how = parser.add_argument_group("how long")
    length = how.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=3.0, metavar="T", help="per form and thread count (default 3)")
    length.add_argument("--runs", type=int, metavar="N", help="classifications instead of seconds")
    how.add_argument("--warm-up", type=int, default=30, metavar="N", help="classifications before (default 30)")
    how.add_argument("--rounds", type=int, default=3, metavar="N", help="processes that share the time (default 3)")
    after = parser.add_argument_group("what comes of it")
    after.add_argument(
        "--assert",
        dest="assertions",
        action="append",
        default=[],
        metavar="RULE",
        help="such as 'p95<20ms', 'embed.p95<5ms', 'rss<90MB'; exit status 1 where it does not hold",
    )
    after.add_argument("--compare", metavar="OLD.json", help="say what changed since an earlier report")
    after.add_argument("--save", metavar="FILE", help="write the report as JSON as well")
    after.add_argument("--trace", metavar="FILE", help="trace of the last round, for ui.perfetto.dev")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..bench import BenchReport, bench, check, compare, parse_assertion
    from ..files import write_atomically

    assertions = [parse_assertion(text) for text in options.assertions]  # before anything takes time
    old = BenchReport.read(options.compare) if options.compare else None
    plan = _plan(options)
    with _bar() as progress:
        report = bench(plan, progress=progress)
    findings = [check(assertion, measurement) for measurement in report.measurements for assertion in assertions]
    comparison = compare(old, report) if old else None
    document = _document(report, findings, comparison)
    if options.save:
        write_atomically(options.save, document.encode())
    print(document if options.json else _text(report, findings, comparison))
    return 1 if assertions and not (report.valid and all(finding.passed for finding in findings)) else 0


def _plan(options: argparse.Namespace) -> BenchPlan:
    from ..affinity import parse_processors
    from ..bench import BenchPlan
    from ..bench.plan import parse_frame, parse_numbers

    return BenchPlan(
        bundle=options.bundle,
        forms=("staged", "fused") if options.form == "both" else (options.form,),
        threads=parse_numbers(options.threads, "--threads"),
        interpreter=options.interpreter,
        image=options.image,
        frame=parse_frame(options.frame),
        runs=options.runs,
        seconds=options.seconds,
        warm_up=options.warm_up,
        rounds=options.rounds,
        affinity=None if options.cpus is None else parse_processors(options.cpus),
        trace=options.trace,
    )


def _document(report: BenchReport, findings: list[Finding], comparison: Comparison | None) -> str:
    import dataclasses

    document = report.document()
    document["assertions"] = [dataclasses.asdict(finding) for finding in findings]
    if comparison:
        document["comparison"] = dataclasses.asdict(comparison)
    return json.dumps(document, ensure_ascii=False)


def _text(report: BenchReport, findings: list[Finding], comparison: Comparison | None) -> str:
    from ..bench.text import comparison_text, findings_text, report_text

    parts = [report_text(report)]
    if comparison:
        parts.append(comparison_text(comparison))
    if findings:
        parts.append(findings_text(findings))
    return "\n\n".join(parts)


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar on a terminal; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield None
        return

    def show(share: float) -> None:
        full = round(share * _BAR)
        sys.stderr.write(f"\rmeasuring {'█' * full}{'░' * (_BAR - full)} {share:4.0%}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
