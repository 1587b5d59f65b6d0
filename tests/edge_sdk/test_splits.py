import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.image_sets import ArrayFrames, ImageSet
from edge_sdk.splits import at_most, check_labels, divide, stratified

class_sizes = st.lists(st.integers(3, 60), min_size=2, max_size=6)


def targets_of(sizes: list[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def image_set(targets: np.ndarray, prefix: str = "image") -> ImageSet:
    count = len(targets)
    labels = tuple(f"class {i}" for i in range(int(targets.max()) + 1))
    names = tuple(f"{prefix}/{i}" for i in range(count))
    return ImageSet(labels, targets, names, ArrayFrames(np.zeros((count, 1, 1), np.uint8)), np.arange(count))


@settings(deadline=None)
@given(class_sizes, st.integers(0, 2**32))
def test_every_part_gets_its_share_of_every_class(sizes: list[int], seed: int) -> None:
    targets = targets_of(sizes, seed)
    rest, tenth, fifth = stratified(targets, (0.1, 0.2), seed)
    assert sorted([*rest, *tenth, *fifth]) == list(range(len(targets)))
    for label, size in enumerate(sizes):
        assert np.sum(targets[tenth] == label) == max(1, round(0.1 * size))
        assert np.sum(targets[fifth] == label) == max(1, round(0.2 * size))
        assert np.sum(targets[rest] == label) >= 1


@settings(deadline=None)
@given(class_sizes, st.integers(0, 2**32))
def test_the_same_seed_deals_the_same_way(sizes: list[int], seed: int) -> None:
    targets = targets_of(sizes, 0)
    for first, second in zip(stratified(targets, (0.1, 0.2), seed), stratified(targets, (0.1, 0.2), seed), strict=True):
        np.testing.assert_array_equal(first, second)


def test_another_seed_deals_another_way() -> None:
    targets = targets_of([50, 50], 0)
    assert not np.array_equal(stratified(targets, (0.2,), 0)[1], stratified(targets, (0.2,), 1)[1])


def test_one_class_does_not_influence_how_another_is_dealt() -> None:
    small, large = np.repeat([0, 1], [20, 5]), np.repeat([0, 1], [20, 50])
    first, second = (stratified(targets, (0.2,), 7)[1] for targets in (small, large))
    np.testing.assert_array_equal(first[first < 20], second[second < 20])


def test_a_share_of_nothing_takes_nothing() -> None:
    rest, none = stratified(np.array([0, 0, 1]), (0.0,), 0)
    assert list(rest) == [0, 1, 2]
    assert none.size == 0


@settings(deadline=None)
@given(class_sizes, st.integers(1, 70))
def test_at_most_so_many_of_each_class_are_chosen(sizes: list[int], limit: int) -> None:
    targets = targets_of(sizes, 1)
    chosen = targets[at_most(targets, limit, 0)]
    assert np.bincount(chosen).tolist() == [min(size, limit) for size in sizes]


def test_no_limit_chooses_everything_in_order() -> None:
    np.testing.assert_array_equal(at_most(np.array([1, 0, 1, 0]), None, 3), np.arange(4))


def test_parts_that_the_data_brings_are_kept_whole() -> None:
    train, test = image_set(targets_of([20, 30], 0), "train"), image_set(targets_of([4, 6], 1), "test")
    first, second, third = divide("set", train, None, test, 0)
    assert sorted(third.names) == sorted(test.names)
    assert second.counts.tolist() == [2, 3]
    assert sorted(first.names + second.names) == sorted(train.names)


def test_a_slice_of_any_part_has_every_class() -> None:
    first, *_ = divide("set", image_set(np.repeat([0, 1], 100)), None, None, 0)
    assert set(first.targets[:20]) == {0, 1}


def test_classes_too_small_to_split_are_named_with_how_many_they_need() -> None:
    with pytest.raises(DataError, match=r"at least 3 readable images.*2 of 'class 1' in photos"):
        divide("photos", image_set(np.repeat([0, 1], [5, 2])), None, None, 0)


def test_a_class_without_test_images_is_refused() -> None:
    train = image_set(np.repeat([0, 1], 5))
    with pytest.raises(DataError, match=r"1 readable image for testing.*0 of 'class 0'"):
        divide("photos", train, None, image_set(np.array([1, 1])), 0)


def test_many_small_classes_are_counted_rather_than_listed() -> None:
    with pytest.raises(DataError, match="and 3 more classes"):
        divide("photos", image_set(np.arange(8)), None, None, 0)


@pytest.mark.parametrize("labels", [(), ("cat",)])
def test_fewer_than_two_classes_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="at least 2 classes"):
        check_labels(labels, "photos")


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\udcff"])
def test_names_that_no_file_could_carry_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="printable Unicode text, not blank"):
        check_labels(("cat", name), "photos")
