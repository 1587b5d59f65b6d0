"""The third environment of the tests: MediaPipe Tasks, of a release that sends no telemetry, made by `make test-mediapipe`."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["CONSTRAINTS", "PYTHON", "needs_mediapipe"]

_ROOT = Path(__file__).parents[1]
CONSTRAINTS = _ROOT / "constraints-mediapipe.txt"
"""What is installed there."""
PYTHON = _ROOT / ".venv-mediapipe" / "bin" / "python"
"""Imports `mediapipe`, and nothing of ours."""

needs_mediapipe = [
    pytest.mark.mediapipe,
    pytest.mark.skipif(not PYTHON.parents[1].joinpath(".ready").exists(), reason="needs: make .venv-mediapipe/.ready"),
]
"""Marks of tests that run something there."""
