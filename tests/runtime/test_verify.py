import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from edge_sdk_runtime import (
    Bundle,
    BundleCorruptError,
    Color,
    Interpolation,
    MlpHead,
    PreprocessSpec,
    ResizeMode,
    Similarity,
    verify,
)
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters.fake import FakePlug
from edge_sdk_runtime.interpreters.tflite import LITERT
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors, StageCheck, golden_pattern, sample_grid
from tests.runtime.helpers import (
    FAKE_FILES,
    SPEC,
    changed,
    fake_plug,
    head,
    make_bundle,
    npy,
    npz,
    plain,
    prototypes,
    real_bundle,
    with_golden,
)

BUNDLE = with_golden(make_bundle(), fake_plug())


def test_an_untouched_bundle_passes_every_stage_of_every_form() -> None:
    verification = verify(BUNDLE, fake_plug())
    assert verification.passed
    assert verification.first_failure is None
    assert (verification.interpreter, verification.frames) == ("fake 0", 4)
    assert [(check.form, check.stage) for check in verification.checks] == [
        ("staged", "preprocess"),
        ("staged", "embed"),
        ("staged", "similarity"),
        ("staged", "scores"),
        ("fused", "preprocess"),
        ("fused", "scores"),
    ]
    assert all(check.difference == 0 for check in verification.checks[:4])


def test_real_models_pass_in_litert_and_after_reading_them_back() -> None:
    bundle = Bundle.from_bytes(real_bundle().to_bytes())
    verification = verify(bundle, "litert")
    assert verification.passed
    assert verification.interpreter == f"litert {LITERT.version()}"
    assert len(verification.checks) == 6


def test_golden_vectors_may_come_from_the_fused_form() -> None:
    bundle = with_golden(make_bundle(default_form="fused"), fake_plug())
    stages = [(check.form, check.stage) for check in verify(bundle, fake_plug()).checks]
    assert stages == [(form, stage) for form in ("staged", "fused") for stage in ("preprocess", "scores")]


def first_failure(bundle: Bundle, plug: FakePlug) -> tuple[str, str]:
    verification = verify(bundle, plug)
    failure = verification.first_failure
    assert not verification.passed
    assert failure is not None
    assert failure.difference > failure.tolerance
    return failure.form, failure.stage


