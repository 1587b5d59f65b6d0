from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import MlpHead, UsageError
from edge_sdk_runtime import mlp_training as module
from edge_sdk_runtime.mlp_training import MlpTraining, balanced_weights, loss_and_gradients, train_mlp
from tests.runtime.test_mlp import random_head

SHORT = MlpTraining(hidden=(8,), epochs=15, batch=16)


def examples(counts: tuple[int, ...], seed: int = 0, width: int = 6, noise: float = 0.01) -> Any:
    """Similarities between 0.8 and 1 that hang together with the class, and class indices, shuffled."""
    rng = np.random.default_rng(seed)
    centres = 0.9 + 0.05 * np.random.default_rng(7).normal(size=(len(counts), width))
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (centres[y] + noise * rng.normal(size=(len(y), width))).astype(np.float32), y


def same(one: MlpHead, other: MlpHead) -> bool:
    arrays = zip((*one.kernels, *one.biases), (*other.kernels, *other.biases), strict=True)
    return all(map(np.array_equal, *zip(*arrays, strict=True)))


def accuracy(head: MlpHead, x: np.ndarray, y: np.ndarray) -> float:
    return float((head(x).argmax(axis=1) == y).mean())


def test_public_names() -> None:
    assert sorted(module.__all__) == ["MlpTraining", "Progress", "balanced_weights", "loss_and_gradients", "train_mlp"]


@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)])
def test_it_learns_classes_it_was_not_shown(hidden: tuple[int, ...]) -> None:
    config = MlpTraining(hidden=hidden, epochs=30)
    head = train_mlp(*examples((40, 40, 40)), 3, config)
    assert [kernel.shape[1] for kernel in head.kernels] == [*hidden, 3]
    assert all(array.dtype == np.float32 for array in (*head.kernels, *head.biases))
    assert accuracy(head, *examples((50, 50, 50), seed=1)) > 0.97


def test_it_forgets_nothing_of_what_it_returns() -> None:
    """The head is a plain one: it holds arrays of its own and can be stored."""
    head = train_mlp(*examples((10, 10)), 2, SHORT)
    x, _ = examples((5, 5), seed=2)
    np.testing.assert_array_equal(MlpHead.from_bytes(head.to_bytes())(x), head(x))


def test_the_same_seed_gives_the_same_head() -> None:
    x, y = examples((20, 20))
    copies = x.copy(), y.copy()
    one = train_mlp(x, y, 2, SHORT)
    assert same(one, train_mlp(x, y, 2, SHORT))
    assert not same(one, train_mlp(x, y, 2, MlpTraining(hidden=(8,), epochs=15, batch=16, seed=1)))
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64])
def test_other_kinds_of_numbers_are_converted(dtype: Any) -> None:
    x, y = examples((20, 20))
    x = np.round(100 * x).astype(dtype)
    head = train_mlp(x, y.astype(np.uint8), 2, SHORT)
    assert same(head, train_mlp(x.astype(np.float32), y, 2, SHORT))
    assert head(x.astype(np.float32)).dtype == np.float32


