"""Which layer an operator came from, whatever the converter made of it, and modes for single layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, norms, places, quantize
from edge_sdk_converters.quantize.norms import unfolded_norms
from edge_sdk_converters.quantize.places import Place, layer_names, read_places, require_known
from edge_sdk_converters.quantize.rules import modes_of, normalizing_layers, quantized_places, require_effect
from edge_sdk_converters.quantize.sensitivity import snr_db
from edge_sdk_converters.tflite import export_tflite
from tests.converters.helpers import assert_one_line, operators, run_tflite
from tests.converters.networks import images, randomize

BATCH = images(24, shape=(8, 8, 3))


@pytest.fixture(scope="module")
def zoo() -> bytes:
    """Every kind of layer, called so that one name is another's with a number behind it."""
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    y = layers.BatchNormalization(name="norm_1")(layers.DepthwiseConv2D(3, padding="same", name="conv_1")(x))
    x = layers.ReLU(6.0, name="relu_1")(layers.Add(name="sum")([x, y]))
    x = layers.BatchNormalization(name="norm_2")(x)
    x = layers.SeparableConv2D(5, 3, activation="relu", name="conv_2")(x)
    x = layers.BatchNormalization(name="norm_3")(layers.Conv2DTranspose(4, 2, strides=2, name="conv_1_1")(x))
    x = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(layers.LeakyReLU(name="leaky")(x))
    x = layers.MaxPooling2D(2, name="pool")(layers.GroupNormalization(2, name="groups")(x))
    x = layers.BatchNormalization(name="norm_4")(layers.Dense(7, name="hidden")(layers.Flatten(name="flatten")(x)))
    scores = layers.Dense(3, activation="softmax", name="scores")(layers.ReLU(name="relu_2")(x))
    model = keras.Model(image, scores, name="zoo")
    randomize(model, np.random.default_rng(0))
    return export_tflite(model)


def modes_by_layer(content: bytes, config: QuantizeConfig) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place, mode in zip(read_places(content), modes_of(read_places(content), config), strict=True):
        found.setdefault(place.layer, set()).add(mode.value)
    return found


