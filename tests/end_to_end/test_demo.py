"""The demo's code on few images: what it writes, and that the same command gives the same numbers."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from edge_sdk.cli.main import main
from edge_sdk_runtime import Bundle

EVERY_PASS = """
name = "every-pass"

[[pass]]
kind = "prune"
fraction = 0.3
recover = { epochs = 1, min_steps = 0 }

[[pass]]
kind = "factorize"
energy = 0.8

[[pass]]
kind = "quantize"
mode = "static-int8"
"""


def demo(folder: Path) -> str:
    """The demo with one pass of each family, in seconds; returns what it prints."""
    recipe = folder.with_suffix(".toml")
    recipe.write_text(EVERY_PASS)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["demo", "-o", str(folder), "--limit", "20", "--epochs", "2", "--recipe", str(recipe)]) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "first"


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    return demo(folder)


def test_demo_writes_bundles_report_and_says_what_to_type_next(folder: Path, printed: str) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"digits.keras", "digits.edge", "digits-float.edge", "report.html"} <= names
    assert any(name.startswith("sample-") for name in names)
    assert "classify" in printed and "report.html" in printed
    for wanted in ("accuracy", "parameters", "multiply-accumulates", ".tflite size", "bundle size", "embed, p50 / p95"):
        assert wanted in printed


def test_the_same_command_gives_the_same_bytes(folder: Path, printed: str, tmp_path: Path) -> None:
    demo(tmp_path / "second")
    for name in ("digits.edge", "digits-float.edge"):
        assert Bundle.open(folder / name).members() == Bundle.open(tmp_path / "second" / name).members()
        assert (folder / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
