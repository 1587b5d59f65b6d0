"""Recovery: the loss is what its definition says, and the student comes closer to its teacher."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.prune.apply import prune
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.recover import apply, config
from edge_sdk_converters.recover.apply import distillation_loss, recover
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.training import predict
from tests.converters.helpers import plain_network, weights_kept


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def loss_of(weight: float, temperature: float, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    loss = distillation_loss(weight, temperature)(targets.astype(np.float32), probabilities.astype(np.float32))
    return np.asarray(keras.ops.convert_to_numpy(loss))


def test_public_names() -> None:
    assert sorted(apply.__all__) == ["distillation_loss", "recover"]
    assert config.__all__ == ["RecoverConfig"]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), classes=st.integers(2, 6), weight=st.floats(0, 1), temperature=st.floats(0.5, 8))
def test_the_loss_is_hintons(seed: int, classes: int, weight: float, temperature: float) -> None:
    """(1 - w) · H(labels, student) + w · T² · H(softmax(teacher / T), softmax(student / T)), on logits."""
    rng = np.random.default_rng(seed)
    student, teacher = rng.normal(size=(2, 5, classes)) * 2
    labels = np.eye(classes)[rng.integers(0, classes, 5)]
    hard = -(labels * np.log(softmax(student))).sum(axis=1)
    soft = -(softmax(teacher / temperature) * np.log(softmax(student / temperature))).sum(axis=1)
    expected = (1 - weight) * hard + weight * temperature**2 * soft
    received = loss_of(weight, temperature, np.concatenate([labels, softmax(teacher)], axis=1), softmax(student))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_by_hand() -> None:
    targets, student = np.array([[1, 0, 0.8, 0.2]]), np.array([[0.5, 0.5]])
    np.testing.assert_allclose(loss_of(0.0, 2.0, targets, student), [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(loss_of(1.0, 2.0, targets, student), [4 * np.log(2)], rtol=1e-6)
    # Odds of 4 to 1 soften to 2 to 1 at T = 2, odds of 9 to 1 to 3 to 1.
    sure = np.array([[0.9, 0.1]])
    by_hand = -(2 / 3 * np.log(0.75) + 1 / 3 * np.log(0.25))
    np.testing.assert_allclose(loss_of(1.0, 2.0, targets, sure), [4 * by_hand], rtol=1e-5)


def test_the_loss_of_an_impossible_answer_is_finite() -> None:
    assert np.isfinite(loss_of(0.5, 2.0, np.array([[1, 0, 1, 0]]), np.array([[0.0, 1.0]]))).all()


def test_a_student_comes_closer_to_its_teacher(classifier: keras.Model, data: LearningData) -> None:
    student = prune(classifier, PruneConfig(fraction=0.4)).model
    expected = predict(classifier, data.validation.x)

    def distance() -> float:
        return float(np.abs(predict(student, data.validation.x) - expected).mean())

    before, told = distance(), []
    with weights_kept(classifier):
        recover(
            student,
            classifier,
            data.train,
            data.validation,
            RecoverConfig(epochs=4, min_steps=0, distillation=1.0),
            progress=lambda done, planned, figures: told.append((done, planned)),
        )
    assert distance() < 0.8 * before
    assert told == [(done, 4) for done in range(1, 5)]


def test_the_same_seed_recovers_the_same_weights(classifier: keras.Model, data: LearningData) -> None:
    students = [plain_network(classes=10, side=8, channels=1) for _ in range(2)]
    for student in students:
        recover(student, classifier, data.train, data.validation, RecoverConfig(1, min_steps=0), seed=1)
    assert all(map(np.array_equal, *(student.get_weights() for student in students)))


def test_it_stops_when_validation_gets_no_better_and_gives_the_best_weights_back(
    classifier: keras.Model, data: LearningData
) -> None:
    """Steps this long overshoot; what is left is the epoch whose loss was the lowest that was told."""
    losses: list[float] = []
    student = plain_network(classes=10, side=8, channels=1)
    settings = RecoverConfig(30, min_steps=0, learning_rate=0.3, distillation=0.5, patience=2)
    recover(
        student,
        classifier,
        data.train,
        data.validation,
        settings,
        progress=lambda done, planned, figures: losses.append(figures["val_loss"]),
    )
    assert len(losses) == int(np.argmin(losses)) + 1 + 2 < 30
    sides = np.eye(10)[data.validation.y], predict(classifier, data.validation.x)
    final = loss_of(0.5, 2.0, np.concatenate(sides, axis=1), predict(student, data.validation.x)).mean()
    assert final == pytest.approx(min(losses), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("batch_size", 0), ("patience", -1), ("min_steps", -1), ("distillation", 1.1)],
)
def test_bad_values_are_refused(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"{name}.*Received: "):
        RecoverConfig(**{name: value})


@pytest.mark.parametrize("name", ["temperature", "learning_rate"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_temperatures_and_rates_are_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"{name}.*Received: "):
        RecoverConfig(**{name: value})
