import csv
from pathlib import Path

import numpy as np
import pytest

from edge_sdk_runtime import Classification, UsageError
from edge_sdk_runtime.cameras import CameraCounts, Frame
from edge_sdk_runtime.live import Seen
from edge_sdk_runtime.record import columns, recording

STAGES = ("preprocess", "classify")


def seen(sequence: int, label: str) -> Seen:
    scores = np.array([0.25, 0.75], np.float32)
    result = Classification(label, 0.75, 1, scores, ("a", label), STAGES, (1200, 34000), 5_000_000)
    return Seen(Frame(np.zeros((2, 2, 3), np.uint8), 1, sequence, "x.png"), result, 10.0, CameraCounts(1, 0, 0, 0))


def test_a_recording_is_a_table_with_a_row_per_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with recording(path, STAGES) as record:
        record(seen(3, 'a "blue, big" mug\nö'))
        record(seen(5, "cup"))
        assert not path.exists()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == columns(STAGES)
    assert [(row["sequence"], row["label"]) for row in rows] == [("3", 'a "blue, big" mug\nö'), ("5", "cup")]
    assert rows[0] | {"captured": ""} == {
        "captured": "",
        "sequence": "3",
        "file": "x.png",
        "label": 'a "blue, big" mug\nö',
        "score": "0.750000",
        "unknown": "",
        "capture_age_ns": "5000000",
        "preprocess_ns": "1200",
        "classify_ns": "34000",
        "total_ns": "35200",
    }
    assert rows[0]["captured"].endswith("Z")


def test_an_earlier_recording_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with (
        pytest.raises(UsageError, match=r"must be a new file. Received: .*out.csv, which is there"),
        recording(path, STAGES),
    ):
        pass
    assert path.read_text() == "mine"


def test_an_error_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError), recording(tmp_path / "out.csv", STAGES) as record:
        record(seen(1, "cup"))
        raise KeyError
    assert list(tmp_path.iterdir()) == []
