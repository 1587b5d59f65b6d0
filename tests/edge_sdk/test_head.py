"""The head learns classes from similarity features."""

from __future__ import annotations

import keras
import numpy as np

from edge_sdk.learn import head as module
from edge_sdk.learn.head import build_head, train_head
from edge_sdk_converters.training import Examples, predict


def features(count: int, seed: int) -> Examples:
    """Similarities to two prototypes of each of three classes; classes 0 and 1 are told apart by their second ones alone."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    likeness = np.array([[0.8, 0.8, 0.8, 0.2, 0, 0], [0.8, 0.2, 0.8, 0.8, 0, 0], [0, 0, 0, 0, 0.9, 0.9]])
    return Examples((likeness[y] + 0.05 * rng.normal(size=(count, 6))).astype(np.float32), y)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["build_head", "train_head"]


def test_shapes() -> None:
    head = build_head(6, 3, hidden=8)
    assert (head.input_shape, head.output_shape) == ((None, 6), (None, 3))
    np.testing.assert_allclose(predict(head, features(5, 0).x).sum(axis=1), 1, atol=1e-6)


def test_it_learns() -> None:
    keras.utils.set_random_seed(0)
    head, unseen, told = build_head(6, 3, hidden=8), features(100, 2), []
    train_head(head, features(300, 0), features(60, 1), progress=lambda done, planned, _: told.append((done, planned)))
    assert (predict(head, unseen.x).argmax(axis=1) == unseen.y).mean() > 0.97
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
