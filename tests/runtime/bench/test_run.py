import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_sdk_runtime import BundleError, UsageError
from edge_sdk_runtime.bench import BenchPlan, BenchReport, bench
from edge_sdk_runtime.bench.child import KEPT, main
from edge_sdk_runtime.bench.plan import parse_frame, parse_numbers
from edge_sdk_runtime.bench.run import SAMPLE
from edge_sdk_runtime.bench.text import report_text
from edge_sdk_runtime.cli import main as command
from edge_sdk_runtime.errors import BenchError
from tests.runtime.bench.boards import JETSON, THROTTLED_PI, board, colour_bundle

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bench") / "colours.edge"
    colour_bundle().write(path)
    return str(path)


@pytest.fixture(scope="module")
def report(path: str, tmp_path_factory: pytest.TempPathFactory) -> BenchReport:
    """Both forms on a Jetson, two rounds of each."""
    root = board(tmp_path_factory.mktemp("jetson"), JETSON)
    return bench(BenchPlan(path, forms=("staged", "fused"), runs=1_501, rounds=2, frame=(60, 40)), root=root)


def test_every_form_is_measured_per_stage(report: BenchReport) -> None:
    staged, fused = report.measurements
    assert (staged.form, fused.form) == ("staged", "fused")
    assert list(staged.stages) == ["preprocess", "embed", "similarity", "head", "total"]
    assert list(fused.stages) == ["preprocess", "classify", "total"]
    for measured in report.measurements:
        assert measured.runs == measured.stages["total"].count == 1_501
        for summary in measured.stages.values():
            figures = (summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.max_ns)
            assert figures == tuple(sorted(figures)) and figures[0] > 0
        assert {len(values) for values in measured.sample_ns.values()} == {SAMPLE}
        assert {len(values) for values in measured.round_p50_ns.values()} == {2}


def test_start_up_and_memory_are_those_of_a_process_of_its_own(report: BenchReport) -> None:
    for measured in report.measurements:
        assert measured.import_ns > 1_000_000
        assert measured.load_ns > 0 and measured.first_ns > 0
        assert measured.start_ns == measured.import_ns + measured.load_ns + measured.first_ns
        assert 20e6 < measured.peak_rss_bytes < 150e6, "and not of this one"
        assert measured.interpreter.startswith("litert ")
        assert measured.runs_per_s > 0


def test_the_board_is_described(report: BenchReport) -> None:
    assert report.board.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (report.before.power_mode, report.valid) == ("15W", True)
    text = report_text(report)
    for part in ("NVIDIA Jetson Orin Nano", "15W", "51.0 → 51.0 °C", "staged, 1 thread, 1,501 runs", "peak RSS"):
        assert part in text
    assert "INVALID" not in text
    json.dumps(report.document(), allow_nan=False)


def test_seconds_image_affinity_and_threads(path: str, tmp_path: Path) -> None:
    processor = min(os.sched_getaffinity(0))
    shares: list[float] = []
    plan = BenchPlan(path, seconds=0.5, rounds=1, threads=(2,), affinity=(processor,), frame=(31, 17), warm_up=0)
    root = board(tmp_path, {**JETSON, **THROTTLED_PI})
    report = bench(plan, root=root, progress=shares.append)
    assert (report.measurements[0].threads, report.measurements[0].form) == (2, "staged")
    assert report.measurements[0].power is None or report.measurements[0].power.watts == pytest.approx(6.0)
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    assert report.limits == ("under-voltage: the supply or its cable is too weak", "throttled")
    assert "INVALID, the clock was limited: under-voltage" in report_text(report)
    assert f"31 × 17 computed frame, processors {processor}" in report_text(report)


def test_a_bundle_that_is_none_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "bad.edge").write_bytes(b"PK")
    for name in ("bad.edge", "absent.edge"):
        with pytest.raises(BundleError, match=name):
            bench(BenchPlan(str(tmp_path / name)))


def test_what_the_process_could_not_do_is_raised_here(path: str) -> None:
    with pytest.raises(UsageError, match="form must be one the bundle holds"):
        bench(BenchPlan(path, forms=("both",), runs=1))


