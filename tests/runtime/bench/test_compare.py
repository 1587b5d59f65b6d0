import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from edge_sdk_runtime import UsageError
from edge_sdk_runtime.bench import BenchPlan, BenchReport, Measurement, compare
from edge_sdk_runtime.bench.compare import Verdict
from edge_sdk_runtime.bench.system import Board, BoardState
from edge_sdk_runtime.bench.text import EMULATED, comparison_text, report_text
from tests.runtime.bench.boards import measurement


def report(*measurements: Measurement, **changes: object) -> BenchReport:
    values: dict[str, object] = {
        "plan": BenchPlan("mugs.edge", affinity=(0,)),
        "bundle": "mugs",
        "bundle_sha256": "ab" * 32,
        "date": "2026-01-01T00:00:00Z",
        "versions": {"python": "3.11.2", "edge-sdk-runtime": "0.1.0"},
        "board": Board("A board", "A CPU", 4, 10**9, "6.1"),
        "before": BoardState(("ondemand",), (1500,), {"cpu": 40.0}, "", 0.1, (), (), {"heat": 1}, True),
        "after": BoardState(readable=True),
        "limits": (),
        "measurements": measurements,
    }
    return BenchReport(**{**values, **changes})  # type: ignore[arg-type]


def latencies(median_ns: float, seed: int, rounds: tuple[float, ...] = (1, 1, 1)) -> list[int]:
    """Three rounds of a hundred, each with a level of its own and a tail as latencies have."""
    rng = np.random.default_rng(seed)
    parts = [median_ns * level * (0.97 + rng.exponential(0.04, 100)) for level in rounds]
    return [int(value) for value in np.concatenate(parts)]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (latencies(1e6, 1), latencies(1.2e6, 2), Verdict.SLOWER),
        (latencies(1e6, 1), latencies(0.8e6, 2), Verdict.FASTER),
        (latencies(1e6, 1), latencies(1e6, 2), Verdict.SAME),
        (latencies(1e6, 1), latencies(1.01e6, 2), Verdict.SAME),  # significant, and too small to matter
        (
            latencies(1e6, 1, (0.9, 1, 1.3)),
            latencies(1.1e6, 2, (0.9, 1, 1.3)),
            Verdict.SAME,
        ),  # as far apart as rounds are
        ([1000, 1000, 1000], [1500, 1500, 1500], Verdict.SAME),  # three measurements prove nothing
    ],
)
def test_a_change_is_told_where_it_is_more_than_chance(old: list[int], new: list[int], verdict: Verdict) -> None:
    comparison = compare(report(measurement(old)), report(measurement(new)))
    assert {change.stage: change.verdict for change in comparison.stages} == {"preprocess": verdict, "total": verdict}
    change = comparison.stages[0]
    assert change.change == pytest.approx(change.new_p50_ns / change.old_p50_ns - 1)


def test_what_else_is_different_is_told() -> None:
    values = latencies(1e6, 1)
    old = report(measurement(values), measurement(values, threads=2))
    new = report(
        measurement(values, interpreter="litert 3.0.0", peak_rss_bytes=70_000_000),
        measurement(values, threads=4),
        bundle_sha256="cd" * 32,
        limits=("throttled",),
    )
    comparison = compare(old, new)
    assert {change.name: (change.old, change.new) for change in comparison.settings} == {
        "bundle": ("mugs abababababab", "mugs cdcdcdcdcdcd"),
        "interpreter": ("litert 2.3.0", "litert 3.0.0, litert 2.3.0"),
        "limits": ("none", "throttled"),
    }
    assert comparison.missing == (("before", "fused", 2), ("now", "fused", 4))
    assert {v.name: v.new - v.old for v in comparison.values if v.new != v.old} == {"peak_rss_bytes": 2_000_000}


def test_the_same_report_twice_differs_in_nothing() -> None:
    one = report(measurement(latencies(1e6, 1)))
    comparison = compare(one, one)
    assert (comparison.settings, comparison.missing) == ((), ())
    assert all(change.verdict is Verdict.SAME and change.p_value > 0.9 for change in comparison.stages)


def test_a_comparison_as_text() -> None:
    old, new = report(measurement(latencies(1e6, 1))), report(measurement(latencies(2e6, 2), threads=2))
    text = comparison_text(compare(old, report(measurement(latencies(2e6, 2)), limits=("hot",))))
    assert re.search(r"^fused, 1 thread  total +\S+ \S+ +\S+ \S+ +\+\S+%  \S+ +slower$", text, re.MULTILINE)
    assert text.endswith("limits: none → hot")
    assert "only before: fused, 1 thread\nonly now: fused, 2 threads" in comparison_text(compare(old, new))


def test_reports_of_an_emulated_board_are_marked_and_never_compared() -> None:
    real = report(measurement(latencies(1e6, 1)))
    emulated = dataclasses.replace(real, board=dataclasses.replace(real.board, model="A board, emulated by QEMU"))
    assert report_text(emulated).endswith(EMULATED) and EMULATED not in report_text(real)
    for pair in ((real, emulated), (emulated, real), (emulated, emulated)):
        with pytest.raises(UsageError, match=r"must be of real boards\. Received: A board, emulated by QEMU"):
            compare(*pair)


def test_a_report_comes_back_from_json(tmp_path: Path) -> None:
    one = report(measurement(latencies(1e6, 1)), measurement([5, 6, 7], threads=2, power=None), limits=("hot",))
    (tmp_path / "old.json").write_text(json.dumps({**one.document(), "assertions": [], "something": "newer"}))
    back = BenchReport.read(tmp_path / "old.json")
    assert back == dataclasses.replace(one, plan=dataclasses.replace(one.plan, affinity=None))
    assert not back.valid


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": 99}', '{"schema": 1}', "[" * 9999, "\xff", '{"schema": 1, "plan": 3}']
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "old.json").write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match=r"must be what edge-run bench --json prints\. Received: .*old\.json") as info:
        BenchReport.read(tmp_path / "old.json")
    assert "\n" not in str(info.value)


def test_a_report_without_samples_is_refused(tmp_path: Path) -> None:
    document = report(measurement([5, 6, 7])).document()
    document["measurements"][0]["sample_ns"]["total"] = []
    (tmp_path / "old.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="sample_ns without a value for every stage"):
        BenchReport.read(tmp_path / "old.json")
