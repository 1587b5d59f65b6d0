"""On the device itself: does it compute what the workstation did, and is it fast and small enough?

EDGE_SDK_BUNDLE=mugs.edge EDGE_SDK_P95_MS=20 EDGE_SDK_RSS_MB=90 python -m pytest tests/device
"""

from pathlib import Path

import pytest

from edge_sdk_runtime import Bundle, Classifier, verify
from edge_sdk_runtime.pytest_plugin import Latency


def test_the_golden_vectors_are_reproduced(bundle: Path) -> None:
    verification = verify(Bundle.open(bundle))
    assert verification.passed, f"the first stage that differs: {verification.first_failure}"


def test_every_form_answers(bundle: Path) -> None:
    for form in Bundle.open(bundle).manifest.forms:
        with Classifier.load(bundle, form=form) as classifier:
            classifier.warm_up()


@pytest.mark.parametrize("limit", [("EDGE_SDK_P95_MS", "20")], indirect=True, ids=["p95"])
def test_it_is_fast_enough(bundle: Path, latency: Latency, limit: float) -> None:
    latency.check(bundle, p95_ms=limit)


@pytest.mark.parametrize("limit", [("EDGE_SDK_RSS_MB", "90")], indirect=True, ids=["rss"])
def test_it_is_small_enough(bundle: Path, latency: Latency, limit: float) -> None:
    latency.check(bundle, rss_mb=limit)
