import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import BundleCorruptError, Classifier, scatter, unknown
from edge_sdk_runtime.manifest import UnknownRule
from edge_sdk_runtime.memory import MEMORY, FeatureMemory
from edge_sdk_runtime.scatter import class_means, unit, unscattered, whitening
from edge_sdk_runtime.teach.calibration import own_distances
from edge_sdk_runtime.unknown import ClassDistances, CompiledUnknown
from tests.runtime.helpers import changed
from tests.runtime.teach.helpers import COLOURS, CYAN, GREY, PLUG, YELLOW, frames, teachable

EQUAL = 0.5  # of the scatter, in all directions
equal_parts = st.sampled_from([EQUAL, 0.1, 1.0])


def memory(seed: int, classes: int = 3, each: int = 9, width: int = 4) -> FeatureMemory:
    """Classes around means of their own, longer in one direction than in another."""
    rng = np.random.default_rng(seed)
    means = rng.normal(2, 3, (classes, width)).repeat(each, axis=0)
    spread = rng.normal(size=(len(means), width)) * np.linspace(0.2, 2, width)
    return FeatureMemory.rounded((means + spread).astype(np.float32), np.arange(classes).repeat(each))


def covariance(vectors: np.ndarray, labels: np.ndarray, equal: float = EQUAL) -> np.ndarray:
    """The definition: pooled within classes, a part of it equal in all directions."""
    residuals = np.concatenate([vectors[labels == c] - vectors[labels == c].mean(axis=0) for c in np.unique(labels)])
    pooled = residuals.T @ residuals / (len(vectors) - len(np.unique(labels)))
    return (1 - equal) * pooled + equal * np.trace(pooled) / len(pooled) * np.eye(len(pooled))


def squared_distance(embedding: np.ndarray, vectors: np.ndarray, labels: np.ndarray, label: int) -> float:
    difference = embedding - vectors[labels == label].mean(axis=0)
    return float(difference @ np.linalg.inv(covariance(vectors, labels)) @ difference)


def test_public_names() -> None:
    assert unknown.__all__ == ["WIDEST", "ClassDistances", "CompiledUnknown"]
    assert scatter.__all__ == ["EQUAL", "class_means", "unit", "unscattered", "whitening"]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_distances_are_those_of_mahalanobis_as_they_are_and_at_length_1(seed: int) -> None:
    known = memory(seed)
    embeddings = np.random.default_rng(seed + 1).normal(2, 3, (5, 4)).astype(np.float32)
    parts = [(embeddings, known.embeddings), (unit(embeddings), unit(known.embeddings))]
    expected = [
        [sum(squared_distance(one[i], all_, known.labels, label) for one, all_ in parts) for label in range(3)]
        for i in range(5)
    ]
    distances = ClassDistances(known)
    np.testing.assert_allclose(distances(embeddings) ** 2, expected, rtol=2e-3)
    compiled = CompiledUnknown(distances, (1.0, 2.0, 3.0))
    for i, row in enumerate(np.array(expected)):
        assert compiled.strangeness(embeddings[i]) == pytest.approx((row / [1, 4, 9]).min(), rel=2e-3)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_own_distances_are_those_with_the_example_left_out(seed: int) -> None:
    known = memory(seed, each=12)
    found = own_distances(known)
    for i in range(0, len(found), 7):
        others = np.arange(len(found)) != i
        total = 0.0
        for vectors in (known.embeddings.astype(np.float64), unit(known.embeddings)):
            total += squared_distance(vectors[i], vectors[others], known.labels[others], int(known.labels[i]))
        # The equal part is taken to stay, and one degree of freedom less not to matter.
        assert found[i] == pytest.approx(total**0.5, rel=0.12)


def test_an_only_example_is_no_distance_from_itself() -> None:
    known = memory(3).joined(FeatureMemory(np.full((1, 4), 9, np.float32), np.array([3])))
    assert own_distances(known)[-1] < 1e-3
    assert np.isfinite(own_distances(known)).all()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(2, 30), equal_parts)
def test_directions_are_turned_by_the_inverse_of_the_scatter(seed: int, width: int, equal: float) -> None:
    known = memory(seed, width=width)
    directions = np.random.default_rng(seed).normal(size=(3, width))
    turned = unscattered(directions, known, equal)
    expected = directions @ np.linalg.inv(covariance(unit(known.embeddings), known.labels, equal))
    if equal == EQUAL:
        np.testing.assert_array_equal(turned, unscattered(directions, known))
    np.testing.assert_allclose(unit(turned), unit(expected), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(directions, axis=1))


