"""A pruned network computes what the masked one does, with smaller tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.graph import trace
from edge_sdk_converters.prune import apply, atoms, channels, config, rebuild, rules, select
from edge_sdk_converters.prune.apply import LayerWidth, PruneResult, prune
from edge_sdk_converters.prune.channels import Analysis, analyze
from edge_sdk_converters.prune.config import Criterion, PruneConfig, Unknown
from edge_sdk_converters.prune.criteria.batch_norm import BatchNormScale
from edge_sdk_converters.prune.criteria.l1 import L1Norm
from edge_sdk_converters.prune.rebuild import mask, shrink
from edge_sdk_converters.prune.select import choose_units
from tests.converters.networks import BLOCKS, SIDE, call, images, random_network, randomize, saved_and_loaded

properties = settings(max_examples=15, deadline=None, derandomize=True)


def network(*body: keras.Layer, classes: int = 3) -> keras.Model:
    """Layers in sequence between an image and the logits."""
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), *body, layers.GlobalAveragePooling2D(), layers.Dense(classes, name="logits")]
    )
    randomize(model, np.random.default_rng(0))
    return model


def analysis_of(model: keras.Model) -> Analysis:
    return analyze(trace(model))


def assert_pruned_equals_masked(model: keras.Model, removed: np.ndarray, batch: np.ndarray) -> None:
    found = analysis_of(model)
    pruned, masked = shrink(found, removed), mask(found, removed)
    np.testing.assert_allclose(call(pruned, batch), call(masked, batch), atol=1e-5, rtol=1e-5)
    assert count_parameters(masked) == count_parameters(model)
    assert count_parameters(pruned) < count_parameters(model) and count_macs(pruned) < count_macs(model)


def test_public_names() -> None:
    expected = {
        apply: ["LayerWidth", "PruneResult", "prune", "widths_without"],
        atoms: ["Atoms"],
        channels: ["Analysis", "Producer", "analyze", "require_known", "stays"],
        config: ["ActivationCycleConfig", "Criterion", "PruneConfig", "Unknown"],
        rebuild: ["mask", "shrink"],
        rules: ["PRODUCERS", "Rule", "Walk", "rule_for"],
        select: ["Spare", "choose_units"],
    }
    for module, names in expected.items():
        assert sorted(module.__all__) == sorted(names)


@properties
@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.6))
def test_any_network_pruned_anywhere_equals_itself_masked(seed: int, share: float) -> None:
    model, rng = random_network(seed), np.random.default_rng(seed)
    count = analysis_of(model).count
    removed = choose_units(
        analysis_of(model), rng.random(count), PruneConfig(fraction=share, min_channels=1, multiple=1)
    )
    assert removed.sum() > 0
    assert_pruned_equals_masked(model, removed, images())


@pytest.mark.parametrize("block", BLOCKS)
def test_each_kind_of_block_pruned_equals_itself_masked(block: Callable[..., keras.KerasTensor]) -> None:
    rng = np.random.default_rng(7)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = block(layers.Conv2D(8, 3, name="stem")(layers.Rescaling(1 / 255)(image)), rng, "block")
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Conv2D(6, 1, name="last")(x))))
    randomize(model, rng)
    removed = np.arange(analysis_of(model).count) % 3 == 0
    assert_pruned_equals_masked(model, removed, images())


@properties
@given(seed=st.integers(0, 10_000), criterion=st.sampled_from((Criterion.L1, Criterion.BATCH_NORM)))
def test_prune_leaves_the_original_alone(seed: int, criterion: Criterion) -> None:
    model, batch = random_network(seed), images()
    before, expected = [value.copy() for value in model.get_weights()], call(model, batch)
    result = prune(model, PruneConfig(0.4, criterion, min_channels=2, multiple=1, unknown=Unknown.KEEP))
    assert isinstance(result, PruneResult)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(call(model, batch), expected)
    assert call(result.model, batch).shape == expected.shape
    assert all(2 <= width.channels_after <= width.channels_before for width in result.layers if width.name != "logits")


def test_results_survive_saving() -> None:
    result = prune(random_network(4), PruneConfig(multiple=1, unknown=Unknown.KEEP))
    expected = call(result.model, images())
    np.testing.assert_allclose(call(saved_and_loaded(result.model), images()), expected, atol=1e-6)


def test_tensors_are_smaller() -> None:
    model = network(
        layers.Conv2D(16, 3, name="a"), layers.BatchNormalization(name="norm"), layers.Conv2D(8, 1, name="b")
    )
    result = prune(model, PruneConfig(fraction=0.5, multiple=4))
    assert result.layers[-1] == LayerWidth("logits", 3, 3)
    assert result.frozen == (("logits", "it produces the model's output"),)
    first, second = (width.channels_after for width in result.layers[:2])
    assert first + second == 12 and first % 4 == second % 4 == 0
    assert result.model.get_layer("a").kernel.shape == (3, 3, 3, first)
    assert result.model.get_layer("norm").moving_variance.shape == (first,)
    assert result.model.get_layer("b").kernel.shape == (1, 1, first, second)
    assert result.model.get_layer("logits").kernel.shape == (second, 3)


def test_the_weakest_filters_go() -> None:
    model = network(layers.Conv2D(6, 3, name="a"))
    kernel, bias = model.get_layer("a").get_weights()
    model.get_layer("a").set_weights([kernel * np.array([1, 0.01, 1, 1, 0.02, 1], np.float32), bias])
    result = prune(model, PruneConfig(fraction=1 / 3, multiple=1))
    np.testing.assert_array_equal(result.model.get_layer("a").get_weights()[1], bias[[0, 2, 3, 5]])


def test_batch_norm_scale_folds_into_the_l1_norm() -> None:
    model = network(layers.Conv2D(4, 3, name="a"), layers.BatchNormalization(name="norm"))
    model.get_layer("a").set_weights([np.ones((3, 3, 3, 4), np.float32), np.zeros(4, np.float32)])
    gamma, variance = np.array([1, 2, 4, 8], np.float32), np.array([1, 1, 4, 4], np.float32)
    model.get_layer("norm").set_weights([gamma, gamma, gamma, variance - 0.001])
    found = analysis_of(model)
    np.testing.assert_allclose(L1Norm().scores(found), np.array([1, 2, 2, 4]) / 2.25, rtol=1e-6)
    np.testing.assert_allclose(BatchNormScale().scores(found), gamma)


def test_batch_norm_criterion_never_removes_what_it_cannot_judge() -> None:
    model = network(layers.Conv2D(8, 3, name="a"), layers.BatchNormalization(), layers.Conv2D(8, 3, name="b"))
    settings_ = PruneConfig(fraction=0.9, criterion=Criterion.BATCH_NORM, min_channels=2, multiple=1)
    assert [width.channels_after for width in prune(model, settings_).layers] == [2, 8, 3]


def test_added_tensors_lose_the_same_channels() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, padding="same", name="a")(image)
    x = x + layers.Conv2D(8, 3, padding="same", name="b")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    found = analysis_of(model)
    assert found.count == 8
    np.testing.assert_array_equal(found.producers[0].units, found.producers[1].units)


def test_concatenated_tensors_keep_their_own_channels() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    branches = [layers.Conv2D(4, 3, name=name)(image) for name in "ab"]
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Concatenate()(branches))))
    found = analysis_of(model)
    assert found.count == 8
    dense_input = found.units[id(found.graph.calls[-1].inputs[0])]
    np.testing.assert_array_equal(dense_input, np.tile(np.arange(8), 16))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.LayerNormalization(name="looks"), "feeds 'looks'"),
        (layers.Conv2D(8, 1, groups=2, name="looks"), "feeds 'looks'"),
        (layers.Rescaling(np.arange(8.0), name="looks"), "feeds 'looks'"),
        (layers.Softmax(), "mixes channels"),
        (layers.Activation("softmax"), "mixes channels"),
    ],
    ids=["norm", "groups", "rescaling", "softmax", "activation"],
)
def test_layers_that_need_all_channels_freeze_them(layer: keras.Layer, reason: str) -> None:
    found = analysis_of(network(layers.Conv2D(8, 3, name="a"), layer))
    assert found.count == 0
    assert reason in dict(found.frozen)["a"]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Activation("gelu"),
        layers.Reshape((4 * 4, 8)),
        layers.Permute((2, 1, 3)),
        layers.UpSampling2D(),
        layers.ZeroPadding2D(),
        layers.Rescaling(2.0),
        layers.SpatialDropout2D(0.1),
        layers.PReLU(),
        layers.Dense(7, activation="elu", name="dense"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_treat_channels_alone_let_them_go(layer: keras.Layer) -> None:
    pooling = layers.GlobalAveragePooling1D() if isinstance(layer, layers.Reshape) else layers.Flatten()
    body = [layers.Conv2D(8, 3, name="a"), layer, pooling, layers.Dense(3)]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *body])
    randomize(model, np.random.default_rng(2))
    count = analysis_of(model).count
    assert count >= 8
    batch = np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    assert_pruned_equals_masked(model, np.arange(count) % 2 == 0, batch)


def test_a_flat_reshape_lines_channels_up_per_position() -> None:
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(8, 3), layers.Reshape((128,)), layers.Dense(3, name="logits")]
    )
    randomize(model, np.random.default_rng(2))
    assert_pruned_equals_masked(model, np.arange(8) < 3, images().astype(np.float32) / 255)


def test_a_shared_reshape_ties_what_it_reshapes() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    reshape = layers.Reshape((16, 8))
    rows = [reshape(layers.Conv2D(8, 3, name=name)(image)) for name in "ab"]
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Concatenate()(rows))))
    randomize(model, np.random.default_rng(2))
    assert analysis_of(model).count == 8
    assert_pruned_equals_masked(model, np.arange(8) < 3, images().astype(np.float32) / 255)


def test_prune_respects_skip_and_min_channels() -> None:
    model = network(layers.Conv2D(8, 3, name="a"), layers.Conv2D(8, 3, name="b"))
    result = prune(model, PruneConfig(fraction=0.9, min_channels=5, multiple=1, skip=("a",)))
    assert [width.channels_after for width in result.layers] == [8, 5, 3]
    assert dict(result.frozen)["a"] == "skipped by the recipe"


def test_no_layer_is_left_with_less_than_its_share() -> None:
    found = analysis_of(network(layers.Conv2D(40, 1, name="low"), layers.Conv2D(40, 1, name="high")))
    free = PruneConfig(fraction=0.45, min_channels=1, multiple=1, layer_fraction=1.0)
    for config_, expected in ((free, (36, 0)), (dataclasses.replace(free, layer_fraction=0.75), (30, 6))):
        removed = choose_units(found, np.arange(found.count, dtype=np.float64), config_)
        assert tuple(int(removed[producer.units].sum()) for producer in found.producers[:2]) == expected


def test_widths_are_multiples_and_the_share_is_met_over_all() -> None:
    model = network(*(layers.Conv2D(32, 1, name=name) for name in "abcdef"))
    result = prune(model, PruneConfig(fraction=0.3, multiple=8))
    widths = [width.channels_after for width in result.layers[:-1]]
    assert all(width % 8 == 0 for width in widths)
    assert abs(sum(widths) - 0.7 * 6 * 32) <= 8


def test_nothing_removable_is_refused_with_the_reason() -> None:
    model = network(layers.Conv2D(8, 3, name="a"), layers.LayerNormalization(name="looks"))
    with pytest.raises(ModelError, match="'a' stays, it feeds 'looks'"):
        prune(model, PruneConfig(unknown=Unknown.KEEP))
    with pytest.raises(ModelError, match="no convolution or dense"):
        prune(keras.Sequential([keras.Input((4,)), layers.ReLU()]), PruneConfig())


def test_layers_of_unknown_kinds_are_refused_by_name_unless_they_are_to_be_left_alone() -> None:
    body = [layers.Conv2D(8, 3, name="a"), layers.LayerNormalization(name="looks"), layers.Conv2D(8, 1, name="b")]
    model = network(*body, layers.Conv2D(8, 1, name="c"))
    with pytest.raises(ModelError, match=r"Received: 'looks', a LayerNormalization\. Write unknown = 'keep'"):
        prune(model, PruneConfig())
    widths = [width.channels_after for width in prune(model, PruneConfig(0.5, unknown="keep")).layers]
    assert widths == [8, 4, 4, 3]


def test_an_unknown_kind_that_holds_nothing_up_is_no_hindrance() -> None:
    model = network(layers.LayerNormalization(name="whiten"), layers.Conv2D(8, 3, name="a"))
    assert prune(model, PruneConfig(0.5)).layers[0].channels_after == 4


class Subclassed(keras.Model):
    def call(self, inputs: object) -> object:
        return inputs


def test_subclassed_models_are_refused() -> None:
    with pytest.raises(ModelError, match="functional graph"):
        prune(Subclassed(), PruneConfig())


@pytest.mark.parametrize(
    "values",
    [
        {"fraction": 0.0},
        {"fraction": 1.0},
        {"criterion": "l3"},
        {"min_channels": 0},
        {"unknown": "guess"},
        {"layer_fraction": 0.0},
        {"layer_fraction": 1.1},
        {"multiple": 0},
        {"samples": 0},
        {"seed": -1},
        {"skip": "stem"},
    ],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: "):
        PruneConfig(**values)


def test_criteria_may_be_given_by_name() -> None:
    assert PruneConfig(criterion="batch-norm").criterion is Criterion.BATCH_NORM


def test_unknown_names_to_skip_are_refused() -> None:
    with pytest.raises(RecipeError, match="'nowhere'"):
        prune(random_network(0), PruneConfig(skip=("nowhere",)))
