"""Every benchmark in its quick form: the same code, in seconds; nothing is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness import RESULTS, Outcome, as_text, at_least, at_most, command
from benchmarks.page import page
from benchmarks.phones import chromium

ROOT = Path(__file__).parents[2]


PHONE = chromium() is not None and (ROOT / "devices/edge_sdk_devices/phone/app/index.html").exists()
HERE = tuple(name for name in BENCHMARKS if PHONE or name != "phone_page")
"""Those that can run here: the page for phones needs Chromium, and to have been built by make phone."""


FIRST, LAST = HERE.index("quantization"), HERE.index("deep_compression") + 1
HALVES = (HERE[FIRST:LAST], HERE[:FIRST] + HERE[LAST:])
"""Those that train and compress, and the others, of which several share one bundle of random weights."""


@pytest.mark.parametrize("names", HALVES, ids=["compression", "the others"])
def test_quick_forms_print_their_figures_and_record_nothing(names: tuple[str, ...]) -> None:
    before = {path: path.read_bytes() for path in RESULTS.glob("*")}
    finished = run("benchmarks", "--quick", *names)
    assert finished.returncode == 0, finished.stderr
    for name in names:
        assert f"{name}: " in finished.stdout
    assert finished.stdout.count("\nfigure ") == len(names)
    assert {path: path.read_bytes() for path in RESULTS.glob("*")} == before


def test_a_benchmark_is_a_program_of_its_own() -> None:
    finished = run("benchmarks.area_resize", "--quick")
    assert finished.returncode == 0 and "area_resize: " in finished.stdout


def test_an_unknown_benchmark_is_refused_with_those_known() -> None:
    finished = run("benchmarks", "speed")
    assert finished.returncode == 2
    assert "NAME must be one of demo, " in finished.stderr and "Received: speed." in finished.stderr


def test_an_interrupted_benchmark_says_so_in_one_line_and_records_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: bool) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["benchmark"])
    with pytest.raises(SystemExit) as ended:
        command("interrupted", interrupted)
    told = capsys.readouterr().err
    assert ended.value.code == 130 and told.startswith("Interrupted; ") and told.count("\n") == 1
    assert not (RESULTS / "interrupted.json").exists()


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


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