def element_types(content: bytes) -> dict[str, str]:
    """Type of every kernel in a file, by a part of its name."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=content).get_tensor_details()
    return {each["name"]: each["dtype"].__name__ for each in details}


def test_public_names() -> None:
    assert sorted(places.__all__) == ["Place", "layer_names", "read_places", "require_known"]
    assert sorted(norms.__all__) == ["unfolded_norms"]


def test_every_operator_is_traced_to_its_layer(zoo: bytes) -> None:
    found = [(place.operator, place.layer) for place in read_places(zoo) if place.layer != "groups"]
    assert found == [
        ("CAST", ""),
        ("MUL", "scaling"),
        ("ADD", "scaling"),
        ("CONV_2D", "conv"),
        ("DEPTHWISE_CONV_2D", "conv_1"),
        ("ADD", "sum"),
        ("MUL", "norm_2"),
        ("ADD", "norm_2"),
        ("DEPTHWISE_CONV_2D", "conv_2"),
        ("CONV_2D", "conv_2"),
        ("TRANSPOSE_CONV", "conv_1_1"),
        ("LEAKY_RELU", "leaky"),
        ("CONV_2D", "gate"),
        ("LOGISTIC", "gate"),
        ("MAX_POOL_2D", "pool"),
        ("RESHAPE", "flatten"),
        ("FULLY_CONNECTED", "hidden"),
        ("FULLY_CONNECTED", "scores"),
        ("SOFTMAX", "scores"),
    ]


def test_what_is_fused_comes_with_what_it_is_fused_into(zoo: bytes) -> None:
    fused = {place.layer: set(place.layers) for place in read_places(zoo) if place.has_kernel}
    assert fused["conv"] == {"conv", "norm", "relu"}
    assert fused["conv_1"] == {"conv_1", "norm_1"}
    assert fused["hidden"] == {"hidden", "norm_4", "relu_2"}
    assert {place.layer for place in read_places(zoo) if "relu_1" in place.layers} == {"sum"}


def test_batch_norms_are_folded_where_they_can_be_and_named_where_not(zoo: bytes) -> None:
    """Behind a convolution of any kind and a dense layer nothing is left of them; behind a sum there is."""
    assert unfolded_norms(zoo) == ("norm_2",)
    left = [place for place in read_places(zoo) if place.layer.startswith("norm")]
    assert [(place.operator, place.layer) for place in left] == [("MUL", "norm_2"), ("ADD", "norm_2")]
    others = [place.layer for place in read_places(zoo) if place.operator in ("MUL", "ADD", "SUB")]
    assert set(others) == {"scaling", "sum", "norm_2", "groups"}


def test_the_last_layer_may_give_logits() -> None:
    """The converter calls the last operator by the function that it ends; its kernel tells the layer."""
    model = keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), layers.Flatten(), layers.Dense(3, name="logits")])
    assert read_places(export_tflite(model))[-1].layer == "logits"


def test_modes_are_mixed_by_layer(zoo: bytes) -> None:
    config = QuantizeConfig(
        QuantizeMode.STATIC_INT8,
        24,
        layers={"conv": "float16", "relu_1": "float32", "conv_2": "weights-int4", "hidden": "dynamic-int8"},
    )
    modes = modes_by_layer(zoo, config)
    assert modes["conv"] == {"float16"} and modes["sum"] == {"float32"} and modes["hidden"] == {"dynamic-int8"}
    assert modes["conv_2"] == {"weights-int4"} and modes["scores"] == {"static-int8"}
    mixed = quantize(zoo, config, BATCH)
    types = element_types(mixed)
    kinds = {name.split("/")[1]: kind for name, kind in types.items() if name.endswith(("/convolution", "/MatMul"))}
    assert kinds["conv_1"] == "float16" and kinds["gate_1"] == "int8" and kinds["scores_1"] == "int8"
    assert snr_db(run_tflite(zoo, BATCH), run_tflite(mixed, BATCH)) > 25


def test_float32_has_the_last_word_where_layers_are_fused(zoo: bytes) -> None:
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, layers={"conv": "dynamic-int8", "relu": "float32"})
    assert modes_by_layer(zoo, config)["conv"] == {"float32"}


def test_layers_that_normalise_stay_in_float32_unless_they_are_named(zoo: bytes) -> None:
    assert normalizing_layers(read_places(zoo)) == ("groups",)
    static = QuantizeConfig(QuantizeMode.STATIC_INT8, 24)
    assert modes_by_layer(zoo, static)["groups"] == {"float32"}
    named = QuantizeConfig(QuantizeMode.STATIC_INT8, 24, layers={"groups": "static-int8"})
    assert modes_by_layer(zoo, named)["groups"] == {"static-int8"}
    kept, forced = (quantize(zoo, config, BATCH) for config in (static, named))
    assert "RSQRT" in operators(kept) and operators(kept)["DEQUANTIZE"] < operators(forced)["DEQUANTIZE"]
    assert snr_db(run_tflite(zoo, BATCH), run_tflite(kept, BATCH)) > 40


def test_int16_activations_run_although_pixels_have_an_offset(zoo: bytes) -> None:
    quantized = quantize(zoo, QuantizeConfig(QuantizeMode.STATIC_INT16, 24), BATCH)
    assert "int16" in element_types(quantized).values()
    assert snr_db(run_tflite(zoo, BATCH), run_tflite(quantized, BATCH)) > 40


def test_int4_takes_int8_where_there_is_no_int4_kernel(zoo: bytes) -> None:
    whole, four = (
        quantize(zoo, QuantizeConfig(QuantizeMode(mode)), BATCH) for mode in ("weights-int8", "weights-int4")
    )
    assert operators(whole) == operators(four)
    assert operators(four)["DEQUANTIZE"] == sum(place.has_kernel for place in read_places(zoo))
    assert len(four) < len(whole)


def test_unknown_layers_are_refused_with_those_most_like_them(zoo: bytes) -> None:
    for call in (
        lambda: quantize(zoo, QuantizeConfig(QuantizeMode.DYNAMIC_INT8, layers={"hiden": "float32"}), BATCH),
        lambda: quantize(zoo, QuantizeConfig(QuantizeMode.DYNAMIC_INT8), BATCH, ["hiden"]),
    ):
        with pytest.raises(
            RecipeError, match=r"must name layers .* Received: 'hiden'\. The nearest are hidden"
        ) as caught:
            call()
        assert_one_line(caught.value)
    require_known(read_places(zoo), layer_names(read_places(zoo)))


def test_a_mode_that_a_layer_has_no_form_of_is_refused(zoo: bytes) -> None:
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 24, layers={"pool": "weights-int8"})
    with pytest.raises(RecipeError, match=r"Received: weights-int8 for 'pool', which is MAX_POOL_2D\.") as caught:
        quantize(zoo, config, BATCH)
    assert_one_line(caught.value)


def test_a_mode_that_does_nothing_is_refused() -> None:
    alone = [Place("SOFTMAX", "a", "a;", "scores", ("scores",), False)]
    with pytest.raises(RecipeError, match=r"Received: dynamic-int8 for SOFTMAX\.") as caught:
        require_effect(alone, [QuantizeMode.DYNAMIC_INT8], {})
    assert_one_line(caught.value)
    assert quantized_places(alone, [QuantizeMode.STATIC_INT8]) == alone


def test_layers_behind_the_encoder_are_given_no_mode(zoo: bytes) -> None:
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 24, layers={"scores": "dynamic-int8"})
    with pytest.raises(RecipeError, match=r"behind the encoder in float32.* Received: dynamic-int8 for 'scores'"):
        quantize(zoo, config, BATCH, ["scores"])