@settings(max_examples=40, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    classes=st.integers(2, 4),
    count=st.integers(1, 7),
    weighted=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 999),
)
def test_gradients_are_those_of_the_loss(
    widths: list[int], classes: int, count: int, weighted: bool, weight_decay: float, seed: int
) -> None:
    """Against differences of the loss in double precision, along random directions."""
    rng = np.random.default_rng(seed)
    float32 = random_head([*widths, classes], seed)
    head = MlpHead(
        tuple(each.astype(np.float64) for each in float32.kernels),
        tuple(each.astype(np.float64) for each in float32.biases),
    )
    x, y = rng.normal(size=(count, widths[0])), rng.integers(0, classes, count)
    weights = rng.uniform(0, 3, count) if weighted else None

    def loss_at(direction: list[np.ndarray], step: float) -> float:
        moved = [array + step * each for array, each in zip((*head.kernels, *head.biases), direction, strict=True)]
        layers = len(head.kernels)
        other = MlpHead(tuple(moved[:layers]), tuple(moved[layers:]))
        return loss_and_gradients(other, x, y, weights, weight_decay)[0]

    _, by_kernels, by_biases = loss_and_gradients(head, x, y, weights, weight_decay)
    gradients = [*by_kernels, *by_biases]
    assert [each.shape for each in gradients] == [each.shape for each in (*head.kernels, *head.biases)]
    assert all(each.dtype == np.float64 for each in gradients)
    hidden = x
    for kernel, bias in zip(head.kernels[:-1], head.biases[:-1], strict=True):
        hidden = hidden @ kernel + bias
        assume(np.abs(hidden).min() > 1e-3)  # at the kink of a ReLU there is no gradient to compare with
        hidden = np.maximum(hidden, 0)
    for direction in ([rng.normal(size=each.shape) for each in gradients] for _ in range(3)):
        slope = sum(float((gradient * each).sum()) for gradient, each in zip(gradients, direction, strict=True))
        measured = (loss_at(direction, 1e-6) - loss_at(direction, -1e-6)) / 2e-6
        assert measured == pytest.approx(slope, abs=2e-5 * (1 + abs(slope)))


def test_the_loss_is_the_mean_cross_entropy() -> None:
    head, (x, y) = random_head([6, 4, 3]), examples((5, 5, 5))
    loss, kernels, _ = loss_and_gradients(head, x, y)
    likelihoods = head(x)[np.arange(len(y)), y].astype(np.float64)
    assert loss == pytest.approx(-np.log(likelihoods).mean(), rel=1e-5)
    assert all(gradient.dtype == np.float32 for gradient in kernels)
    doubled, _, _ = loss_and_gradients(head, x, y, np.full(len(y), 2.0, np.float32))
    assert doubled == pytest.approx(2 * loss, rel=1e-5)


def test_scores_too_large_for_an_exponential_still_have_a_loss() -> None:
    head = MlpHead((np.array([[1000, -1000]], np.float32),), (np.zeros(2, np.float32),))
    loss, (kernel,), _ = loss_and_gradients(head, np.ones((1, 1), np.float32), np.array([1]))
    assert loss == pytest.approx(2000)
    np.testing.assert_allclose(kernel, [[1, -1]], atol=1e-6)


def test_features_that_hardly_differ_are_learnt_all_the_same() -> None:
    """As similarities do: here 0.95 ± 0.001, which plain gradient descent would take thousands of steps for."""
    x, y = examples((40, 40))
    near = np.float32(0.95) + (x - x.mean()) * np.float32(0.02)
    assert near.std() < 0.002
    assert accuracy(train_mlp(near, y, 2), near, y) > 0.97


def test_scores_do_not_hang_on_the_last_digits_of_a_feature() -> None:
    """An encoder that gives nearly the same for every image leaves similarities of 1 ± 2e-6, half of which is rounding."""
    x, y = examples((40, 40))
    x[:, 2] = 1 + 2e-6 * np.where(y, 1, -1)
    head = train_mlp(x, y, 2)
    rounded = x.copy()
    rounded[:, 2] += np.float32(1e-6)
    np.testing.assert_allclose(head(rounded), head(x), atol=1e-3)


def test_nothing_is_concluded_from_a_feature_that_never_differs() -> None:
    x, y = examples((30, 30))
    x[:, 2] = 0.1
    head = train_mlp(x, y, 2, SHORT)
    assert not head.kernels[0][2].any()
    changed = x.copy()
    changed[:, 2] = 5
    np.testing.assert_array_equal(head(changed), head(x))


def test_classes_without_examples_become_improbable() -> None:
    x, y = examples((30, 30))
    head = train_mlp(x, y + 1, 4)
    assert head.outputs == 4
    assert head(x)[:, [0, 3]].max() < 0.1


