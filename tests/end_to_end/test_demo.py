"""The demo's code on few images: what it writes, and that the same command gives the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli.main import main
from edge_sdk_runtime import Bundle


def demo(folder: Path, *options: str) -> int:
    return main(["demo", "-o", str(folder), "--limit", "20", "--epochs", "3", *options])


def test_demo_writes_bundles_report_and_says_what_to_type_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert demo(tmp_path / "demo") == 0
    out = capfd.readouterr().out
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert {"digits.keras", "digits.edge", "digits-float.edge", "report.html"} <= names
    assert any(name.startswith("sample-") for name in names)
    assert "classify" in out and "report.html" in out
    for wanted in ("accuracy", "parameters", "multiply-accumulates", ".tflite size", "bundle size", "embed, p50 / p95"):
        assert wanted in out


def test_the_same_command_gives_the_same_bytes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    figures = []
    for name in ("a", "b"):
        assert demo(tmp_path / name, "--recipe", "int8", "--json") == 0
        figures.append([entry["accuracy"] for entry in json.loads(capfd.readouterr().out)])
    assert figures[0] == figures[1]
    assert Bundle.open(tmp_path / "a" / "digits.edge").to_bytes() == (tmp_path / "b" / "digits.edge").read_bytes()
