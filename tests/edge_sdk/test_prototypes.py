"""Prototypes stand in the middle of their classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import prototypes as module
from edge_sdk.learn.prototypes import PrototypeMethod, Prototypes, build_prototypes, class_prototypes, in_blocks
from edge_sdk_runtime import Similarity, similarity_features

TARGETS = np.repeat([0, 1, 2], 20).astype(np.int64)


def clusters(width: int = 6) -> np.ndarray:
    """60 embeddings of unequal length in three classes of two clusters each."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(6, width)), 10, axis=0)
    lengths = rng.uniform(0.1, 10, (60, 1))
    return ((centres + 0.05 * rng.normal(size=centres.shape)) * lengths).astype(np.float32)


def units(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def test_public_names() -> None:
    names = ["PrototypeMethod", "Prototypes", "build_prototypes", "class_prototypes", "in_blocks", "joined"]
    assert sorted(module.__all__) == names


def test_one_prototype_is_the_mean_direction() -> None:
    prototypes = build_prototypes(clusters(), TARGETS)
    expected = units(clusters()).reshape(3, 20, -1).mean(axis=1)
    assert prototypes.labels == (0, 1, 2)
    assert prototypes.vectors.dtype == np.float32
    np.testing.assert_allclose(prototypes.vectors, expected, atol=1e-6)


def test_lengths_have_no_influence_on_directions() -> None:
    one, other = build_prototypes(clusters(), TARGETS), build_prototypes(units(clusters()), TARGETS)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


def test_euclidean_prototypes_are_means_of_the_embeddings_themselves() -> None:
    prototypes = build_prototypes(clusters(), TARGETS, measure=Similarity.EUCLIDEAN)
    np.testing.assert_allclose(prototypes.vectors, clusters().reshape(3, 20, -1).mean(axis=1), rtol=1e-5)


def test_several_prototypes_find_the_clusters_of_a_class() -> None:
    prototypes = build_prototypes(clusters(), TARGETS, per_class=2)
    assert prototypes.labels == (0, 0, 1, 1, 2, 2)
    expected = units(clusters()).reshape(6, 10, -1).mean(axis=1)
    for label in range(3):
        found, true = (vectors[2 * label : 2 * label + 2] for vectors in (prototypes.vectors, expected))
        distances = np.linalg.norm(found[:, None] - true[None], axis=2)
        assert min(distances.trace(), np.fliplr(distances).trace()) < 1e-5


def test_the_same_seed_gives_the_same_prototypes() -> None:
    one, again = (build_prototypes(clusters(), TARGETS, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.vectors, again.vectors)


def test_a_zero_embedding_is_no_division_by_zero() -> None:
    embeddings = clusters()
    embeddings[0] = 0
    assert np.isfinite(build_prototypes(embeddings, TARGETS).vectors).all()


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="class 1 with 3 images for 4 prototypes"):
        build_prototypes(clusters()[:23], TARGETS[:23], per_class=4)


def test_no_prototype_is_refused() -> None:
    with pytest.raises(DataError, match=r"at least 1\. Received: 0"):
        build_prototypes(clusters(), TARGETS, per_class=0)


def test_medoids_are_embeddings_of_real_images() -> None:
    prototypes = build_prototypes(clusters(), TARGETS, 2, method=PrototypeMethod.MEDOIDS)
    assert prototypes.labels == (0, 0, 1, 1, 2, 2)
    np.testing.assert_allclose(prototypes.vectors, units(clusters())[list(prototypes.samples)], atol=1e-6)
    assert [int(TARGETS[sample]) for sample in prototypes.samples] == list(prototypes.labels)
    assert sorted(sample // 10 for sample in prototypes.samples) == list(range(6))  # one of each cluster


def test_prototypes_for_correlation_ignore_what_is_added_to_all_numbers() -> None:
    shifts = np.random.default_rng(2).normal(size=(60, 1)).astype(np.float32)
    one, other = (
        build_prototypes(each, TARGETS, 2, measure=Similarity.CORRELATION) for each in (clusters(), clusters() + shifts)
    )
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-4)


@pytest.mark.parametrize("method", [PrototypeMethod.KMEANS, PrototypeMethod.MEDOIDS])
def test_identical_images_give_equal_prototypes(method: PrototypeMethod) -> None:
    """Every class has as many as asked for, and k-means does not warn."""
    embeddings = np.repeat(np.eye(3, 5, dtype=np.float32), 4, axis=0)
    prototypes = build_prototypes(embeddings, np.repeat([0, 1, 2], 4).astype(np.int64), 3, method=method)
    np.testing.assert_array_equal(prototypes.vectors, np.repeat(np.eye(3, 5), 3, axis=0))


@pytest.mark.parametrize("method", PrototypeMethod)
def test_a_class_of_blank_images_is_refused_where_only_directions_count(method: PrototypeMethod) -> None:
    embeddings = clusters()
    embeddings[20:40] = 0
    for measure in (Similarity.COSINE, Similarity.CORRELATION, Similarity.DOT):
        with pytest.raises(DataError, match=f"under {measure.value} similarity. Received: class 1"):
            build_prototypes(embeddings, TARGETS, measure=measure, method=method)
    assert not build_prototypes(embeddings, TARGETS, measure=Similarity.EUCLIDEAN, method=method).vectors[1].any()


def test_constant_embeddings_correlate_with_nothing() -> None:
    embeddings = np.full((4, 5), 0.1, np.float32)
    with pytest.raises(DataError, match="under correlation similarity"):
        class_prototypes(embeddings, 0, measure=Similarity.CORRELATION)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_no_numbers_are_refused(value: float) -> None:
    embeddings = clusters()
    embeddings[30, 2] = value
    with pytest.raises(DataError, match=r"finite numbers\. Received: NaN or infinity in class 1"):
        build_prototypes(embeddings, TARGETS)


def test_a_class_has_one_mean() -> None:
    with pytest.raises(DataError, match="Use kmeans or medoids"):
        build_prototypes(clusters(), TARGETS, 2, method=PrototypeMethod.MEAN)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), classes=st.integers(2, 5))
def test_blocks_compare_each_class_under_its_own_encoder(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    codes = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(classes)]
    parts = [Prototypes(rng.normal(size=(2, 3)).astype(np.float32), (label, label)) for label in range(classes)]
    together = np.concatenate([units(each) for each in codes], axis=1)
    features = similarity_features(together, in_blocks(parts).vectors, Similarity.COSINE)
    for label, (own, part) in enumerate(zip(codes, parts, strict=True)):
        expected = similarity_features(own, part.vectors, Similarity.COSINE) / np.sqrt(classes)
        np.testing.assert_allclose(features[:, 2 * label : 2 * label + 2], expected, atol=1e-6)
