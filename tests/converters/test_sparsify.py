"""Sparsification: every kind of kernel gets its zeros and keeps them, and nothing but plain Keras is left behind."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.graph import flatten
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.recover.apply import recover
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.sparsify import apply, decay, hold, kernels
from edge_sdk_converters.sparsify.apply import SparsifyResult, sparsify
from edge_sdk_converters.sparsify.config import Decay, Schedule, Scope, SparsifyConfig
from edge_sdk_converters.sparsify.decay import penalty
from edge_sdk_converters.sparsify.hold import zeros_kept
from edge_sdk_converters.sparsify.kernels import kernels_of
from edge_sdk_converters.sparsify.masks import magnitude_masks
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples, FitConfig, fit
from tests.converters.helpers import assert_one_line, run_tflite, weights_kept
from tests.converters.networks import call, images, randomize, saved_and_loaded

SHAPE = (6, 6, 3)
BATCH = 16


def network() -> keras.Model:
    """Every kind of kernel, one layer used twice, one in a nested model, one with a constraint and a penalty of its own."""
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, padding="same", name="conv")(layers.Rescaling(1 / 127.5, -1.0)(image))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    shared = layers.Conv2D(8, 1, name="shared")
    x = layers.Add()([shared(x), shared(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))])
    x = layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2, name="transposed")(layers.MaxPooling2D()(x))
    inner = keras.Input((216,))
    nested = keras.Model(inner, layers.Dense(10, activation="relu", name="inner")(inner), name="nested")
    x = nested(layers.Flatten()(x))
    limits = {"kernel_constraint": keras.constraints.MaxNorm(3.0), "kernel_regularizer": keras.regularizers.L2(1e-4)}
    return keras.Model(image, layers.Dense(3, activation="softmax", name="scores", **limits)(x), name="all_kinds")


@pytest.fixture(scope="module")
def dense() -> keras.Model:
    """The network with random weights; it teaches too."""
    keras.utils.set_random_seed(0)
    model = network()
    randomize(model, np.random.default_rng(1))
    return model


@pytest.fixture(scope="module")
def lessons(dense: keras.Model) -> LearningData:
    x = images(400, shape=SHAPE)
    y = call(dense, x).argmax(axis=1)
    return LearningData(Examples(x[:320], y[:320]), Examples(x[320:], y[320:]))


def gradually(**options: object) -> SparsifyConfig:
    """Two epochs of 20 steps, and the last weights go near the end of the second."""
    training = RecoverConfig(epochs=2, min_steps=0, batch_size=BATCH)
    return SparsifyConfig(**{"frequency": 5, "ramp": 1.0, "training": training, **options})


THINNED = gradually(sparsity=0.95, skip=("conv",), decay=Decay.HYPERBOLIC, initial=0.2, begin=3)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int, float]]:
    """Epochs done and planned and the validation loss, as `thinned` was made."""
    return []


@pytest.fixture(scope="module")
def thinned(dense: keras.Model, lessons: LearningData, told: list[tuple[int, int, float]]) -> SparsifyResult:
    with weights_kept(dense):
        return sparsify(
            dense,
            dense,
            THINNED,
            lessons,
            seed=3,
            progress=lambda done, planned, figures: told.append((done, planned, figures["val_loss"])),
        )


def kernel_values(model: keras.Model) -> dict[str, np.ndarray]:
    """By layer, and for a separable one its depthwise part under another name."""
    values = {}
    for kernel in kernels_of(model.layers):
        name = f"{kernel.layer} depthwise" if kernel.layer == "separable" and kernel.axis is None else kernel.layer
        values[name] = kernel.variable.numpy()
    return values


def test_public_names() -> None:
    assert apply.__all__ == ["LayerSparsity", "SparsifyResult", "sparsify"]
    assert decay.__all__ == ["penalty"]
    assert hold.__all__ == ["Masked", "zeros_kept"]
    assert kernels.__all__ == ["Kernel", "kernels_of"]


def test_every_kind_of_kernel_is_found_once(dense: keras.Model) -> None:
    found = {(kernel.layer, kernel.axis) for kernel in kernels_of(dense.layers)}
    assert found == {
        ("conv", -2),
        ("shared", -2),
        ("depthwise", None),
        ("separable", None),
        ("separable", -2),
        ("transposed", -1),
        ("inner", -2),
        ("scores", -2),
    }
    assert len(kernels_of(dense.layers)) == len(found)


def test_training_ends_with_as_many_zeros_as_asked_although_it_was_better_before(
    thinned: SparsifyResult, dense: keras.Model, told: list[tuple[int, int, float]]
) -> None:
    """An epoch that ends with fewer zeros has the lowest validation loss, but is no candidate."""
    (first, second) = told
    assert (first[:2], second[:2]) == ((1, 2), (2, 2)) and first[2] < second[2]
    values = kernel_values(thinned.model)
    for name, value in kernel_values(dense).items():
        assert not np.array_equal(value, values[name])  # it has learnt
    assert not (values.pop("conv") == 0).any()
    total = sum(value.size for value in values.values())
    assert sum(int((value == 0).sum()) for value in values.values()) == round(0.95 * total)
    assert not any(np.signbit(value[value == 0]).any() for value in values.values())  # one value for zero, not two


def test_the_account_says_where_the_zeros_are(thinned: SparsifyResult) -> None:
    values = kernel_values(thinned.model)
    assert [layer.name for layer in thinned.layers] == list(dict.fromkeys(name.split()[0] for name in values))
    for layer in thinned.layers:
        own = [value for name, value in values.items() if name.split()[0] == layer.name]
        assert layer.weights == sum(value.size for value in own)
        assert layer.zeros == sum(int((value == 0).sum()) for value in own)


def test_what_comes_out_is_plain_keras(thinned: SparsifyResult, dense: keras.Model) -> None:
    assert not thinned.model.compiled
    assert thinned.model.count_params() == dense.count_params()
    for weight in thinned.model.trainable_variables:
        own = weight.path == "scores/kernel"
        assert isinstance(weight.constraint, keras.constraints.MaxNorm if own else type(None))
        assert isinstance(weight.regularizer, keras.regularizers.L2 if own else type(None))
    x = images(4, seed=5, shape=SHAPE)
    np.testing.assert_array_equal(call(saved_and_loaded(thinned.model), x), call(thinned.model, x))


def test_the_tflite_file_holds_the_same_function(thinned: SparsifyResult) -> None:
    x = images(8, seed=6, shape=SHAPE)
    np.testing.assert_allclose(run_tflite(export_tflite(thinned.model), x), call(thinned.model, x), atol=1e-4)


def test_the_same_seed_gives_the_same_weights(
    thinned: SparsifyResult, dense: keras.Model, lessons: LearningData
) -> None:
    again = sparsify(dense, dense, THINNED, lessons, seed=3).model
    assert all(map(np.array_equal, thinned.model.get_weights(), again.get_weights()))


@pytest.mark.parametrize("scope", Scope)
def test_at_once_it_is_the_smallest_weights_and_nothing_else(
    scope: Scope, dense: keras.Model, lessons: LearningData
) -> None:
    config = SparsifyConfig(0.5, scope, schedule=Schedule.ONE_SHOT)
    values = kernel_values(sparsify(dense, dense, config, lessons).model)
    before = kernel_values(dense)
    masks = magnitude_masks([before[name] for name in values], 0.5, scope)
    for (name, value), mask in zip(values.items(), masks, strict=True):
        np.testing.assert_array_equal(value, np.where(mask, before[name], 0))


def test_a_pattern_follows_the_input_channels_of_each_kind(dense: keras.Model, lessons: LearningData) -> None:
    config = SparsifyConfig(pattern="2:4", schedule=Schedule.ONE_SHOT)
    values = kernel_values(sparsify(dense, dense, config, lessons).model)
    for name in ("depthwise", "separable depthwise"):
        assert (values.pop(name) != 0).all()
    values["transposed"] = np.swapaxes(values["transposed"], -1, -2)
    for name, value in values.items():
        channels = value.shape[-2]
        for start in range(0, channels, 4):
            kept = (value[..., start : start + 4, :] != 0).sum(axis=-2)
            assert (kept == min(2, channels - start)).all(), name


def test_names_that_do_not_exist_are_refused(dense: keras.Model, lessons: LearningData) -> None:
    with pytest.raises(RecipeError, match="Received: 'cnov'") as caught:
        sparsify(dense, dense, SparsifyConfig(skip=("cnov",)), lessons)
    assert_one_line(caught.value)


def test_a_model_without_work_is_refused(lessons: LearningData) -> None:
    image = keras.Input(SHAPE, name="image")
    none = keras.Model(image, layers.Softmax()(layers.GlobalAveragePooling2D()(image)))
    narrow = keras.Model(image, layers.Conv2D(4, 3)(image))
    for model, config in ((none, SparsifyConfig()), (narrow, SparsifyConfig(pattern="4:8"))):
        with pytest.raises(ModelError, match="Received: ") as caught:
            sparsify(model, model, config, lessons)
        assert_one_line(caught.value)


def test_too_short_a_training_is_refused_before_anything_is_trained(dense: keras.Model, lessons: LearningData) -> None:
    with pytest.raises(RecipeError, match=r"for 40 steps") as caught, weights_kept(dense):
        sparsify(dense, dense, gradually(begin=36), lessons)
    assert_one_line(caught.value)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), strength=st.floats(0, 10), scale=st.floats(0.01, 2))
def test_the_penalties_are_what_their_formulas_say(seed: int, strength: float, scale: float) -> None:
    w = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
    size = np.abs(w)
    expected = {
        Decay.L1: size,
        Decay.L2: w**2,
        Decay.HYPERBOLIC: size / (scale + size),
        Decay.EXPONENTIAL: 1 - np.exp(-size / scale),
    }
    for kind, term in expected.items():
        value = penalty(kind, strength, scale)
        assert value is not None
        assert float(value(keras.ops.convert_to_tensor(w))) == pytest.approx(strength * term.sum(), rel=1e-4, abs=1e-6)
    assert penalty(Decay.NONE, strength, scale) is None


def test_a_biased_decay_draws_small_weights_and_lets_large_ones_be(lessons: LearningData) -> None:
    """A weight far above the scale feels nothing of it, those below go; L2 pulls hardest at the largest."""

    def trained(kind: Decay) -> np.ndarray:
        image = keras.Input(SHAPE, dtype="uint8")
        blind = layers.Dense(3, activation="softmax", use_bias=False, name="scores")
        model = keras.Model(image, blind(layers.Rescaling(0.0)(layers.GlobalAveragePooling2D()(image))))
        blind.set_weights(
            [np.array([[2.0, 0.03, -0.03]] * 3, np.float32)]
        )  # it sees zeros, so only the decay teaches it
        config = gradually(sparsity=0.0, decay=kind, strength=1.0, scale=0.05)
        return np.abs(kernel_values(sparsify(model, model, config, lessons).model)["scores"])

    biased, squared = map(trained, (Decay.EXPONENTIAL, Decay.L2))
    assert (biased[:, 0] > 1.999).all() and (biased[:, 1:] < 0.01).all()
    assert (squared[:, 0] < 1.99).all()


def test_recovery_keeps_zeros_and_a_kernel_of_nothing_else_may_learn(dense: keras.Model, lessons: LearningData) -> None:
    student = flatten(dense)
    rng = np.random.default_rng(0)
    for layer in ("shared", "inner", "separable"):
        values = student.get_layer(layer).get_weights()
        student.get_layer(layer).set_weights([values[0] * (rng.random(values[0].shape) < 0.5), *values[1:]])
    scores = student.get_layer("scores")
    scores.set_weights([np.zeros_like(value) for value in scores.get_weights()])
    before = kernel_values(student)
    config = RecoverConfig(epochs=1, min_steps=0, batch_size=BATCH)
    recover(student, dense, lessons.train, lessons.validation, config)
    after = kernel_values(student)
    for name in ("shared", "inner", "separable depthwise"):
        np.testing.assert_array_equal(after[name] == 0, before[name] == 0)
        assert not np.array_equal(after[name], before[name])
    assert (after["scores"] != 0).any()
    assert isinstance(scores.kernel.constraint, keras.constraints.MaxNorm)
    assert student.get_layer("shared").kernel.constraint is None


def test_constraints_are_given_back_when_training_breaks_off(lessons: LearningData) -> None:
    class BreakError(Exception):
        pass

    def stop(done: int, planned: int, figures: dict[str, float]) -> None:
        raise BreakError

    image = keras.Input(SHAPE, dtype="uint8")
    scores = layers.Dense(3, activation="softmax")
    model = keras.Model(image, scores(layers.Flatten()(image)))
    scores.set_weights([np.eye(108, 3), np.zeros(3)])
    with pytest.raises(BreakError), zeros_kept(model):
        assert scores.kernel.constraint is not None
        fit(model, lessons.train, lessons.validation, FitConfig(2, batch_size=BATCH), progress=stop)
    assert scores.kernel.constraint is None
    np.testing.assert_array_equal(scores.kernel.numpy() != 0, np.eye(108, 3) != 0)
