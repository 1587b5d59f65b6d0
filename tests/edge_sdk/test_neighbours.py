"""Neighbours are those with the highest similarity; tables are put together without losing anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import neighbours as module
from edge_sdk.learn.embedding_files import EmbeddingTable
from edge_sdk.learn.neighbours import Duplicates, Neighbour, merge_tables, most_alike, nearest
from edge_sdk_runtime import Similarity, similarity_features

ANIMALS = EmbeddingTable(("cat", "dog", "cat", "car"), np.array([[1, 0], [0.9, 0.1], [0.8, 0.6], [0, 1]], np.float32))
MORE = EmbeddingTable(("cat", "cat", "mug"), np.array([[1, 0], [5, 5], [2, 2]], np.float32))


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Duplicates", "Neighbour", "merge_tables", "most_alike", "nearest"]


def test_the_most_similar_comes_first() -> None:
    found = nearest(ANIMALS, np.array([1, 0], np.float32), 3)
    assert [(each.label, each.index) for each in found] == [("cat", 0), ("dog", 0), ("cat", 1)]
    assert found[0] == Neighbour("cat", 0, pytest.approx(1.0))  # type: ignore[arg-type]
    assert len(nearest(ANIMALS, np.array([1, 0], np.float32), 9)) == 4


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32), rows=st.integers(1, 12), block=st.integers(1, 5), measure=st.sampled_from(Similarity)
)
def test_blocks_change_nothing(seed: int, rows: int, block: int, measure: Similarity) -> None:
    rng = np.random.default_rng(seed)
    table = EmbeddingTable(tuple(map(str, range(rows))), rng.normal(size=(rows, 4)).astype(np.float32))
    query = rng.normal(size=4).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        found = nearest(table, query, rows, measure)
    expected = similarity_features(query[None], table.vectors, measure)[0]
    np.testing.assert_allclose([each.similarity for each in found], np.sort(expected)[::-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("query", [np.zeros(3, np.float32), np.array([np.nan, 0], np.float32)])
def test_queries_that_cannot_be_compared_are_refused(query: np.ndarray) -> None:
    with pytest.raises(DataError, match="2 finite numbers, as wide as the table"):
        nearest(ANIMALS, query)
    with pytest.raises(DataError, match="at least 1 neighbour"):
        nearest(ANIMALS, np.ones(2, np.float32), 0)


def test_labels_know_whom_they_resemble() -> None:
    alike = most_alike(ANIMALS)
    assert {label: other for label, (other, _) in alike.items()} == {"cat": "dog", "dog": "cat", "car": "cat"}
    assert most_alike(EmbeddingTable(("cat",), np.ones((1, 2), np.float32))) == {}


@pytest.mark.parametrize(
    ("duplicates", "cats"),
    [
        (Duplicates.APPEND, [[1, 0], [0.8, 0.6], [5, 5]]),
        (Duplicates.FIRST, [[1, 0], [0.8, 0.6]]),
        (Duplicates.LAST, [[1, 0], [5, 5]]),
    ],
)
def test_labels_of_several_files_follow_the_rule(duplicates: Duplicates, cats: list[list[float]]) -> None:
    merged = merge_tables([ANIMALS, MORE], duplicates)
    assert list(merged.counts) == ["cat", "dog", "car", "mug"]
    own = merged.vectors[[label == "cat" for label in merged.labels]]
    np.testing.assert_array_equal(own, np.array(cats, np.float32))
    assert merged.labels[: len(cats)] == ("cat",) * len(cats)


def test_shared_labels_can_be_refused() -> None:
    with pytest.raises(DataError, match="'cat' twice"):
        merge_tables([ANIMALS, MORE], Duplicates.REFUSE)


def test_a_table_merged_with_itself_is_itself() -> None:
    assert merge_tables([MORE, MORE]).labels == MORE.labels


def test_other_widths_are_refused() -> None:
    wide = EmbeddingTable(("cat",), np.ones((1, 3), np.float32))
    with pytest.raises(DataError, match=r"one width\. Received: 2, 3"):
        merge_tables([ANIMALS, wide])
    with pytest.raises(DataError, match="Received: nothing"):
        merge_tables([])
