"""Weight sharing: few values per layer, through training, saving and export, composed with zeros and normalisations."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.cluster import apply, hold, search, subjects
from edge_sdk_converters.cluster.apply import ClusterResult, cluster
from edge_sdk_converters.cluster.coding import coded_bytes, distinct_values
from edge_sdk_converters.cluster.config import ClusterBudget, ClusterConfig, Form, Init
from edge_sdk_converters.cluster.hold import codes_of, sharing_kept
from edge_sdk_converters.errors import BudgetError, ModelError, RecipeError
from edge_sdk_converters.graph import flatten
from edge_sdk_converters.learning import LearningData, PassContext
from edge_sdk_converters.passes import pass_for
from edge_sdk_converters.recover.apply import distillation_loss, recover
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.source import accuracy
from edge_sdk_converters.sparsify.apply import sparsify
from edge_sdk_converters.sparsify.config import Schedule, SparsifyConfig
from edge_sdk_converters.sparsify.kernels import kernels_of
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples, FitConfig, fit
from tests.converters.helpers import assert_one_line, run_tflite, weights_kept
from tests.converters.networks import call, images, randomize, saved_and_loaded

SHAPE = (6, 6, 3)
SHORT = RecoverConfig(epochs=2, min_steps=0, batch_size=16, learning_rate=5e-3)


def network() -> keras.Model:
    """Every kind of kernel behind or before a normalisation, a layer used twice, dropout and penalties."""
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(layers.Rescaling(1 / 127.5, -1.0)(image))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    shared = layers.Conv2D(8, 1, name="shared", kernel_regularizer=keras.regularizers.L2(1e-4))
    x = layers.Add()([shared(x), shared(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))])
    x = layers.ReLU()(layers.BatchNormalization(name="stays")(x))
    x = layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2, name="transposed")(layers.MaxPooling2D()(x))
    x = layers.Dropout(0.1, seed=1)(layers.Dense(12, activation="relu", name="hidden")(layers.Flatten()(x)))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x), name="all_kinds")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The network with random weights, a third of those of two kernels zero; it teaches too."""
    keras.utils.set_random_seed(0)
    built, rng = network(), np.random.default_rng(1)
    randomize(built, rng)
    for name in ("shared", "hidden"):
        kernel = built.get_layer(name).kernel
        kernel.assign(kernel.numpy() * (rng.random(kernel.shape) < 2 / 3))
    return built


@pytest.fixture(scope="module")
def lessons(model: keras.Model) -> LearningData:
    x = images(400, shape=SHAPE)
    y = call(model, x).argmax(axis=1)
    return LearningData(Examples(x[:320], y[:320]), Examples(x[320:], y[320:]))


@pytest.fixture(scope="module")
def shared(model: keras.Model) -> ClusterResult:
    """Three bits, five for one layer, two for biases."""
    with weights_kept(model):
        return cluster(model, ClusterConfig(bits=3, layers={"hidden": 5}, bias_bits=2))


@pytest.fixture(scope="module")
def trained(shared: ClusterResult, model: keras.Model, lessons: LearningData) -> keras.Model:
    """The same after a recovery."""
    student = flatten(shared.model)
    recover(student, model, lessons.train, lessons.validation, SHORT, seed=3)
    return student


@pytest.fixture(scope="module")
def small() -> tuple[keras.Model, LearningData]:
    """Three dense layers that give the class of every image rightly, of three about as frequent."""
    image = keras.Input((4, 4, 1), dtype="uint8", name="image")
    x = layers.Dense(16, activation="relu", name="first")(layers.Flatten()(layers.Rescaling(1 / 127.5, -1.0)(image)))
    x = layers.Dense(12, activation="relu", name="second")(x)
    logits = layers.Dense(3, name="third")
    scores = keras.Model(image, logits(x))
    randomize(scores, np.random.default_rng(0))
    x = images(400, shape=(4, 4, 1))
    logits.bias.assign(logits.bias.numpy() - call(scores, x).mean(axis=0))
    model = keras.Model(image, layers.Softmax()(scores.outputs[0]), name="small")
    y = call(model, x).argmax(axis=1)
    return model, LearningData(Examples(x[:200], y[:200]), Examples(x[200:], y[200:]))


