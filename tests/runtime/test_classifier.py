from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_sdk_runtime import (
    BundleError,
    Classifier,
    FrameError,
    InterpreterError,
    InterpreterUnavailableError,
    UsageError,
)
from edge_sdk_runtime.interpreters.fake import FakePlug
from tests.runtime.helpers import FAKE_FILES, LABELS, expected_scores, fake_plug, make_bundle, plain, real_bundle

STAGES = {"staged": ("preprocess", "embed", "similarity", "head"), "fused": ("preprocess", "classify")}
every_form = pytest.mark.parametrize("form", ["staged", "fused"])


@pytest.fixture
def plug() -> FakePlug:
    return fake_plug()


@pytest.fixture
def classifier(plug: FakePlug) -> Classifier:
    return Classifier(make_bundle(), interpreter=plug)


@every_form
@pytest.mark.parametrize(("color", "label"), [((255, 0, 0), "red"), ((0, 99, 98), "green"), ((7, 8, 9), "blue")])
def test_says_what_a_frame_shows(plug: FakePlug, form: str, color: tuple[int, int, int], label: str) -> None:
    result = Classifier(make_bundle(), form=form, interpreter=plug).classify(plain(*color))
    assert (result.label, result.labels) == (label, LABELS)
    assert LABELS[result.class_index] == label
    assert result.score == result.scores.max()
    np.testing.assert_allclose(result.scores, expected_scores(*color), rtol=0, atol=1e-6)
    assert result.stages == STAGES[form]
    assert len(result.durations_ns) == len(result.stages)
    assert result.total_ns == sum(result.durations_ns)
    assert result.capture_age_ns is None


def test_the_default_form_is_the_bundles_own(plug: FakePlug) -> None:
    assert Classifier(make_bundle(), interpreter=plug).form == "staged"
    assert Classifier(make_bundle(default_form="fused"), interpreter=plug).form == "fused"
    assert Classifier(make_bundle(default_form="fused"), form="staged", interpreter=plug).form == "staged"


@pytest.mark.parametrize("captured", [0, 1, 1_000_000])
def test_capture_age_is_the_time_until_classification_begins(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, captured: int
) -> None:
    monkeypatch.setattr("edge_sdk_runtime.classifier.perf_counter_ns", lambda: 5_000_000)
    assert classifier.classify(plain(1, 2, 3), captured_ns=captured).capture_age_ns == 5_000_000 - captured


def test_stage_times_are_the_differences_of_one_clock(plug: FakePlug, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100, 101, 103, 107, 115])
    monkeypatch.setattr("edge_sdk_runtime.pipelines.perf_counter_ns", lambda: next(moments))
    result = Classifier(make_bundle(), interpreter=plug).classify(plain(1, 2, 3))
    assert result.durations_ns == (1, 2, 4, 8)
    moments = iter([100, 101, 103])
    result = Classifier(make_bundle(), form="fused", interpreter=plug).classify(plain(1, 2, 3))
    assert result.durations_ns == (1, 2)


def test_top_is_best_first(classifier: Classifier) -> None:
    result = classifier.classify(plain(0, 255, 102))
    assert [label for label, _ in result.top(3)] == ["green", "blue", "red"]
    assert result.top(1) == [("green", result.score)]
    assert result.top(99) == result.top(3)
    assert all(isinstance(score, float) for _, score in result.top(3))


def test_equal_scores_keep_the_order_of_the_labels(classifier: Classifier) -> None:
    result = classifier.classify(plain(0, 0, 0))
    assert [label for label, _ in result.top(3)] == list(LABELS)


@pytest.mark.parametrize("k", [0, -1])
def test_top_refuses_less_than_one(classifier: Classifier, k: int) -> None:
    with pytest.raises(UsageError, match=f"k must be at least 1. Received: {k}"):
        classifier.classify(plain(0, 0, 0)).top(k)