def with_spec(**changes: object) -> Bundle:
    return changed(BUNDLE, preprocess=dataclasses.replace(SPEC, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [{"resize": ResizeMode.CENTER_CROP}, {"resize": ResizeMode.LETTERBOX}, {"interpolation": Interpolation.LINEAR}],
    ids=lambda changes: next(iter(changes.values())).value,
)
def test_another_preprocessing_differs_first_in_preprocess(changes: dict[str, object]) -> None:
    assert first_failure(with_spec(**changes), fake_plug()) == ("staged", "preprocess")


def test_swapped_colours_differ_first_in_preprocess() -> None:
    arrays = BUNDLE.read_arrays(GOLDEN)
    swapped = {**arrays, "expected_preprocess": arrays["expected_preprocess"][..., ::-1]}
    assert first_failure(changed(BUNDLE, {GOLDEN: npz(swapped)}), fake_plug()) == ("staged", "preprocess")


def test_another_encoder_differs_first_in_embed() -> None:
    plug = fake_plug(encoder=lambda image: image.mean(axis=(1, 2)) / 255 + 0.01)
    assert first_failure(BUNDLE, plug) == ("staged", "embed")


def test_another_prototype_differs_first_in_similarity() -> None:
    table = prototypes()
    table[1, 1] += 0.01
    bundle = changed(BUNDLE, {"prototypes.npy": npy(table)})
    assert first_failure(bundle, fake_plug()) == ("staged", "similarity")


def test_another_measure_differs_first_in_similarity() -> None:
    staged = BUNDLE.manifest.staged
    assert staged is not None
    bundle = changed(BUNDLE, staged=dataclasses.replace(staged, similarity=Similarity.COSINE))
    assert first_failure(bundle, fake_plug()) == ("staged", "similarity")


def test_another_head_differs_first_in_scores() -> None:
    kernels, biases = head().kernels, head().biases
    other = MlpHead(kernels, (biases[0] + np.array([0.05, 0, 0], np.float32),))
    bundle = changed(BUNDLE, {"head.npz": other.to_bytes()})
    assert first_failure(bundle, fake_plug()) == ("staged", "scores")


def test_another_fused_classifier_is_found_behind_a_sound_staged_form() -> None:
    plug = fake_plug(classifier=lambda image: np.full((1, 3), 1 / 3))
    assert first_failure(BUNDLE, plug) == ("fused", "scores")


@pytest.mark.parametrize(
    ("model", "form", "stage"), [("encoder", "staged", "embed"), ("classifier", "fused", "scores")]
)
def test_nan_never_passes(model: str, form: str, stage: str) -> None:
    with np.errstate(invalid="ignore"):
        verification = verify(BUNDLE, fake_plug(**{model: lambda image: np.full((1, 3), np.nan)}))
    failure = verification.first_failure
    assert failure is not None
    assert (failure.form, failure.stage) == (form, stage)
    assert np.isnan(failure.difference)


def test_a_nan_in_one_of_many_frames_never_passes() -> None:
    def fails_on_noise(image: np.ndarray) -> np.ndarray:
        means = image.mean(axis=(1, 2)) / 255
        return means if np.ptp(image[0, :, :, 0]) == 0 else means * np.nan

    with np.errstate(invalid="ignore"):
        failure = verify(BUNDLE, fake_plug(encoder=fails_on_noise)).first_failure
    assert failure is not None
    assert failure.stage == "embed"


def test_nan_in_the_golden_vectors_never_passes() -> None:
    arrays = BUNDLE.read_arrays(GOLDEN)
    scores = arrays["expected_scores"].copy()
    scores[0, 0] = np.nan
    bundle = changed(BUNDLE, {GOLDEN: npz({**arrays, "expected_scores": scores})})
    assert first_stage(bundle) == "scores"


def first_stage(bundle: Bundle) -> str | None:
    failure = verify(bundle, fake_plug()).first_failure
    return failure.stage if failure else None


@pytest.mark.parametrize(("difference", "passed"), [(0.0009, True), (0.0011, False)])
def test_the_manifest_says_how_far_a_stage_may_be(difference: float, passed: bool) -> None:
    plug = fake_plug(encoder=lambda image: image.mean(axis=(1, 2)) / 255 + np.array([difference, 0, 0]))
    check = verify(BUNDLE, plug).checks[1]
    assert (check.stage, check.tolerance, check.passed) == ("embed", 0.001, passed)
    assert check.difference == pytest.approx(difference, rel=1e-3)


def test_a_check_on_its_tolerance_passes() -> None:
    assert StageCheck("fused", "scores", 0.5, 0.5).passed
    assert not StageCheck("fused", "scores", float("nan"), float("inf")).passed


def without(key: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda arrays: {name: array for name, array in arrays.items() if name != key}


def replaced(key: str, array: np.ndarray) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda arrays: {**arrays, key: array}


@pytest.mark.parametrize(
    "change",
    [
        without("expected_scores"),
        without("frame_0"),
        without("frame_2"),
        lambda arrays: {},
        replaced("frame_3", np.zeros((4, 4, 3), np.uint8)),
        replaced("frame_9", np.zeros((4, 4, 3), np.uint8)),
        replaced("frame_0", np.zeros((4, 4), np.uint8)),
        replaced("frame_0", np.zeros((4, 4, 3))),
        replaced("expected_scores", np.zeros((3, 3), np.float32)),
        replaced("expected_scores", np.zeros((4, 2), np.float32)),
        replaced("expected_scores", np.float32(0)),
        replaced("expected_embed", np.zeros(4, np.float32)),
        replaced("expected_preprocess", np.zeros((4, 3, 3, 3), np.uint8)),
    ],
)
def test_golden_vectors_that_are_incomplete_are_refused(
    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
) -> None:
    bundle = changed(BUNDLE, {GOLDEN: npz(change(BUNDLE.read_arrays(GOLDEN)))})
    with pytest.raises(BundleCorruptError, match=r"Golden vectors .*Write the bundle again"):
        verify(bundle, fake_plug())


def test_a_bundle_without_golden_vectors_is_refused() -> None:
    with pytest.raises(BundleCorruptError, match=r"no golden\.npz"):
        verify(make_bundle(), fake_plug())
    with pytest.raises(BundleCorruptError, match=r"Golden vectors"):
        verify(changed(BUNDLE, {GOLDEN: npy(np.zeros(3))}), fake_plug())


def test_models_are_closed_whatever_happens() -> None:
    plug = fake_plug()
    verify(BUNDLE, plug)
    assert plug.interpreters[FAKE_FILES["encoder.tflite"]].closed
    assert plug.interpreters[FAKE_FILES["classifier.tflite"]].closed

    def fail(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("a model's own")

    failing = fake_plug(encoder=fail)
    with pytest.raises(RuntimeError, match="a model's own"):
        verify(BUNDLE, failing)
    assert failing.interpreters[FAKE_FILES["encoder.tflite"]].closed


def test_reads_the_frames_and_results_it_recorded() -> None:
    frames = [plain(1, 2, 3), plain(200, 100, 0, (3, 5))]
    pipeline = make_pipeline(BUNDLE, "staged", fake_plug(), 1)
    recorded = GoldenVectors.record(pipeline, frames)
    read = GoldenVectors.of(changed(BUNDLE, {GOLDEN: npz(recorded.arrays())}))
    assert len(read.frames) == len(recorded.frames) == 3
    for one, other in zip(read.frames, (*frames, golden_pattern()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(read.expected) == list(recorded.expected) == ["preprocess", "embed", "similarity", "scores"]
    for stage, rows in recorded.expected.items():
        np.testing.assert_array_equal(read.expected[stage], rows)


def test_the_pattern_alone_is_enough() -> None:
    pipeline = make_pipeline(BUNDLE, "fused", fake_plug(), 1)
    golden = GoldenVectors.record(pipeline, [])
    assert verify(changed(BUNDLE, {GOLDEN: npz(golden.arrays())}), fake_plug()).frames == 1


def test_the_pattern_is_computed_the_same_everywhere() -> None:
    """Spot values worked out by hand from its definition; another pattern would fail every bundle in the field."""
    pattern = golden_pattern()
    assert (pattern.shape, pattern.dtype) == ((480, 640, 3), np.uint8)
    assert pattern[0, 0].tolist() == [0, 0, 0]
    assert pattern[0, 3].tolist() == [1, 0, 200]
    assert pattern[479, 639].tolist() == [255, 255, 50]
    assert pattern[240, 321].tolist() == [128, 127, 250]
    assert golden_pattern(1, 1).tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize("color", Color)
def test_a_grid_is_at_most_sixteen_pixels_wide_and_reaches_the_corners(color: Color) -> None:
    spec = PreprocessSpec(50, 7, color=color)
    image = np.random.default_rng(0).integers(0, 256, spec.shape, np.uint8)
    grid = sample_grid(image)
    assert grid.shape == (7, 16, spec.channels)
    np.testing.assert_array_equal(grid[[0, 0, -1, -1], [0, -1, 0, -1]], image[[0, 0, -1, -1], [0, -1, 0, -1]])
    np.testing.assert_array_equal(sample_grid(image[:, :16]), image[:, :16])
