import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk_runtime.pytest_plugin import Latency
from tests.runtime.bench.boards import PLAIN_PC, THROTTLED_PI, board, colour_bundle

SUITE = """
from pathlib import Path
import pytest
from edge_sdk_runtime.pytest_plugin import Latency

def test_within(latency):
    report = latency.check("colours.edge", p50_ms=60_000, p95_ms=60_000.5, p99_ms=60_000, rss_mb=500, frames=20)
    assert report.measurements[0].runs == 20

def test_beyond(latency):
    latency.check("colours.edge", p95_ms=0.000001, frames=20, form="fused")

def test_throttled(latency):
    Latency(Path("pi")).check("colours.edge", p95_ms=60_000, frames=20)

def test_wrong_use(latency):
    latency.check("colours.edge")
"""


def run_suite(folder: Path, *arguments: str) -> str:
    """Run pytest as a user does who has the plugin."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "edge_sdk_runtime.pytest_plugin", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_suite_on_the_device(tmp_path: Path) -> None:
    colour_bundle().write(tmp_path / "colours.edge")
    board(tmp_path / "pi", THROTTLED_PI)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_speed.py").write_text(SUITE)
    text = run_suite(tmp_path, "-rA")
    assert re.search(r"3 failed, 1 passed", text)
    assert "PASSED test_speed.py::test_within" in text
    beyond = text[text.index("_ test_beyond _") : text.index("_ test_throttled _")]
    assert re.search(r"^FAILED  p95<=0\.000001ms  \d", beyond, re.MULTILINE)
    for part in ("fused, 1 thread, 20 runs", "stage", "preprocess", "classify", "total", "peak RSS"):
        assert part in beyond
    assert "def check" not in beyond, "the table is enough"
    assert "BoardThrottledError: A latency counts only while nothing limits the clock. Received: under-voltage" in text
    assert "UsageError: A check needs a limit. Received: none." in text


def test_loading_the_plugin_does_not_import_what_measures() -> None:
    script = "import sys, edge_sdk_runtime.pytest_plugin; print('edge_sdk_runtime.bench' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_plugin_is_an_entry_point() -> None:
    text = (Path(__file__).parents[2] / "runtime" / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\nedge-sdk = "edge_sdk_runtime.pytest_plugin"\n' in text


@pytest.mark.parametrize("limit", [0, -5, float("nan"), float("inf")])
def test_a_limit_must_be_a_number_above_0(tmp_path: Path, limit: float) -> None:
    from edge_sdk_runtime import UsageError

    with pytest.raises(UsageError, match=r"A limit must be a number above 0\. Received: .* for p95"):
        Latency(board(tmp_path, PLAIN_PC)).check("absent.edge", p95_ms=limit)


def test_the_tests_of_a_device_say_what_they_need() -> None:
    folder = Path(__file__).parents[1] / "device"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EDGE_SDK", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", folder],
        cwd=folder.parents[1],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "needs a bundle: EDGE_SDK_BUNDLE=mugs.edge python -m pytest tests/device" in done.stdout
