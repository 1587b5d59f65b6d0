"""The second environment of the tests: tflite-runtime with the NumPy and OpenCV that it takes, made by `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["PYTHON", "ROOT", "needs_tflite_runtime"]

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-tflite" / "bin" / "python"
"""Runs our runtime on tflite-runtime 2.14.0."""

_marks = (
    pytest.mark.tflite_runtime,
    pytest.mark.skipif(not PYTHON.with_name("edge-run").exists(), reason="needs: make .venv-tflite/.ready"),
)


def needs_tflite_runtime(test):  # type: ignore[no-untyped-def]
    """Mark a test that runs something there."""
    for mark in _marks:
        test = mark(test)
    return test
