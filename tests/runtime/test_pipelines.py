import dataclasses
from typing import Any

import numpy as np
import pytest

from edge_sdk_runtime import (
    Bundle,
    BundleCorruptError,
    Color,
    FrameError,
    InterpreterError,
    MlpHead,
    PreprocessSpec,
    Similarity,
    UsageError,
)
from edge_sdk_runtime.interpreters import InterpreterPlug, TensorInfo
from edge_sdk_runtime.interpreters.fake import FakeInterpreter, FakePlug
from edge_sdk_runtime.interpreters.tflite import LITERT
from edge_sdk_runtime.pipelines import make_pipeline
from tests.runtime.helpers import (
    FAKE_FILES,
    SPEC,
    changed,
    expected_features,
    expected_scores,
    fake_plug,
    make_bundle,
    make_manifest,
    npy,
    npz,
    plain,
    tflite_files,
)

COLORS = [(255, 0, 0), (0, 255, 51), (10, 20, 200), (0, 0, 0)]
STAGES = {"staged": ("preprocess", "embed", "similarity", "head"), "fused": ("preprocess", "classify")}


def setups() -> dict[str, tuple[Bundle, InterpreterPlug]]:
    return {
        "fake": (make_bundle(), fake_plug()),
        "fake-model-head": (make_bundle(head_name="head.tflite"), fake_plug()),
        "litert": (make_bundle(tflite_files()), LITERT),
        "litert-model-head": (make_bundle(tflite_files(), head_name="head.tflite"), LITERT),
    }


every_setup = pytest.mark.parametrize("setup", ["fake", "fake-model-head", "litert", "litert-model-head"])
every_form = pytest.mark.parametrize("form", ["staged", "fused"])


@every_setup
@every_form
def test_scores_are_what_the_arithmetic_says(setup: str, form: str) -> None:
    pipeline = make_pipeline(*arguments(setup, form))
    for color in COLORS:
        scores, _ = pipeline.run(plain(*color))
        assert (scores.shape, scores.dtype) == ((3,), np.float32)
        np.testing.assert_allclose(scores, expected_scores(*color), rtol=0, atol=1e-6)
    pipeline.close()


def arguments(setup: str, form: str) -> tuple[Bundle, str, InterpreterPlug, int]:
    bundle, plug = setups()[setup]
    return bundle, form, plug, 1


@every_setup
@every_form
def test_every_stage_has_a_name_and_a_duration(setup: str, form: str) -> None:
    pipeline = make_pipeline(*arguments(setup, form))
    _, durations = pipeline.run(plain(1, 2, 3))
    assert pipeline.stages == STAGES[form]
    assert len(durations) == len(pipeline.stages)
    assert all(isinstance(duration, int) and duration >= 0 for duration in durations)


@every_setup
@every_form
def test_scores_are_arrays_of_their_own(setup: str, form: str) -> None:
    pipeline = make_pipeline(*arguments(setup, form))
    first, _ = pipeline.run(plain(255, 0, 0))
    kept = first.copy()
    pipeline.run(plain(0, 0, 255))
    np.testing.assert_array_equal(first, kept)


@every_setup
def test_a_trace_holds_every_stage_and_agrees_with_a_run(setup: str) -> None:
    pipeline = make_pipeline(*arguments(setup, "staged"))
    trace = pipeline.trace(plain(51, 102, 255))
    assert list(trace) == ["preprocess", "embed", "similarity", "scores"]
    assert trace["preprocess"].dtype == np.uint8
    assert trace["preprocess"].reshape(-1, 3).tolist() == [[51, 102, 255]] * SPEC.width * SPEC.height
    np.testing.assert_allclose(trace["embed"], expected_features(51, 102, 255), rtol=0, atol=1e-6)
    np.testing.assert_allclose(trace["similarity"], expected_features(51, 102, 255), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(trace["scores"], pipeline.run(plain(51, 102, 255))[0])
    kept = {stage: result.copy() for stage, result in trace.items()}
    pipeline.trace(plain(0, 0, 0))
    for stage, result in trace.items():
        np.testing.assert_array_equal(result, kept[stage], err_msg=stage)


@every_setup
def test_a_fused_trace_holds_the_image_and_the_scores(setup: str) -> None:
    pipeline = make_pipeline(*arguments(setup, "fused"))
    trace = pipeline.trace(plain(51, 102, 255))
    assert list(trace) == ["preprocess", "scores"]
    assert trace["preprocess"][0, 0].tolist() == [51, 102, 255]
    np.testing.assert_allclose(trace["scores"], expected_scores(51, 102, 255), rtol=0, atol=1e-6)


@pytest.mark.parametrize("measure", Similarity)
def test_the_bundle_says_how_embeddings_are_compared(measure: Similarity) -> None:
    staged = dataclasses.replace(_staged(), similarity=measure)
    pipeline = make_pipeline(make_bundle(staged=staged), "staged", fake_plug(), 1)
    features = pipeline.trace(plain(102, 0, 51))["similarity"]
    e = expected_features(102, 0, 51)
    expected = {
        Similarity.DOT: e,
        Similarity.COSINE: e / np.sqrt((e**2).sum()),
        Similarity.EUCLIDEAN: [1 / (1 + np.sqrt(((e - p) ** 2).sum())) for p in np.eye(3)],
        Similarity.CORRELATION: [np.corrcoef(e, p)[0, 1] for p in np.eye(3)],
    }[measure]
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-6)


def _staged() -> Any:
    return make_manifest().staged


