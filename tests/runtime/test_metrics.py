import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime.metrics import as_document, as_prometheus
from edge_sdk_runtime.timing import BUCKET_BOUNDS_NS, StageClock

HISTOGRAM, SUMMARY = "edge_sdk_stage_latency_seconds", "edge_sdk_stage_recent_latency_seconds"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> tuple[dict[str, str], Samples]:
    """Prometheus's text format 0.0.4, strictly: types by family, and samples by name and labels."""
    assert text.endswith("\n")
    types: dict[str, str] = {}
    samples: Samples = {}
    helped: set[str] = set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped and name not in types
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram", "summary", "untyped")
            types[name] = kind
        else:
            match = re.fullmatch(
                r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*)\} (\S+)', line
            )
            assert match, line
            pairs = re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', match[2])
            labels = frozenset((key, re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], v)) for key, v in pairs)
            assert len(dict(labels)) == len(pairs)
            assert (match[1], labels) not in samples
            assert list(types)[-1] == re.sub(r"_(bucket|sum|count)$", "", match[1]), "samples stand below their type"
            samples[match[1], labels] = float(match[3])
    return types, samples


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**11)), min_size=1, max_size=20))
def test_the_text_is_what_prometheus_reads(rows: list[tuple[int, int]]) -> None:
    clock = StageClock(("preprocess", "classify"))
    for row in rows:
        clock.record(row)
    types, samples = parse(as_prometheus(clock))
    assert types == {HISTOGRAM: "histogram", SUMMARY: "summary"}
    columns = {"preprocess": [a for a, _ in rows], "classify": [b for _, b in rows], "total": [a + b for a, b in rows]}
    for stage, values in columns.items():
        buckets = {
            dict(labels)["le"]: value
            for (name, labels), value in samples.items()
            if name == f"{HISTOGRAM}_bucket" and ("stage", stage) in labels
        }
        assert list(buckets)[-1] == "+Inf"
        assert [float(le) for le in buckets] == sorted(float(le) for le in buckets)
        for le, count in buckets.items():
            assert count == sum(value <= float(le) * 1e9 for value in values)
        for family in (HISTOGRAM, SUMMARY):
            assert of(samples, f"{family}_count", stage=stage) == len(rows)
            assert math.isclose(of(samples, f"{family}_sum", stage=stage), sum(values) / 1e9)
        assert of(samples, SUMMARY, stage=stage, quantile="0.5") == clock.summary()[stage].p50_ns / 1e9


def test_buckets_end_at_one_two_and_five() -> None:
    clock = StageClock(("a",))
    _, samples = parse(as_prometheus(clock))
    bounds = [dict(labels)["le"] for name, labels in samples if name.endswith("_bucket") and ("stage", "a") in labels]
    assert bounds[:4] == ["1e-06", "2e-06", "5e-06", "1e-05"]
    assert bounds[-3:] == ["5.0", "10.0", "+Inf"]
    assert len(bounds) == 23


def test_a_clock_that_recorded_nothing_has_zeros_and_no_quantiles() -> None:
    types, samples = parse(as_prometheus(StageClock(("a",))))
    assert set(types) == {HISTOGRAM, SUMMARY}
    assert set(samples.values()) == {0.0}
    assert as_document(StageClock(("a",)))["stages"]["a"]["recent"] is None


def test_labels_are_escaped() -> None:
    clock = StageClock(("a",))
    clock.record((1,))
    odd = 'a "mug"\nand a \\ in it'
    _, samples = parse(as_prometheus(clock, {"bundle": odd}))
    assert of(samples, f"{HISTOGRAM}_count", bundle=odd, stage="a") == 1


def test_the_document_is_json_and_complete() -> None:
    clock = StageClock(("a", "b"))
    for i in range(1, 11):
        clock.record((i * 1000, 5))
    document = json.loads(json.dumps(as_document(clock)))
    assert document["recorded"] == 10
    assert document["bucket_bounds_ns"] == list(BUCKET_BOUNDS_NS)
    assert document["stages"]["a"]["recent"] == {
        "count": 10, "p50_ns": 5000, "p90_ns": 9000, "p95_ns": 10000, "p99_ns": 10000, "max_ns": 10000,
    }  # fmt: skip
    assert sum(document["stages"]["total"]["histogram"]["counts"]) == 10
    assert document["stages"]["b"]["histogram"]["sum_ns"] == pytest.approx(50)
