import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import Similarity, UsageError
from edge_sdk_runtime.memory import FeatureMemory
from edge_sdk_runtime.teach import prototypes as module

RNG = np.random.default_rng(4)


def cluster(*centres: tuple[float, ...], each: int = 10, spread: float = 0.05) -> np.ndarray:
    """Points around centres, `float32 [N, D]`."""
    points = np.repeat(np.array(centres), each, axis=0)
    return (points + RNG.normal(0, spread, points.shape)).astype(np.float32)


def round_memory(width: int) -> FeatureMemory:
    """Classes that scatter equally in all directions, so that nothing is turned."""
    points = np.concatenate([np.eye(width), -np.eye(width)]).astype(np.float32)
    return FeatureMemory(points, np.zeros(2 * width, np.int64))


def class_prototypes(
    embeddings: np.ndarray, count: int, measure: Similarity, memory: FeatureMemory, seed: int = 0
) -> np.ndarray:
    """Those of one class alone."""
    return module.class_prototypes({"mug": embeddings}, count, measure, memory, seed=seed)["mug"]


def test_one_prototype_points_where_the_unit_embeddings_do() -> None:
    embeddings = np.array([[3, 0, 0], [0, 100, 0]], np.float32)
    (found,) = class_prototypes(embeddings, 1, Similarity.COSINE, round_memory(3))
    np.testing.assert_allclose(found, [0.5, 0.5, 0], atol=1e-6)


def test_for_euclidean_similarity_it_is_the_mean_itself() -> None:
    embeddings = np.array([[3, 0, 0], [0, 100, 0]], np.float32)
    (found,) = class_prototypes(embeddings, 1, Similarity.EUCLIDEAN, round_memory(3))
    np.testing.assert_allclose(found, [1.5, 50, 0])


def test_for_correlation_the_mean_of_each_embedding_is_taken_away_before() -> None:
    embeddings = np.array([[5, 6, 7], [105, 106, 107]], np.float32)
    (found,) = class_prototypes(embeddings, 1, Similarity.CORRELATION, round_memory(3))
    np.testing.assert_allclose(found, np.array([-1, 0, 1]) / 2**0.5, atol=1e-5)


def test_a_prototype_turns_away_from_where_every_class_scatters() -> None:
    scattered = np.concatenate([cluster((4, 0, 0), each=40), cluster((0, 4, 0), each=40)])
    scattered[:, 0] += RNG.normal(0, 2, 80)
    memory = FeatureMemory(scattered, np.arange(2).repeat(40))
    (found,) = class_prototypes(np.array([[1, 1, 0.2]], np.float32), 1, Similarity.COSINE, memory)
    assert abs(found[0]) < 0.5 * abs(found[1])


def test_a_prototype_points_to_what_sets_a_class_apart_from_those_that_it_is_like() -> None:
    memory = FeatureMemory(cluster((4, 0, 0, 0), (0, 4, 0, 0), each=40, spread=0.2), np.arange(2).repeat(40))
    (found,) = class_prototypes(cluster((4, 0, 1.5, 0)), 1, Similarity.COSINE, memory)
    assert found[2] > 0.5 * np.linalg.norm(found) and abs(found[0]) < found[2]


def test_what_is_remembered_of_a_class_itself_is_not_taken_away() -> None:
    shown = cluster((4, 0, 1.5), each=6)
    others = FeatureMemory(cluster((4, 0, 0), (0, 4, 0), each=6), np.arange(2).repeat(6))
    memory = others.joined(FeatureMemory(shown, np.full(6, 2)))
    named = module.class_prototypes({"mug": shown}, 1, Similarity.COSINE, memory, ("cup", "jar", "mug"))["mug"][0]
    assert named[2] > 0.5 * np.linalg.norm(named)


@pytest.mark.parametrize("measure", [Similarity.COSINE, Similarity.DOT, Similarity.CORRELATION])
def test_a_class_that_nothing_tells_from_another_still_has_a_direction(measure: Similarity) -> None:
    shown = cluster((4, 0, 1.5))
    memory = FeatureMemory(np.concatenate([shown, shown]), np.arange(2).repeat(len(shown)))
    found = module.class_prototypes({"mug": shown}, 1, measure, memory, ("cup", "mug"))["mug"]
    assert np.isfinite(found).all() and np.linalg.norm(found) > 0.1


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(0, 100))
def test_k_means_centres_are_the_means_of_what_is_nearest_to_them(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(20, 3)).astype(np.float32)
    centres = class_prototypes(points, count, Similarity.EUCLIDEAN, round_memory(3), seed)
    owners = ((points[:, np.newaxis] - centres) ** 2).sum(axis=2).argmin(axis=1)
    for own, centre in enumerate(centres):
        np.testing.assert_allclose(centre, points[owners == own].mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(centres, class_prototypes(points, count, Similarity.EUCLIDEAN, round_memory(3), seed))


def test_k_means_finds_clusters() -> None:
    points = cluster((1, 0, 0), (0, 1, 0), (0, 0, 1))
    found = class_prototypes(points, 3, Similarity.EUCLIDEAN, round_memory(3))
    np.testing.assert_allclose(sorted(found.round(1).tolist()), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=0.11)


@pytest.mark.parametrize(("images", "count"), [(2, 3), (1, 0), (0, 1)])
def test_more_prototypes_than_images_are_refused(images: int, count: int) -> None:
    with pytest.raises(UsageError, match=rf"Received: {images} different images of 'mug' for {count}\. Add images"):
        class_prototypes(np.ones((images, 3), np.float32), count, Similarity.COSINE, round_memory(3))


def test_embeddings_that_cancel_out_are_refused() -> None:
    with pytest.raises(UsageError, match=r"must have a direction\. Received: 2 embeddings of 'mug'"):
        class_prototypes(np.array([[1, 0], [-1, 0]], np.float32), 1, Similarity.COSINE, round_memory(2))


def test_classes_together_get_what_each_gets_alone() -> None:
    memory = FeatureMemory(cluster((4, 0, 0), (0, 4, 1), each=9), np.arange(2).repeat(9))
    examples = {"one": cluster((1, 0, 0)), "other": cluster((0, 1, 1))}
    together = module.class_prototypes(examples, 2, Similarity.COSINE, memory)
    for label, embeddings in examples.items():
        np.testing.assert_allclose(
            together[label], class_prototypes(embeddings, 2, Similarity.COSINE, memory), rtol=1e-5
        )
