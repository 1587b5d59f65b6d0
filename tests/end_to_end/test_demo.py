"""The demo's code on few images: what it writes, and that the same command gives the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli.main import main
from edge_sdk_runtime import Bundle

EVERY_PASS = """
name = "every-pass"

[[pass]]
kind = "prune"
fraction = 0.3
recover = { epochs = 2, min_steps = 0 }

[[pass]]
kind = "factorize"
energy = 0.8
recover = { epochs = 2, min_steps = 0 }

[[pass]]
kind = "quantize"
mode = "static-int8"
"""


def demo(folder: Path, *options: str) -> int:
    """The demo with one pass of each family, in seconds."""
    recipe = folder.with_suffix(".toml")
    recipe.write_text(EVERY_PASS)
    return main(["demo", "-o", str(folder), "--limit", "20", "--epochs", "2", "--recipe", str(recipe), *options])


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
        assert demo(tmp_path / name, "--json") == 0
        figures.append([entry["accuracy"] for entry in json.loads(capfd.readouterr().out)])
    assert figures[0] == figures[1]
    assert Bundle.open(tmp_path / "a" / "digits.edge").to_bytes() == (tmp_path / "b" / "digits.edge").read_bytes()
