"""`edge-sdk pack`, and how `edge-sdk compress` is told to store models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli.main import main
from edge_sdk_runtime.codec import unpack
from tests.converters.pack.files import shared_weights, tflite_of

MODEL = tflite_of({"a layer with a name that is rather long for a table": shared_weights((60, 50), 16, 0.06)})

Output = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(MODEL)
    return path


def test_pack_writes_a_file_that_unpacks_and_tells_what_became_of_each_tensor(model: Path, capsys: Output) -> None:
    packed = model.with_suffix(".tflitez")
    assert main(["pack", str(model), "-o", str(packed)]) == 0
    assert unpack(packed.read_bytes()) == MODEL
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["tensor", "shape", "coding", "plain", "packed", "entropy", "bound"]
    assert "… " in lines[1] and "60 × 50" in lines[1] and "gaps, 16 values" in lines[1]
    assert f"unpack {packed} -o" in lines[-1]


def test_pack_prints_json_that_a_program_can_read(model: Path, capsys: Output) -> None:
    packed = model.with_suffix(".tflitez")
    assert main(["pack", str(model), "-o", str(packed), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["plain_bytes"] == len(MODEL)
    assert document["packed_bytes"] == packed.stat().st_size
    assert document["tensors"][0]["coding"] == "gaps, 16 values"


def test_pack_refuses_what_is_no_model_and_writes_nothing(tmp_path: Path, capsys: Output) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    assert main(["pack", str(other), "-o", str(tmp_path / "packed")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("edge-sdk: A model to pack must be a whole .tflite file. Received: 5 bytes")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "packed").exists()


def test_compress_refuses_an_unknown_storage_before_it_begins(tmp_path: Path, capsys: Output) -> None:
    arguments = ["compress", "none.keras", "--data", "none", "-o", str(tmp_path / "b.edge"), "--storage", "zip"]
    assert main(arguments) == 2
    assert "storage must be one of plain, coded. Received: 'zip'" in capsys.readouterr().err