def test_the_summary_is_of_all_classifications(classifier: Classifier) -> None:
    results = [classifier.classify(plain(i, 0, 0)) for i in range(5)]
    summary = classifier.summary()
    assert list(summary) == [*STAGES["staged"], "total"]
    assert {figures.count for figures in summary.values()} == {5}
    assert summary["total"].max_ns == max(result.total_ns for result in results)
    assert summary["embed"].max_ns == max(result.durations_ns[1] for result in results)


@every_form
def test_warm_up_runs_the_models_and_is_forgotten(plug: FakePlug, form: str) -> None:
    classifier = Classifier(make_bundle(), form=form, interpreter=plug)
    classifier.classify(plain(1, 2, 3))
    classifier.warm_up(runs=7)
    model = plug.interpreters[FAKE_FILES["classifier.tflite" if form == "fused" else "encoder.tflite"]]
    assert model.invocations == 8
    with pytest.raises(UsageError, match="Received: none"):
        classifier.summary()
    classifier.classify(plain(1, 2, 3))
    assert classifier.summary()["total"].count == 1


def test_a_frame_that_is_none_is_not_recorded(classifier: Classifier) -> None:
    with pytest.raises(FrameError):
        classifier.classify(np.zeros((4, 4), np.uint8))
    assert classifier.clock.recorded == 0


@every_form
def test_leaving_the_context_closes_the_models(plug: FakePlug, form: str) -> None:
    with Classifier(make_bundle(), form=form, interpreter=plug) as classifier:
        classifier.classify(plain(1, 2, 3))
    with pytest.raises(InterpreterError, match=r"a call after close\(\)\. Load the bundle again"):
        classifier.classify(plain(1, 2, 3))
    assert classifier.summary()["total"].count == 1
    classifier.close()


def test_models_are_closed_after_an_error_too(plug: FakePlug) -> None:
    with pytest.raises(RuntimeError, match="of the user"), Classifier(make_bundle(), interpreter=plug):
        raise RuntimeError("of the user")
    assert plug.interpreters[FAKE_FILES["encoder.tflite"]].closed


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_are_at_least_one(plug: FakePlug, threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads must be at least 1. Received: {threads}"):
        Classifier(make_bundle(), interpreter=plug, threads=threads)


def test_threads_reach_the_interpreter(plug: FakePlug) -> None:
    asked: list[int] = []

    def load(model: bytes, threads: int) -> object:
        asked.append(threads)
        return plug.load(model, threads)

    facts = {"name": "counting", "installed": lambda: True, "version": lambda: "0", "release": lambda: None}
    counting = SimpleNamespace(**facts, load=load)
    Classifier(make_bundle(), form="fused", interpreter=counting, threads=3)
    assert asked == [3]


def test_an_unknown_interpreter_or_form_is_refused(plug: FakePlug) -> None:
    with pytest.raises(InterpreterUnavailableError, match=r"litert, tflite-runtime\. Received: 'onnx'"):
        Classifier(make_bundle(), interpreter="onnx")
    with pytest.raises(UsageError, match="form must be one the bundle holds"):
        Classifier(make_bundle(), form="both", interpreter=plug)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "colours.edge"
    real_bundle().write(path)
    yield path


@every_form
@pytest.mark.parametrize("threads", [1, 2])
def test_loads_a_file_and_classifies_with_litert(path: Path, form: str, threads: int) -> None:
    with Classifier.load(path, form=form, interpreter="litert", threads=threads) as classifier:
        classifier.warm_up()
        for color in ((255, 0, 0), (0, 255, 0), (13, 17, 240)):
            result = classifier.classify(plain(*color))
            np.testing.assert_allclose(result.scores, expected_scores(*color), rtol=0, atol=1e-6)
        assert classifier.summary()["total"].count == 3
    with pytest.raises(InterpreterError, match="after close"):
        classifier.classify(plain(1, 2, 3))


def test_loading_what_is_not_there_is_a_bundle_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.edge"):
        Classifier.load(tmp_path / "absent.edge")