def test_balanced_weights_count_classes_alike() -> None:
    weights = balanced_weights(np.array([0, 0, 0, 2]), 4)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [2 / 3, 0, 2, 0])
    assert weights[[0, 0, 0, 2]].mean() == pytest.approx(1)


def test_class_weights_help_a_rare_class() -> None:
    x, y = examples((300, 6), noise=0.08)
    unseen = examples((100, 100), seed=1, noise=0.08)
    plain, balanced = (train_mlp(x, y, 2, SHORT, class_weights=weights) for weights in (None, balanced_weights(y, 2)))
    rare = unseen[1] == 1
    recalls = [accuracy(head, unseen[0][rare], unseen[1][rare]) for head in (plain, balanced)]
    assert recalls[1] > recalls[0]


def test_a_class_of_no_weight_is_not_learnt() -> None:
    x, y = examples((30, 30, 30))
    weights = np.array([1, 1, 0], np.float32)
    head = train_mlp(x, y, 3, SHORT, class_weights=weights)
    assert accuracy(head, x[y < 2], y[y < 2]) > accuracy(head, x[y == 2], y[y == 2])


def test_the_validation_examples_decide_which_weights_are_kept() -> None:
    """Labels turned round make the earliest weights the best ones, and patience ends the training there."""
    x, y = examples((40, 40))
    long, patient = MlpTraining(epochs=40, patience=0), MlpTraining(epochs=40, patience=3)
    kept = train_mlp(x, y, 2, patient, validation=(x, 1 - y))
    assert same(kept, train_mlp(x, y, 2, long, validation=(x, 1 - y)))
    assert loss_and_gradients(kept, x, 1 - y)[0] < loss_and_gradients(train_mlp(x, y, 2, long), x, 1 - y)[0]


def test_more_epochs_never_leave_a_higher_loss() -> None:
    x, y = examples((40, 40), noise=0.1)
    steep = {"learning_rate": 0.5, "patience": 0, "hidden": (8,)}
    losses = [loss_and_gradients(train_mlp(x, y, 2, MlpTraining(epochs=n, **steep)), x, y)[0] for n in (1, 30)]  # type: ignore[arg-type]
    assert losses[1] < losses[0]


def test_weight_decay_makes_kernels_smaller() -> None:
    x, y = examples((40, 40))
    sizes = [
        np.square(train_mlp(x, y, 2, MlpTraining(hidden=(8,), weight_decay=decay)).kernels[1]).sum()
        for decay in (0.0, 5.0)
    ]
    assert sizes[1] < 0.5 * sizes[0]


def test_progress_is_told_after_every_epoch() -> None:
    x, y = examples((20, 20))
    told: list[tuple[int, int, float]] = []
    head = train_mlp(x, y, 2, SHORT, progress=lambda *each: told.append(each))
    assert [(done, planned) for done, planned, _ in told] == [(epoch, 15) for epoch in range(1, 16)]
    assert min(loss for _, _, loss in told) == pytest.approx(loss_and_gradients(head, x, y)[0], rel=1e-4)


def test_a_head_to_begin_from_is_where_it_begins() -> None:
    """With steps too small to matter, what comes out is what went in, whatever the features' scale."""
    x, y = examples((40, 40))
    start = train_mlp(x, y, 2, SHORT)
    still = MlpTraining(hidden=(8,), epochs=1, learning_rate=1e-12, weight_decay=0)
    other = x * np.float32(0.5) + np.float32(0.2)
    for features in (x, other):
        received = train_mlp(features, y, 2, still, start=start)
        np.testing.assert_allclose(received(features), start(features), atol=1e-5)


