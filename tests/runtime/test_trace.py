import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import Classification, UsageError
from edge_sdk_runtime.cli.main import main
from edge_sdk_runtime.trace import TraceFile
from tests.runtime.bench.boards import colour_bundle
from tests.runtime.helpers import plain


def result(*durations: int, age: int | None = None, label: str = "red", score: float = 0.75) -> Classification:
    stages = ("preprocess", "embed", "similarity", "head")[: len(durations)]
    return Classification(label, score, 0, np.array([score], np.float32), (label,), stages, durations, age)


def complete_events(path: Path) -> list[dict[str, Any]]:
    return [event for event in json.loads(path.read_bytes()) if event["ph"] == "X"]


def test_a_classification_is_an_event_with_its_stages_inside(tmp_path: Path) -> None:
    with TraceFile(tmp_path / "t.json") as trace:
        trace.add(result(1_500, 20_000, 7, 1_000), started_ns=10_000_000_123)
    outer, *inner = complete_events(tmp_path / "t.json")
    assert (outer["name"], outer["ts"], outer["dur"]) == ("classification", 10_000_000.123, 22.507)
    assert outer["args"] == {"label": "red", "score": 0.75}
    assert [(e["name"], e["ts"], e["dur"]) for e in inner] == [
        ("preprocess", 10_000_000.123, 1.5),
        ("embed", 10_000_001.623, 20.0),
        ("similarity", 10_000_021.623, 0.007),
        ("head", 10_000_021.63, 1.0),
    ]
    assert {(e["pid"], e["tid"]) for e in (outer, *inner)} == {(os.getpid(), outer["tid"])}


def test_a_frame_that_waited_is_shown_on_a_line_of_its_own(tmp_path: Path) -> None:
    with TraceFile(tmp_path / "t.json") as trace:
        trace.add(result(1_000, age=5_000_000), started_ns=9_000_000)
    events = {event["name"]: event for event in complete_events(tmp_path / "t.json")}
    waiting = events["waiting frame"]
    assert (waiting["ts"], waiting["dur"]) == (4_000.0, 5_000.0)
    assert waiting["tid"] != events["classification"]["tid"]


def test_without_a_start_a_classification_has_just_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk_runtime.trace.time.perf_counter_ns", lambda: 50_000)
    with TraceFile(tmp_path / "t.json") as trace:
        trace.add(result(1_000, 2_000))
    assert complete_events(tmp_path / "t.json")[0]["ts"] == 47.0


def test_odd_labels_and_scores_are_json(tmp_path: Path) -> None:
    with TraceFile(tmp_path / "t.json") as trace:
        trace.add(result(1, label='a "mug"\n\\ é', score=float("nan")), started_ns=0)
    assert complete_events(tmp_path / "t.json")[0]["args"] == {"label": 'a "mug"\n\\ é', "score": None}


def test_a_trace_of_nothing_is_json_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("something much longer that was there before\n" * 99)
    trace = TraceFile(path)
    assert complete_events(path) == []
    trace.close()
    trace.close()
    assert complete_events(path) == []


def test_the_file_is_json_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    seen = set()
    with TraceFile(path) as trace:
        for i in range(400):
            trace.add(result(1_000, 2_000), started_ns=i * 10_000)
            seen.add(len(complete_events(path)))
    assert len(complete_events(path)) == 3 * 400
    assert len(seen) > 3, "it is written as it grows"
    assert 3 * 400 - max(seen) < 3 * 150, "and little waits in memory"


def test_a_killed_process_leaves_json(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from edge_sdk_runtime import Classification
from edge_sdk_runtime.trace import TraceFile
trace = TraceFile(sys.argv[1])
for i in range(1000):
    trace.add(Classification("a", 0.5, 0, None, ("a",), ("x",), (5,), None), i)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "t.json"], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert 0 < len(complete_events(tmp_path / "t.json")) <= 2000


def test_a_full_disk_is_told_and_leaves_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.json"
    trace = TraceFile(path)
    trace.add(result(1_000), started_ns=0)
    before, write = len(complete_events(path)), os.pwrite

    def full(file: int, content: bytes, place: int) -> int:
        if len(content) > 100:
            return write(file, bytes(content)[:100], place)
        if len(content) > 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content, place)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        for _ in range(10):
            trace.add(result(2_000), started_ns=0)
        trace.close()
    assert len(complete_events(path)) == before


def test_classify_writes_a_trace(tmp_path: Path) -> None:
    colour_bundle().write(tmp_path / "colours.edge")
    for name in ("red", "blue"):
        image = plain(255, 0, 0) if name == "red" else plain(0, 0, 255)
        (tmp_path / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    pictures = [str(tmp_path / "red.png"), str(tmp_path / "blue.png")]
    arguments = ["classify", str(tmp_path / "colours.edge"), *pictures, "--trace", str(tmp_path / "t.json")]
    assert main(arguments) == 0
    events = complete_events(tmp_path / "t.json")
    assert [e["args"]["label"] for e in events if e["name"] == "classification"] == ["red", "blue"]
    assert sum(e["name"] == "embed" for e in events) == 2


def test_a_limit_leaves_out_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with TraceFile(path, limit_bytes=65_536) as trace:
        for i in range(1000):
            trace.add(result(1_000, 2_000), started_ns=i)
    kept = len(complete_events(path)) // 3
    assert path.stat().st_size <= 65_536
    assert [event["name"] for event in json.loads(path.read_bytes()) if event["ph"] == "i"] == ["the trace is full"]
    assert (trace.left_out, kept + trace.left_out) == (1000 - kept, 1000)
    with pytest.raises(UsageError, match="at least 65536"):
        TraceFile(path, limit_bytes=1000)
