"""Two phases: who is shown when, by steps or by the clock, under one schedule, and which weights are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk.errors import DataError
from edge_sdk.learn import two_phase as module
from edge_sdk.learn.two_phase import History, Look, TwoPhase, constant, cosine, two_phase
from edge_sdk_converters.training import Examples
from tests.converters.networks import call

RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 3, 90).astype(np.int64)
POINTS = (RNG.normal(size=(3, 4))[TARGETS] * 3 + RNG.normal(size=(90, 4))).astype(np.float32)
TRAIN, VALIDATION = Examples(POINTS[:60], TARGETS[:60]), Examples(POINTS[60:], TARGETS[60:])
SUBSET = np.arange(0, 60, 6)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])


def fitted(config: TwoPhase, **options: object) -> tuple[keras.Model, History]:
    model = network()
    return model, two_phase(model, TRAIN, SUBSET, config, **options)  # type: ignore[arg-type]


def recorder(shown: list[np.ndarray]) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """An augmentation that writes down which samples it is given."""

    def change(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shown.append(np.flatnonzero((POINTS[None] == x[:, None]).all(axis=2).any(axis=0)))
        return x

    return change


def ticking(seconds: float = 1.0) -> Callable[[], float]:
    """A clock that is asked once a step and goes on by so much every time."""
    times: Iterator[float] = iter(np.arange(0, 10_000, seconds).tolist())
    return lambda: next(times)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["FirstPhase", "History", "Look", "TwoPhase", "constant", "cosine", "two_phase"]


@pytest.mark.parametrize(("share", "first"), [(0.0, 0), (0.25, 3)])
def test_the_subset_gets_its_share_of_the_steps(share: float, first: int) -> None:
    shown: list[np.ndarray] = []
    _, history = fitted(TwoPhase(steps=10, first_share=share, batch_size=8), augment=recorder(shown))
    assert (history.first_steps, history.second_steps) == (first, 10 - first)
    for rows in shown[:first]:
        assert set(rows.tolist()) <= set(SUBSET.tolist())
    if first < 10:
        assert len(np.unique(np.concatenate(shown[first:]))) > 30


def test_each_pass_shows_every_sample_once() -> None:
    shown: list[np.ndarray] = []
    fitted(TwoPhase(steps=8, first_share=0.25, batch_size=10), augment=recorder(shown))
    assert [len(rows) for rows in shown] == [10] * 8
    assert shown[0].tolist() == shown[1].tolist() == SUBSET.tolist()
    np.testing.assert_array_equal(np.sort(np.concatenate(shown[2:])), np.arange(60))


@pytest.mark.parametrize(
    ("plan", "first", "steps"),
    [
        (TwoPhase(seconds=12, first_share=0.5), 6, 12),
        (TwoPhase(seconds=12, first_seconds=3), 3, 12),
        (TwoPhase(seconds=12, first_steps=4), 4, 12),
        (TwoPhase(steps=12, first_seconds=5), 5, 12),
        (TwoPhase(steps=12, first_steps=2), 2, 12),
        (TwoPhase(steps=12, first_share=0.25), 3, 12),
        (TwoPhase(steps=12, first_share=0), 0, 12),
        (TwoPhase(steps=12, first_share=1), 12, 12),
    ],
)
def test_both_phases_may_last_steps_or_seconds(plan: TwoPhase, first: int, steps: int) -> None:
    """As a training of one step a second asks it."""
    running = [step for step in range(20) if plan.done(step, float(step)) < 1]
    assert running == list(range(steps))
    assert [step for step in running if plan.in_first(step, float(step))] == list(range(first))


def test_the_clock_ends_both_phases() -> None:
    _, history = fitted(TwoPhase(seconds=12, first_seconds=3, look_every=99), clock=ticking())
    assert (history.first_steps, history.second_steps) == (2, 9)  # it is asked once before the first step
    assert history.looks[-1].phase == 2 and history.seconds > 12


def test_the_learning_rate_follows_one_schedule_whatever_the_phases_are() -> None:
    rates: list[list[float]] = []
    for share in (0.0, 0.5):
        optimizer, seen = keras.optimizers.SGD(0.4), list[float]()

        def note(
            x: np.ndarray, rng: np.random.Generator, seen: list[float] = seen, of: object = optimizer
        ) -> np.ndarray:
            seen.append(float(of.learning_rate))  # type: ignore[attr-defined]
            return x

        fitted(TwoPhase(steps=10, first_share=share), optimizer=optimizer, augment=note)
        rates.append(seen)
        assert float(optimizer.learning_rate) == pytest.approx(0.4)
    assert rates[0] == rates[1]
    np.testing.assert_allclose(rates[0], [0.4 * cosine(step / 10) for step in range(10)], rtol=1e-6)


def test_schedules_begin_and_end_where_they_should() -> None:
    assert 0 < cosine(0) < 0.1 and cosine(0.05) > 0.95 and cosine(1) == pytest.approx(0, abs=1e-9)
    assert constant(0) == constant(1) == 1


def test_it_learns_and_the_same_seed_gives_the_same_weights() -> None:
    config = TwoPhase(steps=40, batch_size=16, look_every=20)
    runs = [fitted(config, optimizer=keras.optimizers.SGD(0.3), validation=VALIDATION) for _ in range(2)]
    assert all(map(np.array_equal, *(model.get_weights() for model, _ in runs)))
    assert (call(runs[0][0], VALIDATION.x).argmax(axis=1) == VALIDATION.y).mean() > 0.8


def test_the_weights_of_the_best_look_are_kept_and_the_last_ones_without_validation_images() -> None:
    told: list[Look] = []
    model, history = fitted(
        TwoPhase(steps=12, batch_size=16, look_every=2),
        optimizer=keras.optimizers.SGD(0.5),
        schedule=lambda done: 1.0 if done < 0.5 else -1.0,  # it unlearns in the second half
        validation=VALIDATION,
        progress=told.append,
    )
    losses = [look.figures["val_loss"] for look in history.looks]
    best = int(np.argmin(losses))
    assert tuple(told) == history.looks and history.kept_step == history.looks[best].step == 2 * best + 2
    assert losses[best] < max(losses) and best < len(losses) - 1
    scores = call(model, VALIDATION.x)[np.arange(30), VALIDATION.y]
    assert -np.log(np.maximum(scores, 1e-7)).mean() == pytest.approx(losses[best], rel=1e-3)
    assert fitted(TwoPhase(steps=3))[1].kept_step == 3


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": 3, "seconds": 3.0},
        {"steps": 0},
        {"seconds": float("nan")},
        {"steps": 3, "first_steps": 1, "first_seconds": 1.0},
        {"steps": 3, "first_share": 1.1},
        {"steps": 3, "first_seconds": -1.0},
        {"steps": 3, "batch_size": 0},
        {"steps": 3, "look_every": 0},
    ],
)
def test_plans_that_cannot_be_followed_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"Received: .*[.]"):
        TwoPhase(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("subset", [[], [60], [-1], [0.5]])
def test_a_subset_of_other_samples_is_refused(subset: list[float]) -> None:
    with pytest.raises(DataError, match="indices of the 60 training samples"):
        two_phase(network(), TRAIN, np.array(subset), TwoPhase(steps=1))  # type: ignore[arg-type]


def test_a_loss_that_explodes_is_told_and_not_kept() -> None:
    with pytest.raises(DataError, match="Lower the optimizer's learning rate"):
        fitted(
            TwoPhase(steps=2),
            loss=keras.losses.MeanSquaredError(),
            targets=lambda x, y: np.full((len(x), 3), np.inf, np.float32),
        )


def test_an_optimizer_with_a_schedule_of_its_own_is_refused() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(DataError, match="plain learning rate"):
        fitted(TwoPhase(steps=1), optimizer=keras.optimizers.SGD(schedule))
