"""What criteria judge by: contributions, activations, gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.graph import trace
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.prune import calibration, contributions, patches, readers
from edge_sdk_converters.prune.apply import prune
from edge_sdk_converters.prune.calibration import Calibration, draw
from edge_sdk_converters.prune.channels import Analysis, analyze
from edge_sdk_converters.prune.config import Criterion, PruneConfig
from edge_sdk_converters.prune.contributions import refit
from edge_sdk_converters.prune.criteria import activations, batch_norm, criterion, l1, table, taylor, thinet
from edge_sdk_converters.prune.criteria.activations import measure_activity
from edge_sdk_converters.prune.criteria.table import CRITERIA
from edge_sdk_converters.prune.criteria.taylor import FirstOrderTaylor
from edge_sdk_converters.prune.criteria.thinet import ThiNet, removal_order
from edge_sdk_converters.prune.patches import sampled_patches
from edge_sdk_converters.prune.readers import kernel_of
from edge_sdk_converters.prune.rebuild import shrink
from edge_sdk_converters.training import Examples
from tests.converters.helpers import assert_one_line, weights_kept
from tests.converters.networks import SIDE, call, images, random_network, randomize

LABELS = np.arange(48) % 3


def analysis_of(model: keras.Model) -> Analysis:
    return analyze(trace(model))


def scaled_images(count: int) -> np.ndarray:
    return images(count).astype(np.float32) / 255


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    """A convolution read by another one and, through their sum, by the dense layer: eight units tied twice."""
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="a")(image)
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name="b")(layers.Dropout(0.5)(x))])
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    randomize(model, np.random.default_rng(1))
    return model


def test_public_names() -> None:
    expected = {
        activations: ["ActivationCount", "Activity", "measure_activity"],
        batch_norm: ["BatchNormScale"],
        calibration: ["Calibration", "draw", "evaluated", "require_fitting"],
        contributions: ["Contributions", "contributions", "refit"],
        criterion: ["ChannelCriterion", "UnitMeans", "batch_norms", "norm_weight", "require_images"],
        l1: ["L1Norm"],
        patches: ["PatchBatch", "sampled_patches"],
        readers: ["Reader", "input_axis", "kernel_of", "readers"],
        table: ["CRITERIA"],
        taylor: ["FirstOrderTaylor"],
        thinet: ["ThiNet", "removal_order"],
    }
    for module, names in expected.items():
        assert sorted(module.__all__) == sorted(names)


def test_every_name_has_a_criterion() -> None:
    assert set(CRITERIA) == set(Criterion)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(5, 3, strides=2, padding="same"),
        layers.Conv2D(5, (2, 3), dilation_rate=2, padding="same"),
        layers.Conv2D(5, 3),
        layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(5, (3, 2), strides=(1, 2)),
        layers.Conv2DTranspose(5, 2, strides=3, padding="same"),
        layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2),
        layers.Dense(5),
    ],
    ids=lambda layer: f"{layer.name}",
)
def test_patch_times_kernel_is_an_output_of_the_layer(layer: keras.Layer) -> None:
    model = keras.Sequential(
        [keras.Input((5, 6, 3)), layers.Conv2D(4, 1), layer, layers.GlobalMaxPooling2D(), layers.Dense(2)]
    )
    randomize(model, np.random.default_rng(0))
    found = analysis_of(model)
    reader = next(each for each in readers.readers(found) if each.layer.name == layer.name)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    ((_, rows),) = sampled_patches(found.graph, [reader], x, 40, np.random.default_rng(0))
    computed = np.einsum("rkc,kco->ro", rows, kernel_of(reader.layer)) + reader.layer.get_weights()[-1]
    outputs = call(keras.Model(model.inputs[0], layer.output), x).reshape(2, -1, 5)
    for image, expected in enumerate(outputs):
        mine = computed[image * len(rows) // 2 : (image + 1) * len(rows) // 2]
        nearest = np.abs(mine[:, None] - expected[None]).max(axis=-1).min(axis=1)
        np.testing.assert_allclose(nearest, 0, atol=1e-5)


def test_patches_of_a_one_dimensional_convolution() -> None:
    model = keras.Sequential(
        [keras.Input((7, 3)), layers.Dense(4), layers.Conv1D(5, 3, padding="causal"), layers.GlobalMaxPooling1D()]
    )
    randomize(model, np.random.default_rng(0))
    found = analysis_of(model)
    x = np.random.default_rng(0).normal(size=(1, 7, 3)).astype(np.float32)
    ((reader, rows),) = sampled_patches(found.graph, readers.readers(found), x, 100, np.random.default_rng(0))
    assert len(rows) == 7, "no more positions than there are"
    computed = np.einsum("rkc,kco->ro", rows, kernel_of(reader.layer)) + reader.layer.get_weights()[-1]
    expected = call(keras.Model(model.inputs[0], model.layers[1].output), x)[0]
    np.testing.assert_allclose(np.abs(computed[:, None] - expected).max(axis=-1).min(axis=1), 0, atol=1e-5)


def test_activations_are_counted_before_they_are_pooled() -> None:
    body = [layers.Conv2D(3, 1, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4, 4, 1)), *body])
    body[0].set_weights([np.array([1, 1, -1], np.float32).reshape(1, 1, 1, 3), np.array([0, 9, 0], np.float32)])
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    found = measure_activity(analysis_of(model), x)
    np.testing.assert_allclose(found.active, [0.5, 1.0, 0.5])
    np.testing.assert_allclose(found.mean, [x[x > 0].sum() / 16, 9.0, x[x > 0].sum() / 16], rtol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "leaky_relu", "linear", "silu"])
def test_active_means_that_the_activation_got_something_positive(activation: str) -> None:
    body = [layers.Dense(1, use_bias=False), layers.Activation(activation), layers.Dropout(0.5), layers.Dense(2)]
    model = keras.Sequential([keras.Input((1,)), *body])
    body[0].set_weights([np.ones((1, 1), np.float32)])
    x = np.array([[-3], [-2], [-1], [2]], np.float32)
    np.testing.assert_allclose(measure_activity(analysis_of(model), x).active, [0.25])


def test_taylor_is_the_squared_derivative_by_a_gate_before_all_that_reads_a_unit(residual: keras.Model) -> None:
    x, y = scaled_images(16), LABELS[:16]  # one batch
    found = FirstOrderTaylor().scores(analysis_of(residual), Calibration(x, y))
    step, unit = 0.01, 5
    losses = []
    for factor in (1 + step, 1 - step):
        gated = keras.models.clone_model(residual)
        gated.set_weights(residual.get_weights())
        for name in ("b", "logits"):
            kernel, bias = gated.get_layer(name).get_weights()
            kernel[..., unit, :] *= factor
            gated.get_layer(name).set_weights([kernel, bias])
        logits = call(gated, x).astype(np.float64)
        losses.append(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(16), y]))
    assert found.shape == (8,) and np.isfinite(found).all()
    np.testing.assert_allclose(found[unit], ((losses[0] - losses[1]) / (2 * step)) ** 2, rtol=5e-3)


def test_taylor_refuses_what_is_no_classifier() -> None:
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 1), layers.Conv2D(3, 1)])
    data = LearningData(Examples(scaled_images(4), LABELS[:4]), Examples(scaled_images(4), LABELS[:4]))
    with pytest.raises(ModelError, match=r"needs a classifier.*Received: .*thinet") as caught:
        prune(model, PruneConfig(criterion="taylor"), data)
    assert_one_line(caught.value)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), count=st.integers(1, 7))
def test_removal_order_is_greedy(seed: int, count: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(20, count))
    order, errors = removal_order(rows.T @ rows)
    assert sorted(order.tolist()) == list(range(count)) and (np.diff(errors) >= 0).all()
    lost = [np.sum(rows[:, order[: step + 1]].sum(axis=1) ** 2) for step in range(count)]
    np.testing.assert_allclose(errors, np.maximum.accumulate(lost), rtol=1e-9)
    for step in range(count):
        others = [np.sum((rows[:, order[:step]].sum(axis=1) + rows[:, other]) ** 2) for other in order[step:]]
        np.testing.assert_allclose(min(others), lost[step], rtol=1e-9)


def test_thinet_misses_first_what_is_read_with_small_weights(residual: keras.Model) -> None:
    model = keras.models.clone_model(residual)
    model.set_weights(residual.get_weights())
    for name in ("b", "logits"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[..., [2, 6], :] *= 1e-3
        model.get_layer(name).set_weights([kernel, bias])
    scores = ThiNet().scores(analysis_of(model), Calibration(scaled_images(8), LABELS[:8]))
    assert set(np.argsort(scores)[:2].tolist()) == {2, 6}
    assert scores[[2, 6]].max() < 1e-4 < np.delete(scores, [2, 6]).min()


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_rescaled_readers_reconstruct_better(seed: int) -> None:
    model, batch = random_network(seed), images(48)
    found = analysis_of(model)
    hidden = next(each for each in readers.readers(found) if each.layer.name == "logits")
    removed = np.zeros(found.count, np.bool_)
    removed[hidden.units[::3]] = True
    expected = call(model, batch)
    plain = np.mean((call(shrink(found, removed), batch) - expected) ** 2)
    refit(found, removed, Calibration(batch, LABELS, 0))
    assert np.mean((call(shrink(found, removed), batch) - expected) ** 2) < plain


@pytest.mark.parametrize("name", ["taylor", "activations", "thinet"])
def test_criteria_that_judge_by_images_refuse_to_do_without(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"'{name}' judges by images. Received: none") as caught:
        prune(random_network(0), PruneConfig(criterion=name, unknown="keep"))
    assert_one_line(caught.value)


def test_images_of_another_size_are_refused() -> None:
    other = Examples(images(4, shape=(SIDE + 1, SIDE, 3)), LABELS[:4])
    with pytest.raises(ModelError, match=r"shape of the model's one input. Received: 4 of \[7, 6, 3\]") as caught:
        prune(random_network(0), PruneConfig(criterion="activations", unknown="keep"), LearningData(other, other))
    assert_one_line(caught.value)


@pytest.mark.parametrize("name", ["activations", "thinet"])
def test_the_same_seed_prunes_alike_and_leaves_the_original_alone(name: str) -> None:
    model = random_network(2)
    examples = Examples(images(40), LABELS[:40])
    config = PruneConfig(0.4, name, min_channels=1, multiple=1, samples=16, seed=3)
    with weights_kept(model):
        one, other = (prune(model, config, LearningData(examples, examples)) for _ in range(2))
    for first, second in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_images_are_drawn_once_each() -> None:
    graph = trace(random_network(0))
    drawn = draw(Examples(images(20), np.arange(20)), graph, 12, 0)
    assert len(drawn.x) == len(set(drawn.y.tolist())) == 12
    assert len(draw(Examples(images(20), np.arange(20)), graph, 99, 0).x) == 20
