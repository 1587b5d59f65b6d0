"""What quantizing each layer costs, and which layers a budget keeps in float32."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import BudgetError, QuantizationError, RecipeError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, plan, quantize, sensitivity
from edge_sdk_converters.quantize.plan import Quantization, plan_quantization
from edge_sdk_converters.quantize.sensitivity import accuracy_of, snr_db
from edge_sdk_converters.stages import layers_after_encoder
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import Examples
from tests.converters.helpers import assert_one_line

AFTER = ("similarity", "hidden", "scores")
FRAGILE = "stage2_b_conv"
INT4 = QuantizeConfig(QuantizeMode.WEIGHTS_INT4, 32, trial_images=60, sensitivity=True)


@pytest.fixture(scope="module")
def exported(classifier: keras.Model) -> bytes:
    """A classifier of digits in whose layer `FRAGILE` one input channel outweighs the others: no four bits can hold both.

    The layer before it makes that channel as much smaller, so that the network computes what it did.
    """
    fragile = keras.models.clone_model(classifier)
    fragile.set_weights(classifier.get_weights())
    norm, layer = fragile.get_layer(FRAGILE.replace("b_conv", "a_norm")), fragile.get_layer(FRAGILE)
    gamma, beta, *statistics = norm.get_weights()
    kernel = layer.get_weights()[0]
    gamma[0], beta[0], kernel[:, :, 0] = gamma[0] / 60, beta[0] / 60, kernel[:, :, 0] * 60
    norm.set_weights([gamma, beta, *statistics])
    layer.set_weights([kernel])
    return export_tflite(fragile)


@pytest.fixture(scope="module")
def measured(exported: bytes, data: LearningData) -> Quantization:
    return plan_quantization(exported, INT4, data, accuracy_of(exported, data.validation), float_layers=AFTER)


def test_public_names() -> None:
    assert sorted(plan.__all__) == ["Quantization", "plan_quantization"]
    assert sorted(sensitivity.__all__) == [
        "LayerSensitivity",
        "Trial",
        "accuracy_of",
        "layers_to_keep",
        "measure_sensitivities",
        "snr_db",
    ]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.floats(1e-3, 1e3), st.integers(0, 1 << 16))
def test_a_signal_to_noise_ratio_counts_tenfold_errors_as_twenty_decibels(size: int, scale: float, seed: int) -> None:
    reference, error = np.random.default_rng(seed).normal(size=(2, size)).astype(np.float32)
    assert snr_db(reference, reference) == math.inf
    assert snr_db(np.zeros_like(reference), error) == -math.inf
    one, ten = (snr_db(scale * reference, scale * (reference + part * error)) for part in (0.1, 1.0))
    assert one - ten == pytest.approx(20, abs=0.05)


def test_the_layer_that_costs_most_is_found(measured: Quantization) -> None:
    costs = {each.name: each.snr_db for each in measured.sensitivities}
    assert min(costs, key=costs.__getitem__) == FRAGILE
    assert set(costs).isdisjoint(AFTER) and measured.float_layers == ()
    assert all(each.mode is QuantizeMode.WEIGHTS_INT4 and each.operators for each in measured.sensitivities)
    assert all(0 <= each.accuracy <= 1 for each in measured.sensitivities)


def test_a_budget_keeps_as_few_layers_as_it_takes(exported: bytes, measured: Quantization, data: LearningData) -> None:
    assert measured.accuracy_before - measured.accuracy > 0.05
    told: list[tuple[str, int, int]] = []
    config = dataclasses.replace(INT4, accuracy_drop=0.02)
    kept = plan_quantization(
        exported,
        config,
        data,
        measured.accuracy_before,
        float_layers=AFTER,
        told=lambda *what: told.append(what),
    )
    assert kept.float_layers[0] == FRAGILE and len(kept.float_layers) < len(measured.sensitivities)
    assert kept.accuracy >= kept.accuracy_before - 0.02
    assert kept.config.layers == dict.fromkeys(kept.float_layers, QuantizeMode.FLOAT32)
    content = quantize(exported, kept.config, data.train.x, AFTER)
    assert (len(content), accuracy_of(content, data.validation)) == (kept.tflite_bytes, kept.accuracy)
    assert {what for what, _, _ in told} == {"quantize: measure layers", "quantize: keep accuracy"}
    assert any(line.startswith("kept in float32 for the budget: ") for line in kept.details)
    assert sum(line.endswith(", kept in float32") for line in kept.details) == len(kept.float_layers)


def test_a_budget_that_nothing_meets_says_what_float32_reaches(exported: bytes, data: LearningData) -> None:
    config = dataclasses.replace(INT4, accuracy_drop=0.0)
    with pytest.raises(
        BudgetError, match=r"everything in float32 reaches 0\.\d+ on 60 .*Raise accuracy_drop"
    ) as caught:
        plan_quantization(exported, config, data, 1.01, float_layers=AFTER)
    assert_one_line(caught.value)


def test_the_account_says_what_it_costs_and_buys(exported: bytes, data: LearningData) -> None:
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 32)
    account = plan_quantization(exported, config, data, 1.0, float_layers=AFTER)
    first, second = account.details[:2]
    assert first.startswith(
        f"static-int8: 100.00% → {account.accuracy:.2%} on the validation images, {len(exported):,} → "
    )
    assert "points: aware = { epochs = 2 } fine-tunes" in second
    modest = dataclasses.replace(account, accuracy_before=account.accuracy + 0.009)
    assert not any("aware" in line for line in modest.details)
    assert account.config == config and account.sensitivities == ()


def test_nothing_to_judge_by_or_to_calibrate_with_is_refused(exported: bytes, data: LearningData) -> None:
    none = Examples(data.train.x[:0], data.train.y[:0])
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 32)
    with pytest.raises(QuantizationError, match=r"judged on validation images\. Received: none"):
        plan_quantization(exported, config, LearningData(data.train, none), 1.0)
    with pytest.raises(QuantizationError, match=r"at least one calibration image\. Received: none"):
        plan_quantization(exported, config, LearningData(none, data.validation), 1.0)
    with pytest.raises(RecipeError, match=r"Received: 'hiddn'\. The nearest are hidden"):
        plan_quantization(exported, dataclasses.replace(config, layers={"hiddn": "float32"}), data, 1.0)


def test_what_runs_behind_the_encoder_is_known(classifier: keras.Model) -> None:
    assert set(AFTER) <= set(layers_after_encoder(classifier))