def test_a_process_that_dies_is_told(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk_runtime.bench.run.SCRIPT", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(BenchError, match=r"SIGSEGV \(no message\)\. Run: edge-run doctor"):
        bench(BenchPlan(path, runs=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": 0}, r"runs must be at least 1\. Received: 0"),
        ({"warm_up": -1}, r"warm_up must be at least 0\. Received: -1"),
        ({"rounds": 0}, r"rounds must be at least 1"),
        ({"seconds": 0.0}, r"seconds must be above 0"),
        ({"seconds": float("nan")}, r"seconds must be above 0"),
        ({"threads": (1, 0)}, r"threads must be at least 1"),
        ({"frame": (0, 5)}, r"at least one pixel"),
        ({"affinity": (9999,)}, r"must be among those that this process may use: \d+"),
        ({"affinity": ()}, r"Received: none"),
        ({"trace": "t.json", "threads": (1, 2)}, r"one form and one thread count\. Received: 1 and 2"),
    ],
)
def test_a_plan_is_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BenchPlan("x.edge", **changes)  # type: ignore[arg-type]


def test_sizes_and_lists_are_read() -> None:
    assert (parse_frame("640x480"), parse_frame("1×2"), parse_numbers("1, 2,4,2", "x")) == (
        (640, 480),
        (1, 2),
        (1, 2, 4),
    )
    for text in ("640", "640x", "x480", "-1x5", "6.5x4", "640x480x3"):
        with pytest.raises(UsageError, match="Write 640x480"):
            parse_frame(text)
    for text in ("", "a", "1,,2", "1.5", "-1"):
        with pytest.raises(UsageError, match="--threads must be whole numbers"):
            parse_numbers(text, "--threads")


def test_of_many_measurements_a_uniform_sample_is_kept(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    assert KEPT >= 10_000
    monkeypatch.setattr("edge_sdk_runtime.bench.child.KEPT", 50)
    task = {"bundle": path, "form": "fused", "threads": 1, "interpreter": None, "image": None, "frame": (8, 8)}
    task["parent"] = os.getppid()
    main({**task, "warm_up": 0, "runs": 400, "seconds": 1.0, "trace": None}, 1)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["runs"], len(answer["rows"])) == (400, 50)
    assert all(row[-1] == sum(row[:-1]) for row in answer["rows"])
    assert answer["longest_ns"][-1] >= max(row[-1] for row in answer["rows"])


def test_the_command_measures_asserts_traces_and_saves(path: str, tmp_path: Path, capsys: Output) -> None:
    saved, trace = tmp_path / "new.json", tmp_path / "trace.json"
    demands = ["--assert", "p95<1h", "--assert", "p50<60s", "--assert", "rss<1kB"]
    assert command.main(["bench", path, *demands]) == 2
    assert "unit of p95 must be one of" in capsys.readouterr().err
    arguments = ["bench", path, "--runs", "40", "--rounds", "1", "--form", "fused", *demands[2:]]
    assert command.main([*arguments, "--save", str(saved), "--trace", str(trace)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["ok", "p50<60s"] for line in lines)
    assert any(line.split()[:2] == ["FAILED", "rss<1kB"] for line in lines)
    assert sum(event["name"] == "classification" for event in json.loads(trace.read_bytes())) == 40
    assert command.main([*arguments[:8], "--compare", str(saved), "--json", "--assert", "p50<60s"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [finding["passed"] for finding in document["assertions"]] == [True]
    assert [stage["stage"] for stage in document["comparison"]["stages"]] == ["preprocess", "classify", "total"]
    assert BenchReport.read(saved).measurements[0].runs == 40


def test_a_throttled_board_holds_no_demand(
    path: str, report: BenchReport, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    import dataclasses

    throttled = dataclasses.replace(report, limits=("throttled",))
    monkeypatch.setattr("edge_sdk_runtime.bench.bench", lambda plan, progress: throttled)
    assert command.main(["bench", path, "--assert", "p50<60s"]) == 1
    assert "INVALID, the clock was limited: throttled" in capsys.readouterr().out
    assert command.main(["bench", path]) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_measuring_process_too(path: str, number: signal.Signals) -> None:
    # Whoever runs the tests in the background may have had SIGINT ignored, which a child inherits.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from edge_sdk_runtime.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "bench", path, "--seconds", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (measuring := children.read_text().split()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    printed, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert (printed, said) == ("", "Interrupted.\n" if number == signal.SIGINT else "")
    while any(runs(child) for child in measuring):  # one that was not quite started yet looks for its parent itself
        time.sleep(0.02)


def runs(process: str) -> bool:
    """Whether a process is there and not merely waiting to be told of."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
