"""The training loop: the same numbers for the same seed, the best weights kept, batches changed as asked."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import training as module
from edge_sdk_converters.training import Examples, FitConfig, fit, predict
from tests.converters.networks import call

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 4)).astype(np.float32)
TARGETS = RNG.integers(0, 3, 150).astype(np.int64)
POINTS = (CENTRES[TARGETS] + 0.5 * RNG.normal(size=(150, 4))).astype(np.float32)
TRAIN, VALIDATION = Examples(POINTS[:100], TARGETS[:100]), Examples(POINTS[100:], TARGETS[100:])


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )


def fitted(config: FitConfig, **options: object) -> keras.Model:
    model = network()
    fit(model, TRAIN, VALIDATION, config, **options)
    return model


def validation_loss(model: keras.Model) -> float:
    scores = call(model, VALIDATION.x)[np.arange(len(VALIDATION.y)), VALIDATION.y]
    return float(-np.log(scores).mean())


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Augment", "Examples", "FitConfig", "Progress", "fit", "predict"]


def jitter(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + 0.1 * rng.normal(size=x.shape).astype(x.dtype)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, again, other = (fitted(FitConfig(2, batch_size=16, seed=seed), augment=jitter) for seed in (7, 7, 8))
    assert same_weights(one, again)
    assert not same_weights(one, other)


def test_it_learns() -> None:
    model = fitted(FitConfig(6, 1e-2, batch_size=16))
    assert (predict(model, VALIDATION.x).argmax(axis=1) == VALIDATION.y).mean() > 0.8


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    """Steps this long overshoot, so the last epoch is not the best one."""
    losses: list[float] = []
    model = fitted(
        FitConfig(12, 0.5, batch_size=16), progress=lambda done, planned, figures: losses.append(figures["val_loss"])
    )
    assert losses[-1] > min(losses)
    assert validation_loss(model) == pytest.approx(min(losses), rel=1e-4)


def test_patience_stops_after_that_many_epochs_without_a_better_loss() -> None:
    losses: list[float] = []
    model = fitted(
        FitConfig(40, 0.5, batch_size=16, patience=3),
        progress=lambda done, planned, figures: losses.append(figures["val_loss"]),
    )
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 40
    assert validation_loss(model) == pytest.approx(losses[best], rel=1e-4)


def test_no_epoch_before_the_first_candidate_is_kept_and_patience_counts_from_there() -> None:
    """Steps this long make every epoch worse than the first; weights of the epochs are told apart by their loss."""
    losses: list[float] = []
    config = FitConfig(20, 0.5, batch_size=16, patience=2, keep_from=4)
    model = fitted(config, progress=lambda done, planned, figures: losses.append(figures["val_loss"]))
    best = 4 + int(np.argmin(losses[4:]))
    assert min(losses[:4]) < losses[best]
    assert len(losses) == best + 1 + 2
    assert validation_loss(model) == pytest.approx(losses[best], rel=1e-4)


def test_callbacks_change_an_epoch_before_its_weights_are_kept() -> None:
    class Mark(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            first = self.model.layers[0]
            first.set_weights([np.full_like(value, epoch) for value in first.get_weights()])

    model = fitted(FitConfig(3, keep_from=2), callbacks=[Mark()])
    assert all((value == 2).all() for value in model.layers[0].get_weights())


def test_progress_counts_epochs() -> None:
    told: list[tuple[int, int]] = []
    fitted(FitConfig(3), progress=lambda done, planned, figures: told.append((done, planned)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_every_batch_has_its_own_randomness_that_depends_on_the_seed_alone() -> None:
    def recorded(seed: int) -> dict[bytes, float]:
        draws: dict[bytes, float] = {}

        def record(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            draw = float(rng.random())
            assert draws.setdefault(x.tobytes(), draw) == draw
            return x

        fitted(FitConfig(2, batch_size=4, seed=seed), augment=record)
        return draws

    draws = recorded(5)
    assert recorded(5) == draws
    # Two epochs of 100 points; Keras looks at a few more batches than it learns from.
    assert len(draws) == len(set(draws.values())) >= 2 * 25
    assert set(draws.values()).isdisjoint(recorded(6).values())


def test_augmentation_changes_training_batches_only() -> None:
    seen: list[np.ndarray] = []

    def spoil(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append(x)
        return np.zeros_like(x)

    model = fitted(FitConfig(2, 1e-2, batch_size=4), augment=spoil)
    assert {len(x) for x in seen} == {4}
    known = {row.tobytes() for row in TRAIN.x}
    assert all(row.tobytes() in known for x in seen for row in x)
    first, *_ = model.layers
    np.testing.assert_array_equal(first.get_weights()[0], network().layers[0].get_weights()[0])  # no input, no gradient


def test_few_examples_are_shown_several_times_an_epoch() -> None:
    counts: list[int] = []

    def count(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts.append(len(x))
        return x

    fitted(FitConfig(1, batch_size=50), augment=count)
    assert sum(counts) >= 20 * 50


def test_targets_are_made_of_the_changed_batch() -> None:
    sums: list[float] = []

    def targets(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        sums.append(float(x.sum()))
        return np.eye(3, dtype=np.float32)[y]

    loss = keras.losses.CategoricalCrossentropy()
    fitted(FitConfig(1), loss=loss, targets=targets, augment=lambda x, rng: np.zeros_like(x))
    validation = float(VALIDATION.x.sum())
    assert set(sums) == {0.0, validation}


def test_targets_of_unchanged_batches_are_made_once() -> None:
    asked: list[np.ndarray] = []

    def targets(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        asked.append(x)
        return np.eye(3, dtype=np.float32)[y]

    once = fitted(FitConfig(3, seed=2), loss=keras.losses.CategoricalCrossentropy(), targets=targets)
    assert sum(map(len, asked)) == len(TRAIN.x) + len(VALIDATION.x)
    for one, other in zip(once.get_weights(), fitted(FitConfig(3, seed=2)).get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)  # each row met its own target


def test_predict_gives_what_the_model_does_in_batches_of_any_size() -> None:
    model = network()
    np.testing.assert_allclose(predict(model, POINTS, batch_size=7), call(model, POINTS), atol=1e-6)


def test_predict_is_quiet_however_often_it_is_called(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """TensorFlow takes many models in a row for one that is traced again and again, and says so at length."""
    capfd.readouterr()
    for _ in range(8):
        predict(network(), POINTS)
    out, err = capfd.readouterr()
    own = [line for line in err.splitlines() if line[1:12] != "0000 00:00:"]  # what C++ says has nothing to do with us
    assert (out, own) == ("", [])
    assert caplog.messages == []


def test_fit_is_quiet_whatever_its_targets_ask(caplog: pytest.LogCaptureFixture) -> None:
    """Targets that are made once, before training, may come from a model that TensorFlow has not traced yet."""
    examples = Examples(POINTS[:8], np.zeros(8, np.int64))
    for _ in range(8):
        teacher = network()
        fit(
            network(),
            examples,
            examples,
            FitConfig(1),
            loss="categorical_crossentropy",
            targets=lambda x, y, model=teacher: np.asarray(model.predict_on_batch(x)),
        )
    assert caplog.messages == []


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_weight_decay_shrinks_kernels_and_leaves_biases(momentum: float | None) -> None:
    def nothing(_: object, scores: keras.KerasTensor) -> keras.KerasTensor:
        return 0.0 * keras.ops.sum(scores, axis=-1)

    model = network()
    for layer in model.layers:
        layer.bias.assign(np.full(layer.bias.shape, 0.5, np.float32))
    before = model.get_weights()
    fit(model, TRAIN, VALIDATION, FitConfig(1, 0.1, 16, weight_decay=0.1, momentum=momentum), loss=nothing)
    shrunk = [new / old for old, new in zip(before, model.get_weights(), strict=True)]
    for kernel, bias in zip(shrunk[::2], shrunk[1::2], strict=True):
        np.testing.assert_allclose(kernel, kernel.flat[0], rtol=1e-5)  # all by the same share
        assert 0.5 < kernel.flat[0] < 1
        np.testing.assert_array_equal(bias, 1)


def test_momentum_takes_steps_in_proportion_to_the_gradient() -> None:
    def moved(factor: float) -> float:
        def slope(_: object, scores: keras.KerasTensor) -> keras.KerasTensor:
            return factor * keras.ops.log(scores)[:, 0]

        model = network()
        before = model.get_weights()
        fit(model, TRAIN, VALIDATION, FitConfig(1, 1e-4, 16, momentum=0.9), loss=slope)
        return float(np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(model.get_weights(), before, strict=True))))

    assert moved(2.0) == pytest.approx(2 * moved(1.0), rel=0.05)  # Adam's steps would be the same
