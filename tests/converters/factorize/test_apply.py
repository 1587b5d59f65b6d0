"""Whole networks: what is replaced, what is kept and why, and that the answers agree."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import BudgetError, ModelError, RecipeError
from edge_sdk_converters.factorize import apply
from edge_sdk_converters.factorize.apply import FactorizeResult, factorize
from edge_sdk_converters.factorize.config import FactorizeConfig, Method, RankRule
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.source import accuracy
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples
from tests.converters.helpers import assert_one_line, run_tflite, weights_kept
from tests.converters.networks import call, images, random_network, randomize, saved_and_loaded


def low_rank_model() -> keras.Model:
    """A nested, shared, strided network with kernels of low rank, and layers that must stay."""
    inner = keras.Sequential(
        [keras.Input((6, 6, 16)), layers.Conv2D(16, 3, padding="same", name="shared")], name="inner"
    )
    image = keras.Input((6, 6, 3), dtype="uint8")
    x = layers.Conv2D(16, 3, padding="same", name="stem")(layers.Rescaling(1 / 255)(image))
    x = layers.Add()([inner(inner(x)), x])
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(24, 1, name="point", activation="relu")(x)
    x = layers.Conv2D(16, 3, groups=2, name="grouped")(x)
    x = layers.Dense(32, name="hidden", activation="relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Softmax()(layers.Dense(32, name="logits")(x)))
    randomize(model, np.random.default_rng(5))
    for name in ("shared", "point", "hidden", "logits"):
        layer = inner.get_layer(name) if name == "shared" else model.get_layer(name)
        kernel, bias = layer.get_weights()
        flat = kernel.reshape(-1, kernel.shape[-2], kernel.shape[-1])
        u, values, vt = np.linalg.svd(flat.sum(axis=0))
        low = (u[:, :2] * values[:2]) @ vt[:2]
        layer.set_weights([np.broadcast_to(low, flat.shape).reshape(kernel.shape), bias])
    return model


def labelled(model: keras.Model, count: int = 96) -> LearningData:
    """Random images, each with the class that the model gives it."""
    train, validation = images(count, 1), images(count, 2)
    return LearningData(
        Examples(train, call(model, train).argmax(axis=1)), Examples(validation, call(model, validation).argmax(axis=1))
    )


class Clock:
    """A meter by rule: every layer takes a fixed time and one per multiply-accumulate, dense layers nothing but that."""

    def __init__(self, overhead: float) -> None:
        self.overhead = overhead

    def chain_ns(self, chain: list[keras.Layer], input_shape: tuple[int, ...]) -> float:
        image = keras.Input(input_shape)
        x = image
        for layer in chain:
            x = type(layer).from_config({**layer.get_config(), "name": None})(x)
        return self.model_ns(keras.Model(image, x))

    def model_ns(self, model: keras.Model) -> float:
        weighty = sum(bool(layer.weights) for layer in model.layers)
        return count_macs(model) + self.overhead * weighty

    def models_ns(self, models: list[keras.Model]) -> tuple[float, ...]:
        return tuple(map(self.model_ns, models))


def test_public_names() -> None:
    assert sorted(apply.__all__) == ["FactorizeResult", "LayerChange", "ModelLatency", "factorize"]


def test_factorize_replaces_what_gains_and_says_why_it_keeps_the_rest() -> None:
    model = low_rank_model()
    with weights_kept(model):
        heard: list[tuple[str, int, int]] = []
        config = FactorizeConfig(Method.TUCKER, energy=0.999, skip=("point",))
        result = factorize(model, config, told=lambda *each: heard.append(each))
    assert heard == [("factorize", done, 3) for done in (1, 2, 3)]
    assert [change.name for change in result.replaced] == ["shared", "hidden"]
    assert [(change.kind, change.ranks) for change in result.replaced] == [("tucker", (4, 4)), ("dense", (4,))]
    reasons = dict(result.kept)
    assert list(reasons) == ["stem", "depthwise", "point", "grouped", "logits"]
    assert reasons["point"] == "skipped by the recipe"
    assert reasons["logits"] == "it produces the model's output"
    assert "grouped" in reasons["grouped"] and "DepthwiseConv2D" in reasons["depthwise"]
    assert "less than 10%" in reasons["stem"]
    saved = sum(change.macs_before - change.macs_after for change in result.replaced)
    assert count_macs(model) - count_macs(result.model) == saved
    lost = sum(change.parameters_before - change.parameters_after for change in result.replaced)
    assert count_parameters(model) - count_parameters(result.model) == lost > 0
    assert all(change.error < 1e-6 and change.ns_before is None for change in result.replaced)
    np.testing.assert_allclose(call(result.model, images()), call(model, images()), atol=1e-4)
    np.testing.assert_allclose(call(saved_and_loaded(result.model), images()), call(result.model, images()), atol=1e-6)


def test_a_layer_that_saves_too_little_is_kept() -> None:
    result = factorize(low_rank_model(), FactorizeConfig(Method.TUCKER, energy=0.999, min_saving=0.95))
    assert result.replaced == () and result.latency is None
    assert "less than 95%" in dict(result.kept)["hidden"]


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    energy=st.floats(0.2, 0.9),
    method=st.sampled_from(Method),
    rule=st.sampled_from([RankRule.ENERGY, RankRule.VARIATIONAL_BAYES]),
    aware=st.booleans(),
)
def test_factorizing_any_network_keeps_its_interface(
    seed: int, energy: float, method: Method, rule: RankRule, aware: bool
) -> None:
    model, batch = random_network(seed), images()
    expected = call(model, batch)
    config = FactorizeConfig(method, rule, energy, multiple=1)
    result = factorize(model, config, labelled(model, 16) if aware else None)
    assert isinstance(result, FactorizeResult)
    assert all(change.macs_after < change.macs_before for change in result.replaced)
    assert count_macs(result.model) <= count_macs(model)
    assert call(result.model, batch).shape == expected.shape
    np.testing.assert_array_equal(call(model, batch), expected)


def test_full_energy_keeps_the_answers() -> None:
    model, batch = random_network(11), images()
    result = factorize(model, FactorizeConfig(energy=1.0, min_saving=0.0, multiple=1, method=Method.SPATIAL))
    np.testing.assert_allclose(call(result.model, batch), call(model, batch), atol=1e-4)


def every_way() -> keras.Model:
    """Strides, dilation, padding, a layer without a bias, one that is used twice: each to be written another way."""
    image = keras.Input((9, 8, 3), dtype="uint8")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="a")(layers.Rescaling(1 / 255)(image))
    shared = layers.Conv2D(8, 3, dilation_rate=2, padding="same", use_bias=False, name="b")
    x = layers.Add()([shared(layers.ReLU()(shared(x))), x])
    x = layers.Conv2D(8, (3, 2), strides=(2, 1), activation="relu", name="c")(x)
    x = layers.Conv2D(9, 3, strides=2, padding="same", name="d")(layers.ZeroPadding2D(1)(x))
    x = layers.Conv2D(8, 1, strides=2, activation="relu", name="e")(x)
    model = keras.Model(image, layers.Dense(5, name="f")(layers.Flatten()(x)))
    randomize(model, np.random.default_rng(2))
    return model


def test_given_ranks_are_taken_and_every_way_converts() -> None:
    model, batch = every_way(), images(3, shape=(9, 8, 3))
    pairs = FactorizeConfig(
        Method.SPATIAL,
        RankRule.GIVEN,
        ranks={"a": (3,), "b": (7,), "e": (3,), "f": (2,)},
        min_saving=0.0,
    )
    result = factorize(model, pairs)
    assert [(change.name, change.kind, change.ranks) for change in result.replaced] == [
        ("a", "spatial", (3,)),
        ("b", "spatial", (7,)),
        ("e", "pointwise", (3,)),
        ("f", "dense", (2,)),
    ]
    assert dict(result.kept)["c"] == "the recipe gives it no ranks"
    both = FactorizeConfig(Method.CP, RankRule.GIVEN, ranks={"d": (8,)}, min_saving=0.0)
    result = factorize(result.model, both)
    last = FactorizeConfig(Method.AUTO, RankRule.GIVEN, ranks={"c": (4, 4)}, min_saving=0.0)
    result = factorize(result.model, last)
    names = [layer.name for layer in result.model.layers]
    assert {"a_vertical", "a_horizontal", "c_reduce", "c_core", "c_expand", "d_core", "f_expand"} <= set(names)
    assert names.count("b_vertical") == 1
    np.testing.assert_allclose(run_tflite(export_tflite(result.model), batch), call(result.model, batch), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"skip": ("nowhere",)}, "'nowhere'"),
        ({"ranks": {"nowhere": (4,)}}, "ranks must name .*'nowhere' .there is no such layer"),
        ({"ranks": {"depthwise": (4,)}}, "ranks must name .*'depthwise' .a DepthwiseConv2D"),
        ({"ranks": {"hidden": (33,)}}, r"'hidden' must be between 1 and 32\. Received: 33"),
        ({"ranks": {"shared": (17, 4)}}, r"'shared' must be between 1 and 16\. Received: 17"),
        ({"ranks": {"hidden": (4, 4)}}, r"ranks of 'hidden' must be 1 in number\. Received: \[4, 4\]"),
        ({"data_aware": True}, "data_aware = true needs training images"),
        ({"rank": "auto"}, "accuracy_drop needs validation images"),
    ],
)
def test_what_cannot_be_done_is_refused(values: dict[str, object], message: str) -> None:
    model = low_rank_model()
    with weights_kept(model), pytest.raises(RecipeError, match=message) as caught:
        factorize(model, FactorizeConfig(**values))  # type: ignore[arg-type]
    assert_one_line(caught.value)


def test_calibration_images_of_another_size_are_refused() -> None:
    wrong = Examples(images(4, shape=(8, 8, 3)), np.zeros(4, np.int64))
    with pytest.raises(ModelError, match="Calibration images must have the size") as caught:
        factorize(low_rank_model(), FactorizeConfig(), LearningData(wrong, wrong))
    assert_one_line(caught.value)


def test_automatic_ranks_meet_the_budget_and_calibration_helps() -> None:
    model = random_network(4)
    data = labelled(model)
    config = FactorizeConfig(Method.TUCKER, RankRule.AUTO, budget=Budget(macs=0.6, parameters=0.8), multiple=1)
    aware, plain = factorize(model, config, data), factorize(model, dataclasses.replace(config, data_aware=False), data)
    for result in (aware, plain):
        assert count_macs(result.model) <= 0.6 * count_macs(model)
        assert count_parameters(result.model) <= 0.8 * count_parameters(model)
    batch = data.validation.x
    lost = [np.mean((call(result.model, batch) - call(model, batch)) ** 2) for result in (aware, plain)]
    assert lost[0] < lost[1]
    again = factorize(model, config, data)
    assert again.replaced == aware.replaced
    assert all(map(np.array_equal, again.model.get_weights(), aware.model.get_weights()))
    with pytest.raises(BudgetError, match="limit on macs cannot be met") as caught:
        factorize(model, dataclasses.replace(config, budget=Budget(macs=0.01)), data)
    assert_one_line(caught.value)


def test_automatic_ranks_keep_the_accuracy_by_default() -> None:
    model = low_rank_model()
    data = labelled(model)
    result = factorize(model, FactorizeConfig(rank=RankRule.AUTO, method=Method.SPATIAL), data)
    assert accuracy(result.model, data.validation) >= 0.99
    assert count_macs(result.model) < 0.8 * count_macs(model)


def test_layers_that_would_not_be_faster_are_kept() -> None:
    model = low_rank_model()
    config = FactorizeConfig(Method.SPATIAL, energy=0.999, latency=True)
    slow = factorize(model, config, meter=Clock(overhead=1e6))  # type: ignore[arg-type]
    assert slow.replaced == ()
    assert "would not be faster" in dict(slow.kept)["hidden"]
    fast = factorize(model, config, meter=Clock(overhead=10))  # type: ignore[arg-type]
    assert {change.name for change in fast.replaced} == {"shared", "point", "hidden"}
    hidden = next(change for change in fast.replaced if change.name == "hidden")
    assert (hidden.ns_before, hidden.ns_after) == (hidden.macs_before + 10, hidden.macs_after + 20)
    assert fast.latency is not None
    assert fast.latency.before_ns > fast.latency.predicted_ns > 0
    assert fast.latency.after_ns == Clock(10).model_ns(fast.model)


def test_a_latency_budget_is_measured_on_the_whole() -> None:
    model = low_rank_model()
    config = FactorizeConfig(Method.SPATIAL, RankRule.AUTO, budget=Budget(latency=0.7), ranks={"point": (3,)})
    result = factorize(model, config, meter=Clock(overhead=100))  # type: ignore[arg-type]
    assert result.latency is not None
    assert result.latency.after_ns <= 0.7 * result.latency.before_ns
    assert next(change.ranks for change in result.replaced if change.name == "point") == (
        3,
    )  # whatever the budget says
    with pytest.raises(BudgetError, match="latency"):
        factorize(model, dataclasses.replace(config, budget=Budget(latency=0.01)), meter=Clock(overhead=100))  # type: ignore[arg-type]
