"""On the device itself: does it compute what the workstation did, and is it fast and small enough?

EDGE_SDK_BUNDLE=mugs.edge EDGE_SDK_P95_MS=20 EDGE_SDK_RSS_MB=90 python -m pytest tests/device
"""

from pathlib import Path

import numpy as np
import pytest

from edge_sdk_runtime import Bundle, Classifier, verify
from edge_sdk_runtime.pytest_plugin import Latency


def test_the_golden_vectors_are_reproduced(bundle: Path) -> None:
    verification = verify(Bundle.open(bundle))
    assert verification.passed, f"the first stage that differs: {verification.first_failure}"


def test_every_form_answers(bundle: Path) -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    for form in Bundle.open(bundle).manifest.forms:
        with Classifier.load(bundle, form=form) as classifier:
            result = classifier.classify(frame)
        assert np.isfinite(result.scores).all()
        assert (result.label, result.score) == (result.labels[result.scores.argmax()], result.scores.max())
        assert min(result.durations_ns) > 0


@pytest.mark.parametrize("limit", [("EDGE_SDK_P95_MS", "20")], indirect=True, ids=["p95"])
def test_it_is_fast_enough(bundle: Path, latency: Latency, limit: float) -> None:
    report = latency.check(bundle, p95_ms=limit)  # fails with the table of stages
    assert report.measurements[0].stages["total"].p95_ns <= limit * 1e6


@pytest.mark.parametrize("limit", [("EDGE_SDK_RSS_MB", "90")], indirect=True, ids=["rss"])
def test_it_is_small_enough(bundle: Path, latency: Latency, limit: float) -> None:
    report = latency.check(bundle, rss_mb=limit)
    assert report.measurements[0].peak_rss_bytes <= limit * 1e6