def test_with_all_scatter_equal_distances_are_euclidean() -> None:
    known, embeddings = memory(4), np.random.default_rng(4).normal(2, 3, (5, 4)).astype(np.float32)
    width, found = 4, ClassDistances(known, equal=1.0)
    means = class_means(known.embeddings, known.labels, 3)
    places = found.placed(embeddings)[:, :width]
    distances = np.linalg.norm(places[:, np.newaxis] - found.means[:, :width], axis=2)
    plain = np.linalg.norm(embeddings[:, np.newaxis] - means, axis=2)
    np.testing.assert_allclose(distances / distances[0, 0], plain / plain[0, 0], rtol=1e-4)


def test_whitened_vectors_scatter_equally() -> None:
    known = memory(5, each=400)
    matrix = whitening(known.embeddings, known.labels, 0.1)
    placed = known.embeddings @ matrix
    residuals = placed - class_means(placed, known.labels, 3)[known.labels]
    scattered = np.linalg.eigvalsh(residuals.T @ residuals / len(residuals))
    assert scattered.min() > 0.15 and scattered.max() < 1.1  # the narrowest direction is held to be a little wider


def test_equal_examples_do_not_break_it() -> None:
    same = FeatureMemory(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0), np.arange(3).repeat(4))
    compiled = CompiledUnknown(ClassDistances(same), (1.0, 1.0, 1.0))
    assert compiled.strangeness(np.array([1, 0, 0], np.float32)) <= 1
    assert compiled.strangeness(np.array([1, 1, 0], np.float32)) > 1
    assert compiled.strangeness(np.zeros(3, np.float32)) > 1
    assert np.isfinite(own_distances(same)).all()


def test_colours_that_were_never_shown_are_unknown() -> None:
    with Classifier(teachable(), interpreter=PLUG) as classifier:
        assert classifier.pipeline.stages == ("preprocess", "embed", "similarity", "head", "unknown")
        for colour, expected in (
            (YELLOW, True),
            (CYAN, True),
            (GREY, True),
            *((own, False) for own in COLOURS.values()),
        ):
            results = [classifier.classify(frame) for frame in frames(colour, 20, 9)]
            assert np.mean([result.unknown is expected for result in results]) >= 0.9
        assert set(classifier.summary()) == {*classifier.pipeline.stages, "total"}


def test_without_a_rule_or_in_the_fused_form_nobody_can_tell() -> None:
    with Classifier(teachable(unknown=None), interpreter=PLUG) as classifier:
        assert classifier.classify(frames(CYAN, 1)[0]).unknown is None
        assert classifier.pipeline.stages == ("preprocess", "embed", "similarity", "head")


def test_an_encoder_that_gives_nan_shows_nothing_known() -> None:
    from tests.runtime.helpers import fake_plug

    broken = fake_plug(encoder=lambda image: np.full((1, 3), np.nan))
    with Classifier(teachable(), interpreter=broken) as classifier:
        assert classifier.classify(frames(CYAN, 1)[0]).unknown is True


def test_telling_allocates_nothing_that_stays() -> None:
    known = memory(1, width=64, classes=10)
    compiled, embedding = CompiledUnknown(ClassDistances(known), (1.0,) * 10), known.embeddings[0]
    compiled.strangeness(embedding)
    tracemalloc.start()
    for _ in range(20):
        compiled.strangeness(embedding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1024


@pytest.mark.parametrize(
    "other",
    [
        FeatureMemory(np.ones((6, 4), np.float32), np.arange(6) % 3),  # of another encoder
        FeatureMemory(np.ones((6, 3), np.float32), np.arange(6) % 2),  # of one class less
    ],
)
def test_a_memory_that_does_not_fit_is_refused(other: FeatureMemory) -> None:
    bundle = changed(teachable(), {MEMORY: other.to_bytes()})
    with pytest.raises(
        BundleCorruptError, match=r"embeddings of all 3 classes must be remembered, 3 and at most 256 wide"
    ):
        Classifier(bundle, interpreter=PLUG)


def test_a_rule_needs_a_memory_that_is_there() -> None:
    bundle = teachable()
    staged = dataclasses.replace(bundle.manifest.staged, memory="other.npz")
    with pytest.raises(BundleCorruptError, match=r"Received: no other\.npz"):
        Classifier(changed(bundle, staged=staged, unknown=UnknownRule((1.0,) * 3)), interpreter=PLUG)
