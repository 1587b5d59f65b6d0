"""Quantized files: the same contract, smaller, close to the float file, and quiet in the making."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edge_sdk_converters import quantize as module
from edge_sdk_converters.errors import QuantizationError, RecipeError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
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
    assert sorted(module.__all__) == ["QuantizeConfig", "QuantizeMode", "quantize"]


def test_float32_is_the_file_itself(exported: bytes, calibration: np.ndarray) -> None:
    assert quantize(exported, QuantizeConfig(), calibration) is exported


@pytest.mark.parametrize("config", [DYNAMIC, STATIC], ids=lambda config: config.mode.value)
def test_int8_keeps_the_contract_shrinks_and_agrees(
    config: QuantizeConfig,
    exported: bytes,
    calibration: np.ndarray,
    data: LearningData,
    capfd: pytest.CaptureFixture[str],
) -> None:
    capfd.readouterr()
    quantized = quantize(exported, config, calibration)
    assert capfd.readouterr() == ("", "")
    assert input_and_output(quantized) == (("uint8", [1, 8, 8, 1]), ("float32", [1, 10]))
    assert len(quantized) < 0.7 * len(exported)  # 6,000 weights: the graph itself is half of the file
    expected, received = (run_tflite(content, data.validation.x) for content in (exported, quantized))
    assert (expected.argmax(axis=1) == received.argmax(axis=1)).mean() >= 0.9
    # Cosines of near classes differ by a few of int8's steps of 1/127, and the head's weights magnify those differences.
    assert np.abs(expected - received).mean() < 0.04


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


@pytest.mark.parametrize("values", [{"mode": "int9"}, {"calibration_images": 0}])
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: "):
        QuantizeConfig(**values)


def test_calibration_images_of_another_size_are_refused(classifier: keras.Model) -> None:
    images = np.zeros((4, 9, 8, 1), np.uint8)
    with pytest.raises(QuantizationError, match=r"\[N, 8, 8, 1\]. Received: \[4, 9, 8, 1\]"):
        quantize(export_tflite(classifier), QuantizeConfig(QuantizeMode.STATIC_INT8), images)
