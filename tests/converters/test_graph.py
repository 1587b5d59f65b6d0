"""Models are taken apart and put together again without a trace on the original."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters import graph
from edge_sdk_converters.errors import ModelError, RecipeError
from edge_sdk_converters.graph import flatten, rebuild, require_layers, trace
from edge_sdk_converters.light import LightConv2D, LightDense
from tests.converters.networks import call, images, random_network, randomize, saved_and_loaded


def nested_model() -> keras.Model:
    """One inner model used twice, inside another, with a layer name that occurs at every level."""
    inner = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(4, 3, padding="same", name="conv")], name="inner")
    inner.add(layers.BatchNormalization(name="norm"))
    middle_input = keras.Input((6, 6, 4))
    middle_conv = layers.Conv2D(4, 1, name="conv")(middle_input)
    middle = keras.Model(middle_input, layers.ReLU()(inner(middle_conv)), name="middle")
    image = keras.Input(batch_shape=(1, 6, 6, 3), dtype="uint8", name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(layers.Rescaling(1 / 255)(image))
    x = keras.ops.relu(x + middle(inner(x, training=False)) * 2.0)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="outer")
    randomize(model, np.random.default_rng(1))
    return model


def test_public_names() -> None:
    assert sorted(graph.__all__) == [
        "Call",
        "Graph",
        "flatten",
        "rebuild",
        "require_kernels",
        "require_layers",
        "trace",
    ]


def test_flatten_inlines_nested_models_and_keeps_what_they_compute() -> None:
    model = nested_model()
    flat = flatten(model)
    batch = images(1)
    np.testing.assert_array_equal(call(flat, batch), call(model, batch))
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert [layer.name for layer in flat.layers if isinstance(layer, layers.Conv2D)] == [
        "conv",
        "inner_conv",
        "middle_conv",
    ]
    assert flat.built and not flat.compiled


def test_flatten_keeps_input_shape_type_and_names() -> None:
    flat = flatten(nested_model())
    assert (flat.name, flat.input.name, flat.input.shape, flat.input.dtype) == ("outer", "image", (1, 6, 6, 3), "uint8")


def test_training_argument_reaches_inlined_layers() -> None:
    norms = [step for step in trace(nested_model()).calls if isinstance(step.layer, layers.BatchNormalization)]
    assert [step.kwargs.get("training") for step in norms] == [False, None]
    assert norms[0].layer is norms[1].layer


def test_flatten_leaves_a_compiled_original_alone() -> None:
    model = nested_model()
    model.compile("adam", "mse")
    batch, before = images(1), [value.copy() for value in model.get_weights()]
    expected = call(model, batch)
    flat = flatten(model)
    flat.set_weights([np.zeros_like(value) for value in flat.get_weights()])
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(call(model, batch), expected)
    assert isinstance(model.get_layer("conv").output, keras.KerasTensor)  # refused once a layer has two calls


def test_flatten_takes_sequential_models() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="a"), layers.Dropout(0.5), layers.Dense(2, name="b")]
    )
    flat = flatten(model)
    batch = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(call(flat, batch), call(model, batch))
    assert not isinstance(flat, keras.Sequential)


def test_normalization_statistics_are_copied() -> None:
    norm = layers.Normalization()
    norm.adapt(np.arange(12, dtype=np.float32).reshape(4, 3))
    model = keras.Sequential([keras.Input((3,)), norm])
    batch = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(call(flatten(model), batch), call(model, batch))


def test_trace_lists_operations_too() -> None:
    kinds = [type(step.layer).__name__ for step in trace(nested_model()).calls]
    assert kinds.count("Conv2D") == 4
    assert {"Add", "Multiply", "Relu"} <= set(kinds)


def test_rebuild_replaces_a_shared_layer_once() -> None:
    traced = trace(nested_model())
    asked: list[str] = []

    def replace(layer: keras.Operation) -> list[keras.Layer] | None:
        asked.append(layer.name)
        return (
            [layers.Conv2D(2, 1, name="one"), layers.Conv2D(4, 1, name="two")] if layer.name == "inner_conv" else None
        )

    model = rebuild(traced, replace)
    assert asked.count("inner_conv") == 1
    assert [layer.name for layer in model.layers if layer.name in ("one", "two", "inner_conv")] == ["one", "two"]
    np.testing.assert_array_equal(model.get_layer("conv").get_weights()[0], traced.layers[1].get_weights()[0])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_rebuilt_models_equal_their_original_and_survive_saving(seed: int) -> None:
    model, batch = random_network(seed), images()
    rebuilt = rebuild(trace(model), lambda layer: None)
    np.testing.assert_array_equal(call(rebuilt, batch), call(model, batch))
    np.testing.assert_allclose(call(saved_and_loaded(rebuilt), batch), call(model, batch), atol=1e-6)


@keras.saving.register_keras_serializable(package="test_graph")
class Composite(layers.Layer):
    """Parts of every kind: one that has parts itself, one with a mode, a nested model."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        inner = [keras.Input((6, 6, 4)), layers.Conv2D(4, 1, name="conv"), layers.BatchNormalization(name="norm")]
        self.light = LightConv2D(4, 3, 2, name="light")
        self.norm = layers.BatchNormalization(name="norm")
        self.inner = keras.Sequential(inner, name="inner")

    def parts(self) -> list[keras.Layer]:
        return [self.light, self.norm, self.inner]

    def call(self, inputs: object, training: bool | None = None) -> object:
        return self.inner(self.norm(self.light(inputs), training=training), training=training)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    shared=st.booleans(), nested=st.booleans(), composite=st.booleans(), k=st.integers(1, 4), seed=st.integers(0, 100)
)
def test_layers_with_parts_are_seen_as_their_parts(
    shared: bool, nested: bool, composite: bool, k: int, seed: int
) -> None:
    image = keras.Input((6, 6, 3), dtype="uint8", name="image")
    stem = LightConv2D(4, 3, k, name="light")(layers.Rescaling(1 / 255)(image))
    block: keras.Layer = Composite(name="composite") if composite else LightConv2D(4, 3, k, name="block")
    if nested:
        block = keras.Sequential([keras.Input((6, 6, 4)), block, LightConv2D(4, 1, 1, name="light")], name="nested")
    x = block(block(stem)) if shared else block(stem)
    model = keras.Model(image, LightDense(3, min(k, 3), name="head")(layers.Flatten()(x)))
    randomize(model, np.random.default_rng(seed))
    flat, batch = flatten(model), images(seed=seed)
    np.testing.assert_allclose(call(flat, batch), call(model, batch), atol=1e-5, rtol=1e-5)
    assert flat.count_params() == model.count_params()
    assert not any(hasattr(layer, "parts") for layer in flat.layers)
    names = [layer.name for layer in flat.layers]
    assert {"light_reduce", "light_expand", "head_reduce", "head_expand"} <= set(names)
    assert ("nested_light_reduce" in names) is nested
    assert ("composite_light_expand" in names) is ("composite_norm" in names) is composite


