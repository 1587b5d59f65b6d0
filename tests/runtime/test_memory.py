import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import Bundle, BundleCorruptError, UsageError, memory
from edge_sdk_runtime.memory import MEMORY, FeatureMemory, balanced_sample
from tests.runtime.helpers import make_bundle, npz

RNG = np.random.default_rng(2)
SOME = FeatureMemory.rounded(RNG.normal(size=(7, 5)).astype(np.float32), np.array([0, 0, 1, 1, 1, 2, 2]))


def bundle_with(content: bytes) -> Bundle:
    bundle = make_bundle()
    staged = dataclasses.replace(bundle.manifest.staged, memory=MEMORY)
    return Bundle.build(dataclasses.replace(bundle.manifest, staged=staged), {**bundle.members(), MEMORY: content})


def test_public_names() -> None:
    assert memory.__all__ == ["MEMORY", "FeatureMemory", "balanced_sample"]


def test_a_bundle_gives_back_what_it_remembers() -> None:
    read = FeatureMemory.of(bundle_with(SOME.to_bytes()))
    np.testing.assert_array_equal(read.embeddings, SOME.embeddings)
    np.testing.assert_array_equal(read.labels, SOME.labels)
    assert (read.embeddings.dtype, read.labels.dtype) == (np.float32, np.int64)
    assert SOME.to_bytes() == read.to_bytes()
    assert len(SOME.to_bytes()) < 7 * 5 * 2 + 7 * 8 + 700


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e6])
def test_numbers_that_float16_does_not_hold_are_refused(number: float) -> None:
    with pytest.raises(UsageError, match=r"at most 65504\. Received: .* as the largest\. Scale"):
        FeatureMemory.rounded(np.array([[1.0, number]], np.float32), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"embeddings": np.zeros((2, 3), np.float16)},
        {"embeddings": np.zeros((2, 3), np.float16), "labels": np.zeros(3, np.int64)},
        {"embeddings": np.zeros(2, np.float16), "labels": np.zeros(2, np.int64)},
        {"embeddings": np.full((2, 3), np.nan, np.float16), "labels": np.zeros(2, np.int64)},
        {"embeddings": np.zeros((2, 3), np.float16), "labels": np.array([0, 3])},
        {"embeddings": np.zeros((2, 3), np.float16), "labels": np.array([-1, 0])},
        {"embeddings": np.zeros((2, 3), np.float16), "labels": np.zeros(2, np.float32)},
        {"embeddings": np.zeros((0, 3), np.float16), "labels": np.zeros(0, np.int64)},
    ],
)
def test_what_is_no_memory_is_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(BundleCorruptError, match="must hold finite embeddings"):
        FeatureMemory.of(bundle_with(npz(arrays)))


def test_a_class_can_be_taken_out() -> None:
    left = SOME.without(1)
    np.testing.assert_array_equal(left.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(left.embeddings, SOME.embeddings[[0, 1, 5, 6]])
    both = left.joined(SOME)
    assert len(both.embeddings) == len(both.labels) == 11


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 10), st.integers(0, 5))
def test_a_sample_is_balanced_and_of_every_class(labels: list[int], count: int, seed: int) -> None:
    targets = np.array(labels, np.int64)
    chosen = balanced_sample(targets, count, seed)
    assert len(set(chosen.tolist())) == len(chosen) and (np.diff(chosen) > 0).all()
    for label in set(labels):
        assert (targets[chosen] == label).sum() == min(count, labels.count(label))
    np.testing.assert_array_equal(chosen, balanced_sample(targets, count, seed))
    assert len(FeatureMemory(np.zeros((len(targets), 1), np.float32), targets).at_most(count).labels) == len(chosen)
