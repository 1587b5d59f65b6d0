"""What holds for every strategy: blocks, their order, repetition and the number of machines make no difference."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import selection as module
from edge_sdk.learn.selection import SelectionConfig, Selector, Strategy, make_selector, npy_blocks, select

CLASSES = 3
FORMS = [(strategy, balanced) for strategy in Strategy for balanced in (False, True)]
FAST = [form for form in FORMS if form[0] is not Strategy.KMEANS]
"""scikit-learn takes its time; what k-means sees is what farthest-first sees."""


def samples(count: int, seed: int = 0, distinct: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Vectors with many equal values, so that ties matter, and class indices."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, distinct, (count, CLASSES)).astype(np.float32)
    return vectors, rng.integers(0, CLASSES, count)


def config(strategy: Strategy, balanced: bool, count: int = 7, seed: int = 0) -> SelectionConfig:
    return SelectionConfig(strategy, count, CLASSES if balanced else None, seed, strata=4)


def test_public_names() -> None:
    expected = ["SelectionConfig", "Selector", "Strategy", "make_selector", "npy_blocks", "select"]
    assert sorted(module.__all__) == expected


@pytest.mark.parametrize(("strategy", "balanced"), FORMS)
def test_a_choice_is_of_different_samples_and_the_same_every_time(strategy: Strategy, balanced: bool) -> None:
    vectors, labels = samples(60)
    chosen = select(vectors, config(strategy, balanced, 20), labels)
    assert chosen.dtype == np.int64 and len(chosen) == len(set(chosen.tolist())) == 20
    assert chosen.min() >= 0 and chosen.max() < 60
    np.testing.assert_array_equal(chosen, select(vectors, config(strategy, balanced, 20), labels))


@pytest.mark.parametrize(("strategy", "balanced"), [*FAST, (Strategy.KMEANS, False)])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    count=st.integers(8, 80),
    cuts=st.lists(st.integers(0, 80), max_size=4),
    order=st.randoms(use_true_random=False),
    machines=st.integers(1, 3),
)
def test_parts_in_any_order_on_any_number_of_machines_choose_as_one_pass_does(
    strategy: Strategy, balanced: bool, count: int, cuts: list[int], order: object, machines: int
) -> None:
    vectors, labels = samples(count, seed=count)
    whole = make_selector(config(strategy, balanced))
    whole.add(vectors, 0, labels)
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    blocks = list(itertools.pairwise(edges))
    order.shuffle(blocks)  # type: ignore[attr-defined]
    selectors = [make_selector(config(strategy, balanced)) for _ in range(machines)]
    for place, (start, stop) in enumerate(blocks):
        selectors[place % machines].add(vectors[start:stop], start, labels[start:stop])
    first, *others = selectors
    for other in others:
        first.merge(other)
    assert first.available == whole.available
    np.testing.assert_array_equal(first.result(7), whole.result(7))


@pytest.mark.parametrize(("strategy", "balanced"), FAST)
def test_samples_that_arrive_twice_count_once_and_indices_need_not_follow_each_other(
    strategy: Strategy, balanced: bool
) -> None:
    vectors, labels = samples(40)
    once, twice = make_selector(config(strategy, balanced)), make_selector(config(strategy, balanced))
    once.add(vectors, 0, labels)
    backwards = np.arange(40)[::-1]
    twice.add(vectors[backwards], backwards, labels[backwards])
    twice.add(vectors[5:20], 5, labels[5:20])
    np.testing.assert_array_equal(once.result(7), twice.result(7))


@pytest.mark.parametrize(("strategy", "balanced"), FAST)
def test_what_a_selector_remembers_can_be_kept_in_a_file(strategy: Strategy, balanced: bool) -> None:
    vectors, labels = samples(40)
    selector = make_selector(config(strategy, balanced))
    selector.add(vectors, 0, labels)
    file = io.BytesIO()
    np.savez(file, **selector.state())
    file.seek(0)
    again = make_selector(config(strategy, balanced))
    again.restore(np.load(file))
    np.testing.assert_array_equal(again.result(7), selector.result(7))
    assert set(selector.result(7).tolist()) <= set(again.candidates.tolist())


@pytest.mark.parametrize("strategy", Strategy)
def test_identical_samples_are_chosen_all_the_same(strategy: Strategy) -> None:
    labels = np.arange(12) % CLASSES
    for balanced in (False, True):
        chosen = select(np.ones((12, CLASSES)), config(strategy, balanced, 9), labels)
        assert len(set(chosen.tolist())) == 9


def test_all_samples_are_given_where_there_are_fewer_than_asked_for() -> None:
    vectors, labels = samples(5)
    for strategy in Strategy:
        assert sorted(select(vectors, config(strategy, False, 9), labels).tolist()) == [0, 1, 2, 3, 4]


def test_arrays_memory_mapped_files_files_and_generators_give_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(300, 6)).astype(np.float32)
    np.save(tmp_path / "e.npy", vectors)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, 300, 70):
            yield vectors[start : start + 70].astype(np.float64)

    wanted = SelectionConfig(Strategy.TOP_ACTIVATION, 24)
    expected = select(vectors, wanted)
    for given_as in (np.load(tmp_path / "e.npy", mmap_mode="r"), tmp_path / "e.npy", npy_blocks(tmp_path / "e.npy", 7)):
        np.testing.assert_array_equal(select(given_as, wanted), expected)
    np.testing.assert_array_equal(select(blocks(), wanted), expected)


@pytest.mark.parametrize("strategy", [Strategy.KMEANS, Strategy.FARTHEST_FIRST])
def test_no_more_vectors_are_held_than_asked_for(strategy: Strategy) -> None:
    selector = make_selector(SelectionConfig(strategy, 4, reservoir=10))
    for block in range(6):
        vectors, _ = samples(50, seed=block)
        selector.add(vectors, 50 * block)
    assert selector.available == 10
    assert sum(array.nbytes for array in selector.state().values()) < 10 * (8 + 4 * CLASSES) + 64


def refused(selector: Selector, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        selector.add(*arguments)  # type: ignore[arg-type]
    assert "Received: " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_and_the_sample_is_named(strategy: Strategy, value: float) -> None:
    vectors, labels = samples(9)
    vectors[4, 1] = value
    message = refused(make_selector(config(strategy, False)), vectors, 100, labels)
    assert "finite" in message and "sample 104" in message


def test_blocks_that_do_not_belong_together_are_refused() -> None:
    selector = make_selector(SelectionConfig(Strategy.TOP_ACTIVATION, 3))
    selector.add(np.zeros((4, 2)), 0)
    assert "as wide as the first, 2. Received: [4, 3]" in refused(selector, np.zeros((4, 3)), 4)
    assert "array of real numbers" in refused(selector, np.zeros(4), 4)
    assert "array of real numbers" in refused(selector, np.zeros((4, 2), complex), 4)
    assert "0 or greater" in refused(selector, np.zeros((4, 2)), -1)
    assert "Labels must be one class index" in refused(selector, np.zeros((4, 2)), 4, np.zeros(3, np.int64))


def test_selectors_with_other_settings_are_not_merged() -> None:
    one, other = (make_selector(SelectionConfig(Strategy.RANDOM, 3, seed=seed)) for seed in (0, 1))
    with pytest.raises(DataError, match=r"same settings.*Received: random 3 0 and random 3 1"):
        one.merge(other)
    with pytest.raises(DataError, match="same settings"):
        one.merge(make_selector(SelectionConfig(Strategy.TOP_ACTIVATION, 3)))


def test_more_than_was_seen_or_nothing_cannot_be_chosen() -> None:
    selector = make_selector(SelectionConfig(Strategy.RANDOM, 5))
    selector.add(np.zeros((3, 1)), 0)
    for k in (0, 4):
        with pytest.raises(DataError, match=rf"between 1 and 3.*Received: {k}"):
            selector.result(k)
    with pytest.raises(DataError, match="Received: none"):
        select(iter(()), SelectionConfig(Strategy.TOP_ACTIVATION, 5))


def test_labels_must_be_as_many_as_samples() -> None:
    with pytest.raises(DataError, match=r"as many as samples, 3\. Received: 4"):
        select(np.zeros((3, 2)), SelectionConfig(Strategy.RANDOM, 1), np.zeros(4, np.int64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "at least 1. Received: 0"),
        ({"count": 1, "seed": -1}, "seed must be 0 or greater"),
        ({"count": 1, "reservoir": 0}, "vectors to hold must be at least 1"),
        ({"count": 1, "centres": 0}, "centres must be at least 1"),
        ({"count": 1, "discard": 1.5}, "discard must be between 0 and 1"),
        ({"count": 1, "strata": 0}, "strata at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        SelectionConfig(Strategy.RANDOM, **options)  # type: ignore[arg-type]


def test_files_that_hold_no_embeddings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("embeddings")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    np.save(tmp_path / "short.npy", np.zeros((6, 2)))
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-20])
    for name, message in (("text", "must be in a .npy file"), ("flat", r"\[N, D\]"), ("short", "ends after 4")):
        with pytest.raises(DataError, match=message):
            list(npy_blocks(tmp_path / f"{name}.npy"))