def test_the_training_argument_reaches_every_part() -> None:
    image = keras.Input((6, 6, 4))
    model = keras.Model(image, Composite(name="composite")(image, training=False))
    norms = [step for step in trace(model).calls if isinstance(step.layer, layers.BatchNormalization)]
    assert [step.kwargs.get("training") for step in norms] == [False, False]


def test_shared_parts_stay_shared() -> None:
    image = keras.Input((6, 6, 4))
    block = LightConv2D(4, 3, 2, name="block")
    graph = trace(keras.Model(image, block(block(image))))
    assert [step.layer.name for step in graph.calls] == ["block_reduce", "block_expand"] * 2
    assert len(graph.layers) == 2


class Hollow(layers.Layer):
    def parts(self) -> list[keras.Layer]:
        return []

    def call(self, inputs: object) -> object:
        return inputs


def test_layers_without_a_part_are_refused() -> None:
    image = keras.Input((4,))
    with pytest.raises(ModelError, match=r"parts\(\) must give at least one layer.*Hollow"):
        flatten(keras.Model(image, Hollow()(image)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs: object) -> object:
        return self.dense(inputs)


class Overridden(keras.Model):
    def call(self, inputs: object) -> object:
        return super().call(inputs) * 2


class Closed(layers.Layer):
    def __init__(self, table: object, **options: object) -> None:
        super().__init__(**options)
        self.table = table

    def call(self, inputs: object) -> object:
        return inputs


def test_models_without_a_graph_are_refused() -> None:
    subclassed = Subclassed()
    subclassed(np.ones((1, 4), np.float32))
    image = keras.Input((4,))
    for model in (subclassed, keras.Model(image, subclassed(image)), keras.Sequential([layers.Dense(2)])):
        with pytest.raises(ModelError, match="must have a functional graph"):
            flatten(model)


def test_functional_models_with_their_own_call_are_refused() -> None:
    image = keras.Input((4,))
    with pytest.raises(ModelError, match="call method of its own"):
        flatten(Overridden(image, layers.Dense(2)(image)))


def test_layers_that_cannot_be_rebuilt_are_refused() -> None:
    image = keras.Input((4,))
    with pytest.raises(ModelError, match="rebuildable from its get_config"):
        flatten(keras.Model(image, Closed(object())(image)))


def test_unknown_layer_names_are_refused() -> None:
    with pytest.raises(RecipeError, match="'convv'"):
        require_layers(trace(nested_model()), ["conv", "convv"])
