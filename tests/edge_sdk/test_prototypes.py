"""Prototypes stand in the middle of their classes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import prototypes as module
from edge_sdk.learn.prototypes import build_prototypes
from edge_sdk_runtime import Similarity

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
    assert sorted(module.__all__) == ["Prototypes", "build_prototypes"]


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
