"""The head learns classes from similarity features."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import head as module
from edge_sdk.learn.head import build_head, head_to_numpy, train_head
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples, predict
from edge_sdk_runtime.mlp_training import train_mlp
from tests.converters.helpers import assert_one_line, run_tflite
from tests.converters.networks import call


def features(count: int, seed: int) -> Examples:
    """Similarities to two prototypes of each of three classes; classes 0 and 1 are told apart by their second ones alone."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    likeness = np.array([[0.8, 0.8, 0.8, 0.2, 0, 0], [0.8, 0.2, 0.8, 0.8, 0, 0], [0, 0, 0, 0, 0.9, 0.9]])
    return Examples((likeness[y] + 0.05 * rng.normal(size=(count, 6))).astype(np.float32), y)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["build_head", "head_to_numpy", "train_head"]


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


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 40),
    classes=st.integers(2, 12),
    scale=st.sampled_from([1e-2, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
def test_numpy_gives_the_probabilities_of_keras(
    inputs: int, hidden: int, classes: int, scale: float, seed: int
) -> None:
    keras.utils.set_random_seed(seed)
    head = build_head(inputs, classes, hidden=hidden)
    x = scale * np.random.default_rng(seed).normal(size=(7, inputs)).astype(np.float32)
    converted = head_to_numpy(head)
    assert (converted.inputs, converted.outputs) == (inputs, classes)
    np.testing.assert_allclose(converted(x), call(head, x), rtol=0, atol=1e-5)


def test_a_head_learnt_in_numpy_is_one_for_keras_and_tflite() -> None:
    """What a device has learnt can go back to the workstation, and both say the same."""
    train, unseen = features(300, 0), features(20, 2)
    learnt = train_mlp(train.x, train.y, 3)
    head = build_head(6, 3)
    pairs = zip(learnt.kernels, learnt.biases, strict=True)
    head.set_weights([array for pair in pairs for array in pair])
    scores = learnt(unseen.x)
    assert (scores.argmax(axis=1) == unseen.y).mean() > 0.9
    np.testing.assert_allclose(call(head, unseen.x), scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(run_tflite(export_tflite(head), unseen.x), scores, rtol=0, atol=1e-5)


def test_other_heads_have_no_form_in_numpy() -> None:
    similarities = keras.Input((4,))
    head = keras.Model(similarities, keras.layers.Dense(3, activation="sigmoid")(similarities), name="odd")
    with pytest.raises(
        DataError, match=r"NumPy head must be Dense layers.*Received: 'odd' of InputLayer, Dense"
    ) as caught:
        head_to_numpy(head)
    assert_one_line(caught.value)
