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
    with pytest.raises(UsageError, match=r"'cosine', 'dot', 'euclidean'\. Received: 'manhattan'"):
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
