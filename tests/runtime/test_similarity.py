import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edge_sdk_runtime import Similarity, UsageError, similarity_features
from edge_sdk_runtime.similarity import CompiledSimilarity

NUMBERS = st.floats(-100, 100, width=32)
EPS = float(np.finfo(np.float32).eps)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings `[N, D]` and prototypes `[P, D]`, some of them equal."""
    n, p, d = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 12))
    prototypes = draw(npst.arrays(np.float32, (p, d), elements=NUMBERS))
    embeddings = draw(npst.arrays(np.float32, (n, d), elements=NUMBERS))
    if draw(st.booleans()):
        embeddings[0] = prototypes[0]
    return embeddings, prototypes


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=-1))


@given(comparisons())
def test_dot_is_the_sum_of_products(pair: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, prototypes = pair
    features = similarity_features(embeddings, prototypes, Similarity.DOT)
    expected = embeddings.astype(np.float64) @ prototypes.astype(np.float64).T
    # The error of a sum of D products in float32 (Higham, Accuracy and Stability, 3.5).
    bound = (embeddings.shape[1] + 1) * EPS * (np.abs(embeddings).astype(float) @ np.abs(prototypes).astype(float).T)
    assert features.shape == expected.shape
    assert features.dtype == np.float32
    assert (np.abs(features - expected) <= bound + 1e-37).all()


@given(comparisons())
def test_cosine_is_the_product_of_directions(pair: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, prototypes = pair
    features = similarity_features(embeddings, prototypes, Similarity.COSINE)
    products = np.outer(np.maximum(lengths(embeddings), 1e-6), np.maximum(lengths(prototypes), 1e-6))
    expected = embeddings.astype(np.float64) @ prototypes.astype(np.float64).T / products
    np.testing.assert_allclose(features, expected, rtol=0, atol=5e-6)


@given(comparisons())
def test_euclidean_is_one_over_one_plus_the_distance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, prototypes = pair
    features = similarity_features(embeddings, prototypes, Similarity.EUCLIDEAN)
    distances = lengths(embeddings[:, np.newaxis].astype(np.float64) - prototypes[np.newaxis])
    np.testing.assert_allclose(features, 1 / (1 + distances), rtol=1e-5, atol=0)


@given(comparisons())
def test_correlation_is_pearsons(pair: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, prototypes = pair
    features = similarity_features(embeddings, prototypes, Similarity.CORRELATION)
    assert np.isfinite(features).all()
    assert (np.abs(features) <= 1 + 1e-5).all()
    for i, j in np.ndindex(features.shape):
        pairs = np.stack([embeddings[i], prototypes[j]]).astype(np.float64)
        centred = pairs - pairs.mean(axis=1, keepdims=True)
        if (lengths(centred) > np.maximum(1e-2, 1e-3 * lengths(pairs))).all():  # else float32 leaves little of them
            assert features[i, j] == pytest.approx(np.corrcoef(pairs)[0, 1], abs=1e-4)


@pytest.mark.parametrize("constant", [0.0, 1e-4, 0.1, 77 / 255, 1e3, -12345.678])
@pytest.mark.parametrize("width", [1, 3, 100, 30_000])
def test_a_constant_vector_correlates_with_nothing(constant: float, width: int) -> None:
    other = np.random.default_rng(width).normal(size=width)
    vectors = np.stack([np.full(width, constant), other]).astype(np.float32)
    features = similarity_features(vectors, vectors, Similarity.CORRELATION)
    assert features.tolist() == [[0, 0], [0, 0 if width == 1 else pytest.approx(1)]]
    alone = np.empty(2, np.float32)
    CompiledSimilarity(vectors, Similarity.CORRELATION).into(vectors[0], alone)
    assert alone.tolist() == [0, 0]


def test_correlation_sees_neither_offset_nor_scale() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    features = similarity_features(vectors, vectors, Similarity.CORRELATION)
    np.testing.assert_allclose(
        similarity_features(3 * vectors + 5, vectors, Similarity.CORRELATION), features, atol=1e-5
    )
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(similarity_features(centred, centred, Similarity.COSINE), features, atol=1e-6)


@pytest.mark.parametrize("measure", Similarity)
@pytest.mark.parametrize(("count", "width"), [(0, 5), (1, 5), (700, 5), (30, 20_000)])
def test_many_at_once_are_as_one_by_one(measure: Similarity, count: int, width: int) -> None:
    """20,000 numbers are more than fit a block often: it ends in the middle of the embeddings."""
    rng = np.random.default_rng(4)
    prototypes = rng.normal(size=(3, width)).astype(np.float32)
    embeddings = (rng.normal(size=(count, width)) + rng.normal(size=(count, 1))).astype(np.float32)
    embeddings[:3] = prototypes[: len(embeddings)]
    compiled = CompiledSimilarity(prototypes, measure)
    assert (count, width) != (30, 20_000) or 1 <= compiled.block < count
    expected = np.empty((count, 3), np.float32)
    for embedding, row in zip(embeddings, expected, strict=True):
        compiled.into(embedding, row)
    received = similarity_features(embeddings, prototypes, measure)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6 * max(1.0, np.abs(expected).max(initial=0)))


def test_memory_does_not_grow_with_the_embeddings() -> None:
    embeddings, prototypes = np.ones((2000, 64), np.float32), np.ones((40, 64), np.float32)
    for measure in Similarity:
        tracemalloc.start()
        features = similarity_features(embeddings, prototypes, measure)
        peak = tracemalloc.get_traced_memory()[1] - features.nbytes
        tracemalloc.stop()
        assert peak < 4 << 20, measure  # all differences at once would take 20 MB


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1000.0])
def test_a_vector_is_wholly_similar_to_itself(scale: float) -> None:
    vectors = (np.random.default_rng(0).normal(0, scale, (50, 128))).astype(np.float32)
    assert (np.diag(similarity_features(vectors, vectors, Similarity.EUCLIDEAN)) == 1).all()
    cosines = np.diag(similarity_features(vectors, vectors, Similarity.COSINE))
    np.testing.assert_allclose(cosines, 1, rtol=0, atol=1e-6)


def test_zero_vectors_are_similar_to_nothing() -> None:
    vectors = np.array([[0, 0], [3, 4]], np.float32)
    assert similarity_features(vectors, vectors, Similarity.COSINE).tolist() == [[0, 0], [0, pytest.approx(1)]]
    assert similarity_features(vectors, vectors, Similarity.DOT).tolist() == [[0, 0], [0, 25]]
    assert similarity_features(vectors, vectors, Similarity.CORRELATION).tolist() == [[0, 0], [0, pytest.approx(1)]]
    np.testing.assert_allclose(
        similarity_features(vectors, vectors, Similarity.EUCLIDEAN), [[1, 1 / 6], [1 / 6, 1]], rtol=1e-6
    )


@pytest.mark.parametrize("measure", Similarity)
def test_inputs_stay_as_they_are(measure: Similarity) -> None:
    rng = np.random.default_rng(1)
    embeddings, prototypes = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    copies = embeddings.copy(), prototypes.copy()
    first = similarity_features(embeddings, prototypes, measure)
    np.testing.assert_array_equal(similarity_features(embeddings, prototypes, measure), first)
    np.testing.assert_array_equal(embeddings, copies[0])
    np.testing.assert_array_equal(prototypes, copies[1])


@pytest.mark.parametrize("measure", Similarity)
def test_a_later_change_of_the_table_changes_nothing(measure: Similarity) -> None:
    """A bundle's prototypes are compiled once; whoever made the array may go on using it."""
    prototypes = np.eye(3, dtype=np.float32)
    compiled = CompiledSimilarity(prototypes, measure)
    before, after = np.empty(3, np.float32), np.empty(3, np.float32)
    embedding = np.array([1, 2, 3], np.float32)
    compiled.into(embedding, before)
    prototypes[...] = 9
    compiled.into(embedding, after)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("measure", Similarity)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_other_kinds_of_numbers_and_views_are_converted(measure: Similarity, dtype: Any) -> None:
    vectors = np.arange(24).reshape(6, 4)[::-2]
    expected = similarity_features(vectors.astype(np.float32), vectors.astype(np.float32), measure)
    other = vectors.astype(dtype)
    np.testing.assert_array_equal(similarity_features(other, other, measure), expected)


