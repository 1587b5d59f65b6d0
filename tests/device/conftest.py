"""What the tests of a device need: a bundle, named by EDGE_SDK_BUNDLE. They can be copied to a board and run there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sdk_runtime.pytest_plugin import latency

__all__ = ["bundle", "latency", "limit"]


@pytest.fixture
def bundle() -> Path:
    """The bundle that is tested on this device."""
    named = os.environ.get("EDGE_SDK_BUNDLE")
    if not named:
        pytest.skip("needs a bundle: EDGE_SDK_BUNDLE=mugs.edge python -m pytest tests/device")
    return Path(named)


@pytest.fixture
def limit(request: pytest.FixtureRequest) -> float:
    """The number in the environment variable that the test names."""
    variable, example = request.param
    text = os.environ.get(variable)
    if not text:
        pytest.skip(f"needs a limit: {variable}={example}")
    return float(text)