def test_grey_models_get_grey_images() -> None:
    grey = PreprocessSpec(6, 4, color=Color.GRAY)
    model = FakeInterpreter(
        lambda image: np.repeat(image.mean() / 255, 3)[np.newaxis],
        TensorInfo((1, 4, 6, 1), "uint8"),
        TensorInfo((1, 3), "float32"),
    )
    bundle = make_bundle(preprocess=grey, staged=None, default_form="fused")
    pipeline = make_pipeline(bundle, "fused", FakePlug({FAKE_FILES["classifier.tflite"]: model}), 1)
    np.testing.assert_allclose(pipeline.run(plain(51, 51, 51))[0], 0.2, rtol=1e-6)


@every_setup
@every_form
def test_frames_are_checked(setup: str, form: str) -> None:
    pipeline = make_pipeline(*arguments(setup, form))
    with pytest.raises(FrameError):
        pipeline.run(np.zeros((4, 4), np.uint8))


@every_setup
@every_form
def test_a_closed_pipeline_says_so(setup: str, form: str) -> None:
    pipeline = make_pipeline(*arguments(setup, form))
    pipeline.close()
    pipeline.close()
    for call in (pipeline.run, pipeline.trace):
        with pytest.raises(InterpreterError, match="closed interpreter"):
            call(plain(0, 0, 0))


def test_a_form_that_is_not_there_is_named() -> None:
    fused = make_bundle(staged=None, default_form="fused")
    with pytest.raises(UsageError, match=r"holds: fused\. Received: 'staged'"):
        make_pipeline(fused, "staged", fake_plug(), 1)
    with pytest.raises(UsageError, match=r"holds: staged, fused\. Received: 'both'"):
        make_pipeline(make_bundle(), "both", fake_plug(), 1)


IMAGE, THREE = TensorInfo((1, *SPEC.shape), "uint8"), TensorInfo((1, 3), "float32")


@pytest.mark.parametrize(
    ("file", "form", "input_info", "output_info", "message"),
    [
        ("classifier", "fused", TensorInfo((1, 4, 6, 1), "uint8"), THREE, r"input must be uint8 \[1, 4, 6, 3\]"),
        ("classifier", "fused", TensorInfo((1, 4, 6, 3), "float32"), THREE, r"Received: float32 \[1, 4, 6, 3\]"),
        ("classifier", "fused", TensorInfo((2, 4, 6, 3), "uint8"), THREE, "classifier's input"),
        ("classifier", "fused", IMAGE, TensorInfo((1, 4), "float32"), r"output must be float32 \[1, 3\]"),
        ("classifier", "fused", IMAGE, TensorInfo((1, 3), "int8"), r"Received: int8 \[1, 3\]"),
        ("encoder", "staged", TensorInfo((1, 6, 4, 3), "uint8"), THREE, "encoder's input"),
        ("encoder", "staged", IMAGE, TensorInfo((1, 2), "float32"), "encoder's output"),
        ("head", "staged", TensorInfo((1, 2), "float32"), THREE, "head's input"),
        ("head", "staged", THREE, TensorInfo((1, 2), "float32"), "head's output"),
        ("head", "staged", TensorInfo((3,), "float32"), THREE, "head's input"),
    ],
)
def test_models_of_another_shape_are_refused(
    file: str, form: str, input_info: TensorInfo, output_info: TensorInfo, message: str
) -> None:
    plug = fake_plug()
    plug.interpreters[FAKE_FILES[f"{file}.tflite"]] = FakeInterpreter(lambda x: x, input_info, output_info)
    with pytest.raises(BundleCorruptError, match=f"{message}.*") as info:
        make_pipeline(make_bundle(head_name="head.tflite"), form, plug, 1)
    assert "Write the bundle again" in str(info.value)


@pytest.mark.parametrize("kernel", [np.ones((2, 3)), np.ones((3, 2)), np.ones((4, 3))])
def test_heads_of_another_shape_are_refused(kernel: np.ndarray) -> None:
    head = MlpHead((kernel.astype(np.float32),), (np.zeros(kernel.shape[1], np.float32),))
    with pytest.raises(BundleCorruptError, match="3 features and score 3 classes"):
        make_pipeline(changed(make_bundle(), {"head.npz": head.to_bytes()}), "staged", fake_plug(), 1)


@pytest.mark.parametrize(
    "content",
    [
        npy(np.eye(2, 3, dtype=np.float32)),
        npy(np.eye(4, 3, dtype=np.float32)),
        npy(np.eye(3, 2, dtype=np.float32)),
        npy(np.ones(3, np.float32)),
        npy(np.float32(1)),
        npy(np.full((3, 3), np.nan, np.float32)),
        npz({"prototypes": np.eye(3, dtype=np.float32)}),
        npy(np.array([["a"] * 3] * 3)),
        b"",
    ],
)
def test_prototypes_that_do_not_fit_are_refused(content: bytes) -> None:
    bundle = changed(make_bundle(), {"prototypes.npy": content})
    with pytest.raises(BundleCorruptError):
        make_pipeline(bundle, "staged", fake_plug(), 1)


def test_several_prototypes_may_stand_for_one_class() -> None:
    staged = dataclasses.replace(_staged(), prototype_labels=(0, 0, 1, 2))
    table = np.array([[1, 0, 0], [0.5, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    head = MlpHead((np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),), (np.zeros(3, np.float32),))
    bundle = changed(make_bundle(), {"prototypes.npy": npy(table), "head.npz": head.to_bytes()}, staged=staged)
    trace = make_pipeline(bundle, "staged", fake_plug(), 1).trace(plain(255, 0, 0))
    np.testing.assert_allclose(trace["similarity"], [1, 0.5, 0, 0], rtol=0, atol=1e-6)
    assert trace["scores"][0] == pytest.approx(np.exp(1.5) / (np.exp(1.5) + 2), abs=1e-6)
