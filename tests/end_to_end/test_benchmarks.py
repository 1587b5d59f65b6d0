"""Every benchmark in its quick form: the same code, in seconds; nothing is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness import RESULTS, Outcome, as_text, at_least, at_most
from benchmarks.page import page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_quick_form_prints_its_figures_and_records_nothing(name: str) -> None:
    before = {path: path.read_bytes() for path in RESULTS.glob("*")}
    finished = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "figure" in finished.stdout
    assert {path: path.read_bytes() for path in RESULTS.glob("*")} == before


def test_figures_know_whether_they_meet_their_goal() -> None:
    assert at_most("a", 1.0, 1.0).met and not at_most("a", 1.1, 1.0).met
    assert at_least("a", 1.0, 1.0).met and not at_least("a", 0.9, 1.0).met
    assert at_most("a", 1.1, 1.0, why="because").why == "because" and at_most("a", 1.0, 1.0, why="because").why == ""


def test_the_page_is_generated_from_the_records() -> None:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    assert records, "full runs are recorded in benchmarks/results"
    assert (RESULTS.parent / "README.md").read_text(encoding="utf-8") == page(records)
    for record in records:
        assert (RESULTS / f"{record['benchmark']}.txt").read_text(encoding="utf-8") == as_text(record)


def test_an_outcome_needs_no_rows() -> None:
    assert Outcome("nothing", []).rows == []