def kernel_values(model: keras.Model) -> list[np.ndarray]:
    return [kernel.variable.numpy() for kernel in kernels_of(model.layers)]


def biases(model: keras.Model) -> list[np.ndarray]:
    return [layer.bias.numpy() for layer in model.layers if kernels_of([layer]) and layer.use_bias]


def partition(values: np.ndarray) -> np.ndarray:
    """Which weights share a value: the same array for the same sharing, whatever the values."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]


def test_public_names() -> None:
    assert apply.__all__ == ["ClusterResult", "LayerSharing", "cluster"]
    assert hold.__all__ == ["Codes", "codes_of", "sharing_kept"]
    assert search.__all__ == ["choose_bits"]
    assert subjects.__all__ == ["Subject", "bias_of", "subjects_of"]


def test_every_layer_has_few_values_and_its_zeros(shared: ClusterResult, model: keras.Model) -> None:
    assert shared.folded == ("norm",) and [name for name, _ in shared.unfolded] == ["stays"]
    for before, after in zip(kernel_values(model)[1:], kernel_values(shared.model)[1:], strict=True):
        np.testing.assert_array_equal(after == 0, before == 0)
        assert distinct_values(after) <= (32 if before.shape[-1] == 12 else 8)
    assert distinct_values(kernel_values(shared.model)[0]) <= 8
    assert all(distinct_values(bias) <= 4 for bias in biases(shared.model))
    assert not shared.model.compiled


def test_the_account_adds_up(shared: ClusterResult) -> None:
    names = ["conv", "shared", "depthwise", "separable", "transposed", "hidden", "scores"]
    assert sorted(layer.name for layer in shared.layers) == sorted(names)
    for layer in shared.layers:
        own = shared.model.get_layer(layer.name)
        values = [kernel.variable.numpy() for kernel in kernels_of([own])] + [own.bias.numpy()]
        assert layer.weights == sum(value.size for value in values)
        assert layer.zeros == sum(int((value == 0).sum()) for value in values)
        assert layer.values == sum(map(distinct_values, values))
        assert layer.coded_bytes == sum(map(coded_bytes, values)) < 4 * layer.weights
        assert layer.bits == (5 if layer.name == "hidden" else 3) and 0 < layer.error < 0.1


def test_recovery_trains_shared_values_and_nothing_comes_apart(
    trained: keras.Model, shared: ClusterResult, model: keras.Model, lessons: LearningData
) -> None:
    for before, after in zip(
        kernel_values(shared.model) + biases(shared.model), kernel_values(trained) + biases(trained), strict=True
    ):
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(after == 0, before == 0)
        np.testing.assert_array_equal(partition(after), partition(before))
    assert accuracy(trained, lessons.validation) >= accuracy(shared.model, lessons.validation)
    norms = [each.get_layer("stays").moving_mean.numpy() for each in (shared.model, trained)]
    assert not np.array_equal(*norms)  # statistics of batches go on being taken
    assert [each.path for each in trained.trainable_variables] == [
        each.path for each in flatten(shared.model).trainable_variables
    ]


def test_the_tflite_file_has_as_few_values(trained: keras.Model) -> None:
    content = export_tflite(trained)
    exported = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = [
        np.frombuffer(np.asarray(exported.buffers[tensor.buffer].data, np.uint8).tobytes(), np.float32)
        for tensor in exported.subgraphs[0].tensors
        if exported.buffers[tensor.buffer].data is not None and tensor.type == schema.TensorType.FLOAT32
    ]
    for kernel in kernel_values(trained):
        (found,) = (each for each in tensors if each.size == kernel.size and not np.setdiff1d(each, kernel).size)
        assert distinct_values(found) == distinct_values(kernel)
    x = images(4, seed=6, shape=SHAPE)
    np.testing.assert_allclose(run_tflite(content, x), call(trained, x), atol=1e-4)
    np.testing.assert_array_equal(call(saved_and_loaded(trained), x), call(trained, x))


@pytest.mark.parametrize("form", [Form.WEIGHTS, Form.KERNELS])
def test_the_same_seed_gives_the_same_weights(form: Form, model: keras.Model) -> None:
    one, two, other = (cluster(model, ClusterConfig(form, bits=2, init=Init.FORGY, seed=seed)) for seed in (1, 1, 2))
    assert all(map(np.array_equal, one.model.get_weights(), two.model.get_weights()))
    assert one.layers != other.layers


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), binary=st.booleans())
def test_a_shared_value_learns_by_the_sum_of_its_weights_gradients(seed: int, binary: bool) -> None:
    rate, rng = 0.1, np.random.default_rng(seed)
    image = keras.Input((4, 4, 2), name="image")
    x = layers.Flatten()(layers.Conv2D(3, 2, activation="tanh", name="conv")(image))
    student = keras.Model(image, layers.Dense(2, name="dense")(x))
    randomize(student, rng)
    dense = student.get_layer("dense").kernel
    dense.assign(np.where(rng.random(dense.shape) < 0.3, 0, dense.numpy()))
    student = cluster(student, ClusterConfig(Form.BINARY) if binary else ClusterConfig(bits=2)).model
    x, y = rng.normal(size=(8, 4, 4, 2)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(student(x) - y))
    kernels = [kernel.variable for kernel in kernels_of(student.layers)]
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    before = [kernel.numpy() for kernel in kernels]
    with sharing_kept(student) as learner:
        learner.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
        learner.train_on_batch(x, y)
    for kernel, old, gradient in zip(kernels, before, map(np.asarray, gradients), strict=True):
        for value in np.unique(np.abs(old[old != 0]) if binary else old[old != 0]):
            where, sign = (np.abs(old) == value, np.sign(old)) if binary else (old == value, np.ones_like(old))
            expected = value - rate * (gradient * sign)[where].sum()
            np.testing.assert_allclose((kernel.numpy() * sign)[where], expected, rtol=1e-4, atol=1e-6)


def test_a_learner_changes_nothing_when_it_is_called_as_a_pure_function(shared: ClusterResult) -> None:
    """As back ends that compile pure functions do: all state goes in and comes out, that of normalisations too."""
    student, x = flatten(shared.model), images(4, shape=SHAPE)
    with weights_kept(student), sharing_kept(student) as learner:
        sides = learner.trainable_variables, learner.non_trainable_variables
        values = [[each.value for each in side] for side in sides]
        outputs, state = learner.stateless_call(*values, x, training=True)
        np.testing.assert_allclose(call(learner, x), call(student, x), atol=1e-6)
        other = [value * (each.name != "codebook") for each, value in zip(sides[0], values[0], strict=True)]
        zeroed, _ = learner.stateless_call(other, values[1], x, training=False)
        (mean,) = (index for index, each in enumerate(sides[1]) if each.path == "stays/moving_mean")
        assert not np.array_equal(np.asarray(state[mean]), np.asarray(values[1][mean]))
    assert np.ptp(np.asarray(zeroed), axis=0).max() < 1e-6 < np.ptp(np.asarray(outputs), axis=0).max()


def test_training_that_breaks_off_leaves_plain_keras(small: tuple[keras.Model, LearningData]) -> None:
    class BreakError(Exception):
        pass

    def stop(done: int, planned: int, figures: dict[str, float]) -> None:
        raise BreakError

    model, data = small
    student = cluster(model, ClusterConfig(bits=2)).model
    before = student.get_layer("first").kernel.numpy()
    config = FitConfig(2, batch_size=16)
    with pytest.raises(BreakError), sharing_kept(student) as learner:
        assert not student.get_layer("first").kernel.trainable
        fit(learner, data.train, data.validation, config, loss=distillation_loss(0, 1), targets=one_hot, progress=stop)
    after = student.get_layer("first").kernel
    assert after.trainable and not np.array_equal(after.numpy(), before)
    np.testing.assert_array_equal(partition(after.numpy()), partition(before))


def one_hot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.tile(np.eye(3, dtype=np.float32)[y], 2)


def test_what_is_not_shared_is_not_held(model: keras.Model) -> None:
    with sharing_kept(model) as learner:
        assert learner is model
    rng = np.random.default_rng(0)
    for free in (rng.normal(size=5000), np.zeros(9), np.eye(4), np.full(9, 2.0), np.zeros(0), np.arange(300.0)):
        assert codes_of(free.astype(np.float32)) is None
    codes = codes_of(np.float32([[0, 2, 3], [2, 0, 5]]))
    assert codes is not None and codes.signs is None
    np.testing.assert_array_equal(codes.values, [2, 3, 5])
    np.testing.assert_array_equal(codes.indices, [[0, 1, 2], [1, 0, 3]])


def test_single_weights_may_go_again_after_sharing(small: tuple[keras.Model, LearningData]) -> None:
    model, data = small
    shared = cluster(model, ClusterConfig(bits=2))
    config = SparsifyConfig(0.5, frequency=5, ramp=1.0, training=SHORT)
    values = kernel_values(sparsify(shared.model, model, config, data).model)
    assert sum(int((value == 0).sum()) for value in values) == round(0.5 * sum(value.size for value in values))
    assert sum(map(distinct_values, values)) > 10 * sum(layer.values for layer in shared.layers)


def test_groups_of_channels_have_codebooks_of_their_own(model: keras.Model) -> None:
    result = cluster(model, ClusterConfig(bits=1, group=4, skip=("scores",))).model
    outputs = {"conv": -1, "depthwise": -2, "transposed": -2, "hidden": -1}
    for name, axis in outputs.items():
        kernel = result.get_layer(name).kernel.numpy()
        parts = np.split(kernel, range(4, kernel.shape[axis], 4), axis=axis)
        assert all(distinct_values(part) <= 2 for part in parts) and distinct_values(kernel) > 2
    np.testing.assert_array_equal(result.get_layer("scores").kernel.numpy(), model.get_layer("scores").kernel.numpy())


def test_whole_kernels_and_signs(model: keras.Model) -> None:
    few = cluster(model, ClusterConfig(Form.KERNELS, bits=2)).model
    rows = few.get_layer("conv").kernel.numpy().reshape(9, -1).T
    assert len(np.unique(rows, axis=0)) <= 4
    assert distinct_values(few.get_layer("hidden").kernel.numpy()) <= 4
    for value, before in zip(
        kernel_values(cluster(model, ClusterConfig(Form.BINARY)).model)[1:], kernel_values(model)[1:], strict=True
    ):
        assert np.unique(np.abs(value[value != 0])).size == 1
        np.testing.assert_array_equal(np.sign(value), np.sign(before))


def bytes_of(result: ClusterResult) -> int:
    return sum(layer.coded_bytes for layer in result.layers)


def test_a_budget_of_bytes_is_met_with_the_least_error(small: tuple[keras.Model, LearningData]) -> None:
    model, data = small
    told: list[tuple[str, int, int]] = []
    even = cluster(model, ClusterConfig(bits=3))
    with weights_kept(model):
        config = ClusterConfig(budget=ClusterBudget(bytes=bytes_of(even)), samples=100)
        result = cluster(model, config, data, lambda *line: told.append(line))
    assert bytes_of(result) <= bytes_of(even)
    assert told == [("cluster", 1, 3), ("cluster", 2, 3), ("cluster", 3, 3)]
    errors = [np.square(call(each.model, data.train.x) - call(model, data.train.x)).mean() for each in (result, even)]
    assert errors[0] <= errors[1]
    by_hand = ClusterConfig(budget=ClusterBudget(bytes=bytes_of(even)), layers={"second": 1}, samples=100)
    assert next(layer.bits for layer in cluster(model, by_hand, data).layers if layer.name == "second") == 1


def test_a_budget_of_accuracy_takes_the_fewest_bytes(small: tuple[keras.Model, LearningData]) -> None:
    model, data = small
    drops = (0.01, 0.2)
    strict, loose = (
        cluster(model, ClusterConfig(budget=ClusterBudget(accuracy_drop=drop), samples=100), data) for drop in drops
    )
    assert bytes_of(loose) < bytes_of(strict) < bytes_of(cluster(model, ClusterConfig(bits=8)))
    for result, drop in zip((strict, loose), drops, strict=True):
        assert accuracy(result.model, data.validation) >= 1 - drop


def test_a_budget_that_cannot_be_met_says_what_can(small: tuple[keras.Model, LearningData]) -> None:
    model, data = small
    for budget, message in (
        (ClusterBudget(bytes=20), "limit on bytes"),
        (ClusterBudget(bytes=200, accuracy_drop=0.0), "together with bytes = 200"),
    ):
        with pytest.raises(BudgetError, match=message) as caught, weights_kept(model):
            cluster(model, ClusterConfig(budget=budget, samples=50), data)
        assert_one_line(caught.value)
    with pytest.raises(RecipeError, match="needs training images") as refused:
        cluster(model, ClusterConfig(budget=ClusterBudget(bytes=9)))
    assert_one_line(refused.value)


def test_layers_that_do_not_exist_are_refused(model: keras.Model) -> None:
    for config in (ClusterConfig(skip=("cnov",)), ClusterConfig(layers={"cnov": 2}), ClusterConfig(layers={"norm": 2})):
        with pytest.raises(RecipeError, match=r"Received: '(cnov|norm)'") as caught:
            cluster(model, config)
        assert_one_line(caught.value)
    image = keras.Input(SHAPE)
    with pytest.raises(ModelError, match="Received: ") as none:
        cluster(keras.Model(image, layers.GlobalAveragePooling2D()(image)), ClusterConfig())
    assert_one_line(none.value)


def test_a_recipe_runs_it_and_says_what_was_shared(model: keras.Model, lessons: LearningData) -> None:
    outcome = pass_for(ClusterConfig(bits=2, skip=("conv",))).apply(model, PassContext(lessons, model))
    assert [line.split(":")[0] for line in outcome.details] == [
        *("depthwise", "shared", "separable", "transposed", "hidden", "scores"),
        "stays is not folded",
        "all",
    ]
    assert outcome.details[1].startswith("shared: 64 weights of 4 values and ")
    one_shot = SparsifyConfig(0.5, schedule=Schedule.ONE_SHOT)
    sparse = pass_for(one_shot).apply(outcome.model, PassContext(lessons, model)).model
    assert distinct_values(sparse.get_layer("hidden").kernel.numpy()) <= 4


def test_a_wrapped_layer_is_shared_like_the_layer_within() -> None:
    image = keras.Input((4, 3), name="rows")
    wrapped = layers.TimeDistributed(layers.Dense(8, name="inner"), name="wrapper")
    model = keras.Model(image, layers.GlobalAveragePooling1D()(wrapped(image)))
    randomize(model, np.random.default_rng(0))
    result = cluster(model, ClusterConfig(bits=1, bias_bits=1))
    assert [(layer.name, layer.values) for layer in result.layers] == [("wrapper", 4)]
    with sharing_kept(result.model) as learner:
        assert learner is not result.model
