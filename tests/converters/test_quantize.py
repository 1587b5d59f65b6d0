"""Quantized files in every mode: the same contract, smaller, close to the float file, and quiet in the making."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray, read_model_from_bytearray

from edge_sdk_converters import quantize as module
from edge_sdk_converters.errors import QuantizationError, RecipeError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, apply, calibrate, config, quantize, rules, run
from edge_sdk_converters.quantize.calibrate import Range
from edge_sdk_converters.quantize.config import AwareConfig
from edge_sdk_converters.quantize.places import read_places
from edge_sdk_converters.tflite import export_tflite
from tests.converters.helpers import assert_one_line, input_and_output, operators, run_tflite

DYNAMIC, STATIC = QuantizeConfig(QuantizeMode.DYNAMIC_INT8), QuantizeConfig(QuantizeMode.STATIC_INT8, 64)


@pytest.fixture(scope="module")
def exported(classifier: keras.Model) -> bytes:
    return export_tflite(classifier)


@pytest.fixture(scope="module")
def calibration(data: LearningData) -> np.ndarray:
    return data.train.x


def test_public_names() -> None:
    assert sorted(module.__all__) == ["AwareConfig", "QuantizeConfig", "QuantizeMode", "quantize"]
    assert sorted(config.__all__) == ["AwareConfig", "QuantizeConfig", "QuantizeMode"]
    assert sorted(apply.__all__) == ["quantize", "quantize_places", "require_images"]
    assert sorted(calibrate.__all__) == ["Range", "calibrate"]
    assert sorted(run.__all__) == ["outputs_of"]
    assert sorted(rules.__all__) == [
        "modes_of",
        "normalizing_layers",
        "pixel_places",
        "quantized_places",
        "recipe_for",
        "require_effect",
    ]


def test_float32_is_the_file_itself(exported: bytes, calibration: np.ndarray) -> None:
    assert quantize(exported, QuantizeConfig(), calibration) is exported


@pytest.mark.parametrize(
    ("mode", "share", "error"),
    [
        # 6,000 weights: the graph itself is half of the file. Cosines of near classes differ by a few of int8's steps of
        # 1/127, and the head's weights magnify those differences.
        ("float16", 0.8, 1e-3),
        ("dynamic-int8", 0.7, 0.04),
        ("dynamic-int8-tensor", 0.7, 0.04),
        ("static-int8", 0.7, 0.04),
        ("static-int16x8", 0.75, 0.03),
        ("weights-int8", 0.7, 0.02),
        ("dynamic-int4", 0.6, 0.15),
        ("weights-int4", 0.6, 0.15),
    ],
)
def test_every_mode_keeps_the_contract_shrinks_and_agrees(
    mode: str,
    share: float,
    error: float,
    exported: bytes,
    calibration: np.ndarray,
    data: LearningData,
    capfd: pytest.CaptureFixture[str],
) -> None:
    capfd.readouterr()
    quantized = quantize(exported, QuantizeConfig(QuantizeMode(mode), 64), calibration)
    assert capfd.readouterr() == ("", "")
    assert input_and_output(quantized) == (("uint8", [1, 8, 8, 1]), ("float32", [1, 10]))
    assert len(quantized) < share * len(exported)
    expected, received = (run_tflite(content, data.validation.x) for content in (exported, quantized))
    assert np.abs(expected - received).mean() < error
    assert (expected.argmax(axis=1) == received.argmax(axis=1)).mean() >= (0.75 if "int4" in mode else 0.9)


def test_every_mode_is_tried_above() -> None:
    marks = test_every_mode_keeps_the_contract_shrinks_and_agrees.pytestmark
    assert {mode for mode, *_ in marks[0].args[1]} == {mode.value for mode in QuantizeMode} - {"float32"}


def test_black_and_white_pixels_have_their_own_steps(exported: bytes, calibration: np.ndarray) -> None:
    """The range of scaled pixels is known, whatever the images at hand hold."""
    dark = calibration[:16] // 8
    pixels = rules.pixel_places(read_places(exported))[-1]
    scaled = calibrate.calibrate(exported, dark)[pixels.output]
    assert (float(np.min(scaled["min"])), float(np.max(scaled["max"]))) == (0.0, 255.0)


def test_learnt_ranges_take_the_place_of_calibration(exported: bytes, calibration: np.ndarray) -> None:
    few, wide = calibration[:16], {"embedding": Range(-100.0, 100.0)}
    assert quantize(exported, STATIC, few, ranges=wide) != quantize(exported, STATIC, few)
    assert quantize(exported, STATIC, few, ranges={}) == quantize(exported, STATIC, few)


def test_a_file_with_custom_operators_is_refused(exported: bytes, calibration: np.ndarray) -> None:
    content = read_model_from_bytearray(bytearray(exported))
    code = content.operatorCodes[-1]
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, b"FlexErf"
    with pytest.raises(QuantizationError, match=r"Received: custom operator FlexErf\. Replace the layer") as caught:
        quantize(bytes(convert_object_to_bytearray(content)), DYNAMIC, calibration)
    assert_one_line(caught.value)


@pytest.mark.parametrize(("mode", "kind"), [("dynamic-int8", "INT8"), ("float16", "FLOAT16")])
def test_a_file_that_is_quantized_already_is_refused(
    mode: str, kind: str, exported: bytes, calibration: np.ndarray
) -> None:
    once = quantize(exported, QuantizeConfig(QuantizeMode(mode)), calibration)
    with pytest.raises(QuantizationError, match=rf"must hold float32 numbers\. Received: one with {kind}\.") as caught:
        quantize(once, DYNAMIC, calibration)
    assert_one_line(caught.value)


def test_what_is_no_tflite_file_is_refused() -> None:
    with pytest.raises(QuantizationError, match=r"must be a \.tflite file\. Received: 9 bytes"):
        read_places(b"not a one")


def test_a_file_that_no_interpreter_runs_is_refused(
    exported: bytes, calibration: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "quantize_places", lambda *_: exported[:512])
    with pytest.raises(QuantizationError, match=r"A quantized file must run\. Received: dynamic-int8, where") as caught:
        quantize(exported, DYNAMIC, calibration)
    assert_one_line(caught.value)


@pytest.mark.parametrize("config", [DYNAMIC, STATIC], ids=lambda config: config.mode.value)
def test_the_same_file_gives_the_same_bytes(config: QuantizeConfig, exported: bytes, calibration: np.ndarray) -> None:
    assert quantize(exported, config, calibration) == quantize(exported, config, calibration)


def test_only_the_first_calibration_images_count(exported: bytes, calibration: np.ndarray) -> None:
    few = QuantizeConfig(QuantizeMode.STATIC_INT8, 8)
    assert quantize(exported, few, calibration) == quantize(exported, few, calibration[:8])
    assert quantize(exported, few, calibration) != quantize(exported, few, calibration[8:])


@pytest.mark.parametrize("config", [DYNAMIC, STATIC], ids=lambda config: config.mode.value)
def test_layers_at_the_end_may_stay_in_float(config: QuantizeConfig, exported: bytes, calibration: np.ndarray) -> None:
    ends = ("similarity", "hidden", "scores")
    whole, mixed = quantize(exported, config, calibration), quantize(exported, config, calibration, ends)
    assert len(whole) < len(mixed) < len(exported)
    assert operators(mixed)["L2_NORMALIZATION"] == operators(mixed)["SOFTMAX"] == 1
    if config is STATIC:
        assert operators(mixed)["DEQUANTIZE"] == 1  # int8 ends once, before the similarity
    assert input_and_output(mixed) == (("uint8", [1, 8, 8, 1]), ("float32", [1, 10]))


def test_static_int8_without_images_is_refused(exported: bytes, calibration: np.ndarray) -> None:
    with pytest.raises(QuantizationError, match=r"at least one calibration image\. Received: none") as caught:
        quantize(exported, STATIC, calibration[:0])
    assert_one_line(caught.value)


def test_dynamic_int8_needs_no_images(exported: bytes, calibration: np.ndarray) -> None:
    assert quantize(exported, DYNAMIC, calibration[:0]) == quantize(exported, DYNAMIC, calibration)


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "int9"},
        {"calibration_images": 0},
        {"layers": {"conv": "int9"}},
        {"accuracy_drop": 1.0, "mode": "static-int8"},
        {"accuracy_drop": float("nan"), "mode": "static-int8"},
        {"trial_images": 0},
        {"aware": AwareConfig(), "mode": "float16"},
    ],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: ") as caught:
        QuantizeConfig(**values)
    assert_one_line(caught.value)


def test_a_budget_needs_a_mode_that_quantizes() -> None:
    with pytest.raises(RecipeError, match=r"must go with a mode that quantizes\. Received: mode float32"):
        QuantizeConfig(accuracy_drop=0.01)
    assert QuantizeConfig(layers={"conv": "static-int8"}, accuracy_drop=0.01).is_static


@pytest.mark.parametrize("values", [{"momentum": 1.0}, {"epochs": 0}, {"learning_rate": 0.0}, {"distillation": 2.0}])
def test_bad_values_of_fine_tuning_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(values))} .*must .*Received: "):
        AwareConfig(**values)


def test_calibration_images_of_another_size_are_refused(exported: bytes) -> None:
    images = np.zeros((4, 9, 8, 1), np.uint8)
    with pytest.raises(QuantizationError, match=r"uint8 \[N, 8, 8, 1\]. Received: uint8 \[4, 9, 8, 1\]"):
        quantize(exported, STATIC, images)
    with pytest.raises(QuantizationError, match=r"Received: float32 \[4, 8, 8, 1\]"):
        quantize(exported, STATIC, images[:, :8].astype(np.float32))
