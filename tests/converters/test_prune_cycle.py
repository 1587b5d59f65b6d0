"""The cycle train – count – remove, and the removal of what others can replace."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.graph import trace
from edge_sdk_converters.prune import balance as balance_module
from edge_sdk_converters.prune import cycle, merge
from edge_sdk_converters.prune.balance import balance
from edge_sdk_converters.prune.channels import analyze
from edge_sdk_converters.prune.config import ActivationCycleConfig
from edge_sdk_converters.prune.cycle import prune_by_activation
from edge_sdk_converters.prune.merge import merge_units
from edge_sdk_converters.prune.rebuild import shrink
from tests.converters.helpers import assert_one_line, weights_kept
from tests.converters.networks import SIDE, call, images, random_network, randomize

properties = settings(max_examples=8, deadline=None, derandomize=True)
POINTS = np.random.default_rng(0).random((300, 3), np.float32)


def no_training(model: keras.Model) -> None:
    del model


def perceptron(hidden: int = 12, seed: int = 0) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(hidden, "relu", name="hidden"), layers.Dense(2, name="out")]
    )
    randomize(model, np.random.default_rng(seed))
    return model


def silence(model: keras.Model, units: list[int]) -> None:
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, units], bias[units] = -1.0, -1.0
    model.get_layer("hidden").set_weights([kernel, bias])


def width(result: cycle.CycleResult) -> int:
    return result.rounds[-1].layers[0].channels_after


def test_public_names() -> None:
    assert sorted(cycle.__all__) == ["CycleResult", "CycleRound", "prune_by_activation"]
    assert merge.__all__ == ["merge_units"] and balance_module.__all__ == ["balance"]


def test_what_is_never_active_goes_until_nothing_does() -> None:
    model = perceptron()
    kernel, bias = model.get_layer("hidden").get_weights()
    model.get_layer("hidden").set_weights([np.abs(kernel), np.abs(bias)])
    silence(model, [1, 7])
    losses = iter([3.0, 2.0])
    with weights_kept(model):
        result = prune_by_activation(model, lambda trained: next(losses), POINTS, ActivationCycleConfig())
    assert [each.removed for each in result.rounds] == [2, 0]
    assert [each.loss for each in result.rounds] == [3.0, 2.0] and result.loss == 2.0
    assert width(result) == 10
    np.testing.assert_allclose(call(result.model, POINTS), call(model, POINTS), atol=1e-6)


def test_a_threshold_takes_what_is_seldom_active() -> None:
    model = perceptron()
    kernel, bias = model.get_layer("hidden").get_weights()
    model.get_layer("hidden").set_weights([np.abs(kernel), np.abs(bias)])
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, 4], bias[4] = (1.0, 0.0, 0.0), -0.8  # active for a fifth of the points
    model.get_layer("hidden").set_weights([kernel, bias])
    assert width(prune_by_activation(model, no_training, POINTS, ActivationCycleConfig(threshold=0.1))) == 12
    assert width(prune_by_activation(model, no_training, POINTS, ActivationCycleConfig(threshold=0.3))) == 11


def test_outliers_are_those_two_deviations_below_their_layer() -> None:
    model = perceptron()
    model.get_layer("hidden").set_weights([np.full((3, 12), 1.0, np.float32), np.zeros(12, np.float32)])
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, 4] = 0.01
    model.get_layer("hidden").set_weights([kernel, bias])
    assert width(prune_by_activation(model, no_training, POINTS, ActivationCycleConfig())) == 12
    assert width(prune_by_activation(model, no_training, POINTS, ActivationCycleConfig(outliers=True))) == 11


def test_noise_is_seeded_and_followed_by_training() -> None:
    def run(seed: int) -> tuple[list[np.ndarray], int]:
        trainings: list[int] = []
        config = ActivationCycleConfig(distorted=True, rounds=1, seed=seed)
        result = prune_by_activation(perceptron(), lambda model: trainings.append(1), POINTS, config)  # type: ignore[arg-type,return-value,func-returns-value]
        return result.model.get_weights(), len(trainings)

    (one, trainings), (same, _), (other, _) = run(1), run(1), run(2)
    assert trainings == 2, "noise is never the last thing that happens"
    assert all(np.array_equal(first, second) for first, second in zip(one, same, strict=True))
    assert not np.array_equal(one[-2], other[-2]) or one[0].shape != other[0].shape


def test_the_l1_term_lasts_as_long_as_the_training() -> None:
    seen: list[float] = []

    def train(model: keras.Model) -> None:
        seen.append(float(sum(np.asarray(loss) for loss in model.losses)))

    config = ActivationCycleConfig(regularized=True, l1=0.5)
    model = perceptron()
    result = prune_by_activation(model, train, POINTS, config)
    assert seen[0] == pytest.approx(0.5 * sum(np.abs(weight).sum() for weight in model.get_weights()), rel=1e-5)
    assert result.model.losses == []


def test_every_layer_keeps_its_least_width() -> None:
    model = perceptron()
    silence(model, list(range(12)))
    config = ActivationCycleConfig(min_channels=3, skip=("out",))
    assert width(prune_by_activation(model, no_training, POINTS, config)) == 3


def test_patience_waits_for_several_rounds_without_a_removal() -> None:
    result = prune_by_activation(perceptron(), no_training, POINTS, ActivationCycleConfig(patience=3))
    assert [bool(each.removed) for each in result.rounds][-3:] == [False] * 3


def test_merged_units_are_replaced_by_the_others() -> None:
    model = perceptron(6)
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, 5], bias[5] = 2.5 * kernel[:, 0], 2.5 * bias[0]
    kernel[:, 3], bias[3] = 0.5 * kernel[:, 0], 0.5 * bias[0]
    model.get_layer("hidden").set_weights([kernel, bias])
    config = ActivationCycleConfig(merged=True, tolerance=1e-6)
    result = prune_by_activation(model, no_training, POINTS, config)
    assert width(result) <= 4
    np.testing.assert_allclose(call(result.model, POINTS), call(model, POINTS), atol=5e-3)


@properties
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([1e-4, 1e-2, 0.2]))
def test_a_merge_loses_no_more_than_its_tolerance(seed: int, tolerance: float) -> None:
    model = perceptron(10, seed)
    found = analyze(trace(model))
    expected = call(model, POINTS)
    removed = merge_units(found, POINTS, tolerance)
    lost = np.sum(np.mean((call(shrink(found, removed), POINTS) - expected) ** 2, axis=0))
    assert lost <= tolerance * np.sum(expected.var(axis=0)) * 1.01 + 1e-9


@pytest.mark.parametrize("seed", [1, 6])
def test_merges_in_networks_of_all_kinds_stay_near(seed: int) -> None:
    model, batch = random_network(seed), images(64)
    found = analyze(trace(model))
    expected = call(model, batch)
    removed = merge_units(found, batch, 1e-3, min_channels=2)
    change = call(shrink(found, removed), batch) - expected
    assert np.mean(change**2) < 0.2 * expected.var()


@pytest.mark.parametrize("reader", [layers.Conv2DTranspose(4, 3, strides=2), layers.Conv2D(4, 3, use_bias=False)])
def test_doubled_channels_merge_under_any_convolution(reader: keras.Layer) -> None:
    maker = layers.Conv2D(6, 1, activation="relu")
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), maker, reader, layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    randomize(model, np.random.default_rng(0))
    kernel, bias = maker.get_weights()
    maker.set_weights([kernel[..., [0, 1, 2, 0, 1, 2]], bias[[0, 1, 2, 0, 1, 2]]])
    found, batch = analyze(trace(model)), images(40).astype(np.float32) / 255
    expected = call(model, batch)
    removed = merge_units(found, batch, 1e-5)
    assert removed[:6].sum() >= 3
    np.testing.assert_allclose(call(shrink(found, removed), batch), expected, atol=0.05 * expected.std())


@pytest.mark.parametrize("seed", range(3))
def test_balance_changes_no_output(seed: int) -> None:
    model, batch = random_network(seed), images(8)
    found = analyze(trace(model))
    balance(found)
    balanced = shrink(found, np.zeros(found.count, np.bool_))
    np.testing.assert_allclose(call(balanced, batch), call(model, batch), atol=1e-5, rtol=1e-5)


def test_balance_weighs_both_sides_alike() -> None:
    model = perceptron()
    found = analyze(trace(model))
    balance(found)
    hidden, out = (call_.layer.get_weights() for call_ in found.graph.calls)
    made = np.sqrt(np.sum(hidden[0] ** 2, axis=0) + hidden[1] ** 2)
    np.testing.assert_allclose(made, np.linalg.norm(out[0], axis=1), rtol=1e-5)
    assert not np.allclose(model.get_layer("hidden").get_weights()[0], hidden[0])


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 1.0},
        {"l1": 0.0},
        {"tolerance": 0.0},
        {"rounds": 0},
        {"patience": 0},
        {"min_channels": 0},
        {"seed": -1},
        {"skip": "hidden"},
    ],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: ") as caught:
        ActivationCycleConfig(**values)  # type: ignore[arg-type]
    assert_one_line(caught.value)


@pytest.mark.parametrize(
    ("make", "x", "config", "error"),
    [
        (perceptron, POINTS[:, :2], ActivationCycleConfig(), ModelError),
        (perceptron, POINTS, ActivationCycleConfig(skip=("nowhere",)), RecipeError),
        (perceptron, POINTS, ActivationCycleConfig(skip=("hidden",)), ModelError),
    ],
    ids=["inputs", "unknown", "nothing"],
)
def test_what_cannot_run_is_refused_before_training(
    make: Callable[[], keras.Model], x: np.ndarray, config: ActivationCycleConfig, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        prune_by_activation(make(), lambda model: pytest.fail("trained"), x, config)
    assert_one_line(caught.value)
