import dataclasses
import json

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_sdk.report.measure import BundleResult
from edge_sdk.report.tables import Row, as_json, comparison
from edge_sdk_converters.evaluate import Evaluation
from edge_sdk_converters.pipeline import Figures, PassReport
from edge_sdk_runtime import Bundle, LatencySummary
from edge_sdk_runtime.manifest import FusedForm, Manifest, Measured, StagedForm, Tolerances
from edge_sdk_runtime.preprocess import PreprocessSpec
from edge_sdk_runtime.similarity import Similarity

PASSES = (
    PassReport(
        "factorize", ("dense: rank 8",), Figures(23_002, 5, 0.98, 97_000), Figures(15_000, 4, 0.97, 60_000), 0.9
    ),
    PassReport("prune", (), Figures(15_000, 4, 0.97, 60_000), Figures(9_000, 3, 0.96, 40_000), 0.5),
)
STAGES = {"preprocess": 2_000, "embed": 14_000, "similarity": 3_000, "head": 9_000}


def make_result(
    title: str = "float",
    labels: tuple[str, ...] = ("cup", "mug", "jar"),
    *,
    images: int = 60,
    staged: bool = True,
    tflite_bytes: int = 90_800,
    passes: tuple[PassReport, ...] = (),
) -> BundleResult:
    """A bundle of made-up members, and what measuring it might give: one image in ten is classified wrongly."""
    rng = np.random.default_rng(len(labels))
    targets = np.arange(images) % len(labels)
    predictions = np.where(np.arange(images) % 10 == 9, (targets + 1) % len(labels), targets)
    stages = {**STAGES, "total": 28_000} if staged else {"preprocess": 2_000, "classify": 15_000, "total": 17_000}
    latency = {
        stage: LatencySummary(images, p50, p50 + 1_000, p50 + 1_500, p50 + 2_000, p50 + 9_000)
        for stage, p50 in stages.items()
    }
    bundle = make_bundle(labels, staged, tflite_bytes)
    embeddings = class_clouds(rng, targets) if staged else None
    return BundleResult(title, bundle, 201_600, Evaluation(labels, targets, predictions, latency), embeddings, passes)


def make_bundle(labels: tuple[str, ...], staged: bool, tflite_bytes: int) -> Bundle:
    stages = StagedForm("e.tflite", "p.npy", tuple(range(len(labels))), Similarity.COSINE, "h.npz")
    manifest = Manifest(
        name="cups",
        labels=labels,
        preprocess=PreprocessSpec(16, 8),
        default_form="staged" if staged else "fused",
        measured=Measured(0.9, 60, "cups", 23_002 if staged else None, 536_832, tflite_bytes),
        tolerances=Tolerances(1.5, 0.001, 0.001, 0.001),
        staged=stages if staged else None,
        fused=None if staged else FusedForm("c.tflite"),
        interpreters=("litert 2.3.0",) if staged else (),
        provenance={"recipe": 'name = "<none>"\npass = []\n', "seed": "0", "versions": "edge-sdk 0.1.0"},
    )
    return Bundle.build(manifest, {"golden.npz": b"golden", "e.tflite" if staged else "c.tflite": b"model"})


def class_clouds(rng: np.random.Generator, targets: NDArray[np.int64]) -> NDArray[np.float32]:
    return (rng.normal(size=(targets.max() + 1, 8))[targets] * 4 + rng.normal(size=(len(targets), 8))).astype(
        np.float32
    )


def test_rows_are_accuracy_cost_sizes_and_latency_in_this_order() -> None:
    assert comparison([make_result(), make_result("int8", tflite_bytes=33_200)]) == [
        Row("accuracy on held-out images", ("90.00%", "90.00%")),
        Row("parameters", ("23,002", "23,002")),
        Row("multiply-accumulates", ("536,832", "536,832")),
        Row(".tflite size", ("90.8 kB", "33.2 kB")),
        Row("bundle size", ("201.6 kB", "201.6 kB")),
        Row("preprocess, p50 / p95", ("2 µs / 3.5 µs",) * 2),
        Row("embed, p50 / p95", ("14 µs / 15.5 µs",) * 2),
        Row("similarity, p50 / p95", ("3 µs / 4.5 µs",) * 2),
        Row("head, p50 / p95", ("9 µs / 10.5 µs",) * 2),
        Row("total, p50 / p95", ("28 µs / 29.5 µs",) * 2),
    ]


def test_a_stage_that_a_bundle_lacks_is_a_dash_and_the_total_comes_last() -> None:
    rows = {row.name: row.values for row in comparison([make_result(), make_result("fused", staged=False)])}
    assert rows["embed, p50 / p95"] == ("14 µs / 15.5 µs", "–")
    assert rows["classify, p50 / p95"] == ("–", "15 µs / 16.5 µs")
    assert list(rows)[-1] == "total, p50 / p95"


def test_what_the_source_does_not_say_is_unknown() -> None:
    assert Row("parameters", ("unknown",)) in comparison([make_result(staged=False)])


def test_a_feature_memory_is_told_with_its_size() -> None:
    result = make_result()
    manifest = result.bundle.manifest
    assert manifest.staged is not None
    staged = dataclasses.replace(manifest.staged, memory="memory.npz")
    members = {**result.bundle.members(), "memory.npz": b"x" * 5_200}
    remembering = Bundle.build(dataclasses.replace(manifest, staged=staged), members)
    results = [result, dataclasses.replace(result, bundle=remembering)]
    assert Row("feature memory", ("none", "5.2 kB")) in comparison(results)
    assert [each["memory_bytes"] for each in as_json(results)] == [0, 5_200]


def test_json_gives_plain_numbers() -> None:
    figures = json.loads(json.dumps(as_json([make_result()])))[0]
    assert figures["accuracy"] == pytest.approx(0.9)
    assert (figures["title"], figures["images"], figures["bundle_bytes"]) == ("float", 60, 201_600)
    assert figures["latency"]["total"]["p95_ns"] == 29_500
