"""The encoder learns to bring the images of a class together."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import similarity_encoder as module
from edge_sdk.learn.prototypes import build_prototypes
from edge_sdk.learn.similarity_encoder import CosineMargin, cosine_margin_loss, train_encoder
from edge_sdk.learn.train import Trained, examples
from edge_sdk_converters.training import FitConfig, predict


def loss_of(scale: float, margin: float, indices: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(cosine_margin_loss(scale, margin)(indices, cosines)))


def test_public_names() -> None:
    assert sorted(module.__all__) == ["CosineMargin", "cosine_margin_loss", "train_encoder"]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(1, 30), margin=st.floats(0, 0.5), column=st.booleans())
def test_the_loss_is_cosface(seed: int, scale: float, margin: float, column: bool) -> None:
    """-log(e^(s(c_y - m)) / (e^(s(c_y - m)) + Σ e^(s c_j))), equation 4 of the paper."""
    rng = np.random.default_rng(seed)
    cosines, indices = rng.uniform(-1, 1, (5, 3)), rng.integers(0, 3, 5)
    expected = []
    for row, target in zip(cosines, indices, strict=True):
        own = np.exp(scale * (row[target] - margin))
        others = np.exp(scale * np.delete(row, target)).sum()
        expected.append(-np.log(own / (own + others)))
    received = loss_of(scale, margin, indices[:, None] if column else indices, cosines.astype(np.float32))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-5)


def test_smoothing_gives_every_class_its_share() -> None:
    cosines = np.array([[0.5, -0.25, 0.25]], np.float32)
    each = [loss_of(4, 0, np.array([index]), cosines)[0] for index in range(3)]
    smoothed = np.asarray(keras.ops.convert_to_numpy(cosine_margin_loss(4, 0, 0.3)(np.array([0]), cosines)))
    assert smoothed[0] == pytest.approx(0.7 * each[0] + 0.1 * sum(each), rel=1e-5)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_impossible_smoothing_is_refused(smoothing: float) -> None:
    with pytest.raises(DataError, match=r"smoothing must be 0 to below 1.*Try 0\.1"):
        CosineMargin(smoothing=smoothing)


def test_the_margin_makes_a_right_answer_cost_more() -> None:
    cosines = np.array([[0.9, 0.1]], np.float32)
    assert loss_of(16, 0.2, np.array([0]), cosines) > loss_of(16, 0.0, np.array([0]), cosines)


def test_training_separates_classes(trained: Trained) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), dtype="uint8")
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    encoder = keras.Model(image, keras.layers.Dense(8)(hidden))

    def nearest_prototype_accuracy() -> float:
        prototypes = build_prototypes(predict(encoder, trained.train.x), trained.train.y).vectors
        directions = prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
        nearest = (predict(encoder, trained.validation.x) @ directions.T).argmax(axis=1)
        return float((nearest == trained.validation.y).mean())

    before = nearest_prototype_accuracy()
    train_encoder(encoder, examples(trained.train), examples(trained.validation), 10, FitConfig(6, 1e-2))
    assert nearest_prototype_accuracy() > before + 0.1


def test_the_loss_by_hand() -> None:
    assert loss_of(2.0, 0.5, np.array([1]), np.array([[0.5, 1.0]], np.float32)) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("scale", "margin"), [(0.0, 0.2), (float("inf"), 0.2), (float("nan"), 0.2), (16.0, -0.1), (16.0, 1.1)]
)
def test_impossible_margins_are_refused(scale: float, margin: float) -> None:
    with pytest.raises(DataError, match=r"Try 16 and 0\.2"):
        CosineMargin(scale, margin)
