"""What each strategy chooses, against definitions written out the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn.selection import SelectionConfig, Strategy, make_selector, select
from edge_sdk.learn.selection.balanced import equal_shares
from edge_sdk.learn.selection.farthest_first import farthest_first
from edge_sdk.learn.selection.hashing import hashed
from edge_sdk.learn.selection.kmeans import nearest_to_centres
from edge_sdk.learn.selection.margin import evenly_by_margin


def ranked_by_hand(vectors: np.ndarray, k: int) -> list[int]:
    """Rank after rank, dimension after dimension, each sample once."""
    chosen: list[int] = []
    columns = [sorted(range(len(vectors)), key=lambda i: (-column[i], i)) for column in vectors.T if np.ptp(column) > 0]
    for rank in range(len(vectors)):
        for column in columns:
            if column[rank] not in chosen:
                chosen.append(column[rank])
            if len(chosen) == k:
                return chosen
    return chosen


@settings(max_examples=40, deadline=None, derandomize=True)
@given(count=st.integers(6, 40), width=st.integers(1, 6), k=st.integers(1, 6), seed=st.integers(0, 99))
def test_top_activation_takes_the_ranks_of_all_dimensions_in_turn(count: int, width: int, k: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 5, (count, width)).astype(np.float32)
    expected = ranked_by_hand(vectors, k)
    chosen = select(vectors, SelectionConfig(Strategy.TOP_ACTIVATION, k)).tolist()
    assert chosen[: len(expected)] == expected


def test_the_published_choice_is_always_among_them() -> None:
    """20 samples of highest activation for each of 216 dimensions; here 3 for each of 40."""
    vectors = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    published = np.unique(np.argsort(-vectors, axis=0)[:3])
    chosen = select(vectors, SelectionConfig(Strategy.TOP_ACTIVATION, 120))
    assert len(chosen) == 120 and set(published.tolist()) <= set(chosen.tolist())


def test_a_smaller_number_is_the_beginning_of_a_greater_ones_choice() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    for strategy in (Strategy.TOP_ACTIVATION, Strategy.RANDOM, Strategy.FARTHEST_FIRST):
        selector = make_selector(SelectionConfig(strategy, 60))
        selector.add(vectors, 0)
        np.testing.assert_array_equal(selector.result(20), selector.result(60)[:20])


def test_dimensions_that_agree_are_filled_up_at_random() -> None:
    """One order for all of 50 dimensions: their union at four times k/n ranks is too small."""
    vectors = np.repeat(np.arange(1000, dtype=np.float32)[:, None], 50, axis=1)
    chosen = select(vectors, SelectionConfig(Strategy.TOP_ACTIVATION, 100)).tolist()
    assert chosen[:8] == list(range(999, 991, -1)) and len(set(chosen)) == 100
    assert min(chosen) < 500


def test_hashes_are_a_permutation_that_the_seed_changes() -> None:
    indices = np.arange(100_000)
    one, other = hashed(indices, 0), hashed(indices, 1)
    assert len(np.unique(one)) == len(np.unique(other)) == 100_000
    assert not (one == other).any()
    halves = (one < np.uint64(2**63)).mean(), np.corrcoef(one.argsort(), other.argsort())[0, 1]
    assert halves[0] == pytest.approx(0.5, abs=0.01) and abs(halves[1]) < 0.02


def test_random_choices_are_uniform() -> None:
    counts = np.zeros(40)
    for seed in range(400):
        counts[select(np.zeros((40, 1)), SelectionConfig(Strategy.RANDOM, 10, seed=seed))] += 1
    assert counts.min() > 60 and counts.max() < 140  # 100 expected, deviation 9


def test_kmeans_takes_the_sample_nearest_to_the_middle_of_every_cluster() -> None:
    rng = np.random.default_rng(0)
    centres = 20 * np.eye(5, 8, dtype=np.float32)
    vectors = (np.repeat(centres, 30, axis=0) + rng.normal(size=(150, 8))).astype(np.float32)
    chosen = nearest_to_centres(vectors, 10, centres=5, seed=3)
    assert np.bincount(chosen // 30).tolist() == [2, 2, 2, 2, 2]
    for cluster in range(5):
        members = vectors[30 * cluster : 30 * cluster + 30]
        distances = np.linalg.norm(members - members.mean(axis=0), axis=1)
        nearest = 30 * cluster + int(distances.argmin())
        assert nearest in chosen


def test_farthest_first_begins_in_the_middle_and_goes_to_the_corners() -> None:
    vectors = np.array([[0.1, 0], [1, 0], [10, 0], [0, 8], [-9, 0], [0, -7]], np.float32)
    assert farthest_first(vectors, 4).tolist() == [0, 2, 4, 3]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), k=st.integers(1, 12))
def test_farthest_first_is_greedy(seed: int, k: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32)
    chosen = farthest_first(vectors, k)
    for step in range(1, k):
        distances = np.linalg.norm(vectors[:, None] - vectors[chosen[:step]][None], axis=2).min(axis=1)
        assert distances[chosen[step]] == pytest.approx(distances.max(), rel=1e-4)


def scores_with_margins(margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(len(margins)) % 2
    scores = np.zeros((len(margins), 2), np.float32)
    scores[np.arange(len(margins)), labels] = margins
    return scores, labels


def test_the_margin_leaves_out_the_hardest_and_covers_the_rest() -> None:
    scores, labels = scores_with_margins(np.linspace(-1, 1, 100, dtype=np.float32))
    chosen = select(scores, SelectionConfig(Strategy.MARGIN, 10, discard=0.5, strata=5), labels)
    assert chosen.min() >= 50
    assert np.bincount((chosen - 50) // 10).tolist() == [2, 2, 2, 2, 2]


def test_a_margin_that_discards_all_it_can_takes_the_easiest() -> None:
    scores, labels = scores_with_margins(np.random.default_rng(0).normal(size=50).astype(np.float32))
    chosen = select(scores, SelectionConfig(Strategy.MARGIN, 8, discard=1), labels)
    easiest = np.argsort(-scores[np.arange(50), labels])[:8]
    assert set(chosen.tolist()) == set(easiest.tolist())


def test_strata_that_are_too_small_leave_their_share_to_others() -> None:
    margins = np.concatenate([[10], np.linspace(0, 1, 99)]).astype(np.float32)[:, None]
    chosen = evenly_by_margin(margins, 20, discard=0, strata=10)
    assert 0 in chosen and len(set(chosen.tolist())) == 20


def test_the_margin_needs_scores_and_labels() -> None:
    config = SelectionConfig(Strategy.MARGIN, 2)
    with pytest.raises(DataError, match="Received: no labels"):
        select(np.zeros((4, 3)), config)
    with pytest.raises(DataError, match="Received: label 3 for scores"):
        select(np.zeros((4, 3)), config, np.full(4, 3))


@pytest.mark.parametrize("strategy", Strategy)
def test_balance_gives_every_class_the_same_and_lets_them_take_turns(strategy: Strategy) -> None:
    labels = np.array([0] * 40 + [1] * 12 + [2] * 8)
    vectors = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    chosen = select(vectors, SelectionConfig(strategy, 18, 3), labels)
    assert np.bincount(labels[chosen]).tolist() == [6, 6, 6]
    assert labels[chosen[:6]].tolist() == [0, 1, 2, 0, 1, 2]
    most = select(vectors, SelectionConfig(strategy, 40, 3), labels)
    assert np.bincount(labels[most]).tolist() == [20, 12, 8]


def test_a_balanced_choice_of_a_class_is_the_choice_among_that_class() -> None:
    labels = np.arange(90) % 3
    vectors = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    chosen = select(vectors, SelectionConfig(Strategy.FARTHEST_FIRST, 12, 3), labels)
    of_second = chosen[labels[chosen] == 1]
    np.testing.assert_array_equal(of_second, 3 * farthest_first(vectors[labels == 1], 4) + 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(available=st.lists(st.integers(0, 30), min_size=2, max_size=6), part=st.floats(0, 1))
def test_shares_are_as_equal_as_the_classes_allow(available: list[int], part: float) -> None:
    k = round(part * sum(available))
    shares = equal_shares(k, available)
    assert sum(shares) == k and all(share <= most for share, most in zip(shares, available, strict=True))
    fullest = max(shares)
    for share, most in zip(shares, available, strict=True):
        assert share == most or share >= fullest - 1


def test_balance_needs_labels_of_the_classes_it_was_made_for() -> None:
    with pytest.raises(DataError, match="Received: no labels"):
        select(np.zeros((4, 3)), SelectionConfig(Strategy.RANDOM, 2, 2))
    with pytest.raises(DataError, match=r"below the number of classes, 2\. Received: 3"):
        select(np.zeros((4, 3)), SelectionConfig(Strategy.RANDOM, 2, 2), np.arange(4))
    with pytest.raises(DataError, match=r"at least 2 classes\. Received: 1"):
        make_selector(SelectionConfig(Strategy.RANDOM, 2, 1))