@pytest.mark.parametrize("measure", Similarity)
def test_a_measure_may_be_given_as_text(measure: Similarity) -> None:
    vectors = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    by_name = similarity_features(vectors, vectors, measure.value)  # type: ignore[arg-type]
    np.testing.assert_array_equal(by_name, similarity_features(vectors, vectors, measure))


def test_refuses_an_unknown_measure() -> None:
    with pytest.raises(UsageError, match=r"'cosine', 'dot', 'euclidean', 'correlation'\. Received: 'manhattan'"):
        CompiledSimilarity(np.eye(2, dtype=np.float32), "manhattan")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 3), (2, 5), (4,), (1, 2, 4)])
def test_refuses_embeddings_of_another_width(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"must be \[N, 4\].*Received: \[.*Use the encoder"):
        similarity_features(np.zeros(shape, np.float32), np.ones((3, 4), np.float32), Similarity.DOT)


@pytest.mark.parametrize("measure", Similarity)
@pytest.mark.parametrize(
    "table",
    [
        np.zeros(4, np.float32),
        np.zeros((0, 4), np.float32),
        np.zeros((4, 0), np.float32),
        np.zeros((1, 2, 2), np.float32),
        np.array([[1, np.nan]], np.float32),
        np.array([[1, np.inf]], np.float32),
    ],
)
def test_refuses_tables_that_are_none(table: np.ndarray, measure: Similarity) -> None:
    with pytest.raises(UsageError, match=r"finite float32 \[P, D\] table.*Received: float32 \["):
        CompiledSimilarity(table, measure)
