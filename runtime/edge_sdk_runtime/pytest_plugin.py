"""A pytest plugin for tests on the device: `pip install edge-sdk-runtime[test]` brings the fixture `latency`.

```python
def test_it_is_fast_enough(latency):
    latency.check("mugs.edge", p95_ms=20, rss_mb=90)
```

Loading the plugin imports nothing but pytest; what measures is imported by the first check.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .bench import BenchReport

__all__ = ["Latency", "latency"]


class Latency:
    """Checks of how fast a bundle is on this machine, measured as `edge-run bench` does, in a process of its own.

    Args:
        root: The folder that holds `proc` and `sys`, for readings of the board.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def check(
        self,
        bundle: str | os.PathLike[str],
        *,
        p50_ms: float | None = None,
        p95_ms: float | None = None,
        p99_ms: float | None = None,
        rss_mb: float | None = None,
        frames: int = 300,
        frame: tuple[int, int] = (640, 480),
        image: str | os.PathLike[str] | None = None,
        form: str | None = None,
        threads: int = 1,
        interpreter: str | None = None,
    ) -> BenchReport:
        """Measure a bundle, and fail the test with the table of its stages where it exceeds a limit.

        Args:
            bundle: An `.edge` file.
            p50_ms: The most that the median of a classification's total may be, ms; likewise the two that follow.
            p95_ms: For 95 of 100 classifications.
            p99_ms: For 99 of 100.
            rss_mb: The most memory that the process may need, in millions of bytes.
            frames: Classifications measured, after a warm-up.
            frame: Width and height of the computed frame, in pixels.
            image: An image file to classify in its place.
            form: `"staged"` or `"fused"`; the bundle's own default where None.
            threads: Of the interpreter.
            interpreter: Its name; chosen as for a bundle where None.

        Returns:
            Everything that was measured.

        Raises:
            BoardThrottledError: Something limited the clock meanwhile, so that no figure has a meaning.
            UsageError: No limit is given, or an argument is outside what it may be.
            EdgeRuntimeError: The bundle cannot be run.
        """
        from .bench import BenchPlan, bench

        limits = {"p50": p50_ms, "p95": p95_ms, "p99": p99_ms, "rss": rss_mb}
        rules = _rules({name: limit for name, limit in limits.items() if limit is not None})
        plan = BenchPlan(
            bundle=os.fspath(bundle),
            forms=(form,),
            threads=(threads,),
            interpreter=interpreter,
            image=None if image is None else os.fspath(image),
            frame=frame,
            runs=frames,
            rounds=1,
        )
        report = bench(plan, root=self._root)
        _judge(report, rules)
        return report


@pytest.fixture(scope="session")
def latency() -> Latency:
    """Checks how fast a bundle is on this machine: `latency.check(bundle, p95_ms=20)`."""
    return Latency()


def _rules(limits: dict[str, float]) -> list[str]:
    """The limits as `edge-run bench --assert` takes them."""
    from .errors import UsageError

    if not limits:
        raise UsageError("A check needs a limit. Received: none. Give p50_ms, p95_ms, p99_ms or rss_mb.")
    for name, limit in limits.items():
        if not 0 < limit < float("inf"):
            raise UsageError(f"A limit must be a number above 0. Received: {limit} for {name}. Write p95_ms=20.")
    return [f"{name}<={_plain(limit)}{'MB' if name == 'rss' else 'ms'}" for name, limit in limits.items()]


def _judge(report: BenchReport, rules: list[str]) -> None:
    from .bench import check, parse_assertion
    from .bench.text import findings_text, report_text
    from .errors import BoardThrottledError

    if not report.valid:
        raise BoardThrottledError(
            f"A latency counts only while nothing limits the clock. Received: {'; '.join(report.limits)}. "
            "Cool the board or give it a stronger supply, then repeat."
        )
    findings = [check(parse_assertion(rule), report.measurements[0]) for rule in rules]
    if not all(finding.passed for finding in findings):
        pytest.fail(f"{findings_text(findings)}\n\n{report_text(report)}", pytrace=False)


def _plain(number: float) -> str:
    """Without an exponent and without needless zeros."""
    return f"{number:f}".rstrip("0").rstrip(".")