def test_appended_features_and_classes_begin_afresh() -> None:
    x, y = examples((40, 40, 40))
    old = y < 2
    start = train_mlp(x[old][:, :4], y[old], 2, SHORT)
    still = MlpTraining(hidden=(8,), epochs=1, learning_rate=1e-12, weight_decay=0)
    grown = train_mlp(x, y, 3, still, start=start)
    assert (grown.inputs, grown.outputs) == (6, 3)
    np.testing.assert_allclose(grown.kernels[0][:4], start.kernels[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(grown.kernels[1][:, :2], start.kernels[1], rtol=1e-6)


def test_a_head_to_begin_from_saves_epochs() -> None:
    """As when a class is taught: what the others look like is known."""
    x, y = examples((40, 40, 40, 40), noise=0.03)
    old = y < 3
    start, config = train_mlp(x[old], y[old], 3), MlpTraining(epochs=2)
    known = [accuracy(train_mlp(x, y, 4, config, start=each), x[old], y[old]) for each in (start, None)]
    assert known[0] > known[1] + 0.1


@pytest.mark.parametrize("widths", [[6, 8, 8, 2], [6, 2], [7, 9, 3]])
def test_layers_that_do_not_fit_are_not_begun_from(widths: list[int]) -> None:
    x, y = examples((20, 20))
    assert same(train_mlp(x, y, 2, SHORT, start=random_head(widths)), train_mlp(x, y, 2, SHORT))


X, Y = examples((4, 4))


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (X[:0], Y[:0], r"at least one example\. Received: \[0, 6\]"),
        (X[:, :0], Y, r"Received: \[8, 0\]"),
        (X[0], Y, r"features \[N, P\].*Received: \[6\]"),
        (np.where(np.arange(8)[:, None] == 5, np.nan, X), Y, "finite.*infinity in row 5"),
        (np.where(np.arange(8)[:, None] == 2, np.inf, X), Y, "infinity in row 2"),
        (X, Y[:7], r"one target per example, \[8\]\. Received: \[7\]"),
        (X, Y[:, np.newaxis], r"Received: \[8, 1\]"),
        (X, Y.astype(np.float32), r"integers.*Received: float32"),
        (X, Y + 1, "from 0 to 1. Received: 1 to 2"),
        (X, Y - 1, "Received: -1 to 0"),
        (X, np.full(8, 1), "at least 2 classes. Received: 8 of class 1 alone"),
        (X[:1], Y[:1], "at least 2 classes. Received: 1 of class"),
    ],
)
def test_refuses_what_cannot_be_learnt_from(features: np.ndarray, targets: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message) as info:
        train_mlp(features, targets, 2)
    assert "Received: " in str(info.value) and "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"must be \[2\].*Received: \[1\]"),
        ([1.0, 1.0, 1.0], r"Received: \[3\]"),
        ([], r"Received: \[0\]"),
        ([1.0, -1.0], "from -1.0 to 1.0"),
        ([1.0, np.nan], "negative or NaN"),
        ([0.0, 0.0], "one above 0"),
    ],
)
def test_refuses_class_weights_that_are_none(weights: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_mlp(X, Y, 2, class_weights=np.array(weights, np.float32))


def test_refuses_validation_examples_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"Validation needs features \[N, 6\].*Received: \[8, 5\]"):
        train_mlp(X, Y, 2, validation=(X[:, :5], Y))
    with pytest.raises(UsageError, match=r"from 0 to 1\. Received: 0 to 2"):
        train_mlp(X, Y, 2, validation=(X, 2 * Y))
    with pytest.raises(UsageError, match=r"A loss needs features \[N, 5\]"):
        loss_and_gradients(random_head([5, 2]), X, Y)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (0,)},
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"weight_decay": -1e-3},
        {"patience": -1},
    ],
)
def test_refuses_settings_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Received: "):
        MlpTraining(**options)


def test_a_learning_rate_that_leads_nowhere_is_told() -> None:
    with pytest.raises(UsageError, match=r"finite loss\. Received: none in 3\. Choose a learning rate below 1e\+30"):
        train_mlp(X, Y, 2, MlpTraining(epochs=3, learning_rate=1e30))


def test_targets_without_examples_have_no_balance() -> None:
    with pytest.raises(UsageError, match="at least one"):
        balanced_weights(np.empty(0, np.int64), 3)
