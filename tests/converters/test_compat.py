"""Runtimes that a bundle is for: recipes that take the right form, models that are refused, and settings that help."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edge_sdk_converters import compat as module
from edge_sdk_converters.compat import (
    not_running_on,
    parse_runtimes,
    recipe_for_runtimes,
    require_recipe,
    require_runtimes,
    suggestion,
)
from edge_sdk_converters.errors import CompatibilityError, RecipeError
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.recipe import BUILT_IN, Recipe, Step
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime.gate import Runtime, check_operators
from edge_sdk_runtime.operators import Operator, Tensor, read_operators
from tests.converters.helpers import assert_one_line, plain_network
from tests.converters.networks import SIDE
from tests.runtime.helpers import make_bundle

OLD, NEW = Runtime("tflite-runtime", "2.14.0"), Runtime("ai-edge-litert", "2.3.0")
EVERYWHERE = {"tflite-runtime": "2.13.0", "ai-edge-litert": "1.0.0"}


@pytest.fixture(scope="module")
def models() -> dict[QuantizeMode, bytes]:
    """A convolution and a dense layer in every mode."""
    model: keras.Model = plain_network()
    exported = export_tflite(model)
    images = np.random.default_rng(0).integers(0, 256, (4, *model.inputs[0].shape[1:]), np.uint8)
    return {mode: quantize(exported, QuantizeConfig(mode), images) for mode in QuantizeMode}


def recipe_of(config: QuantizeConfig) -> Recipe:
    return Recipe("mine", steps=(Step(config),))


def test_public_names() -> None:
    names = ["not_running_on", "parse_runtimes", "recipe_for_runtimes", "require_recipe", "require_runtimes"]
    assert sorted(module.__all__) == [*names, "suggestion"]


def test_runtimes_are_named_as_pip_does_and_once() -> None:
    assert parse_runtimes(["tflite-runtime==2.14.0", "ai-edge-litert", "tflite-runtime"])[0] == OLD
    assert len(parse_runtimes(["tflite-runtime==2.14.0", "tflite-runtime"])) == 1
    assert parse_runtimes([]) == ()


def test_an_unknown_runtime_is_refused_with_those_known() -> None:
    with pytest.raises(RecipeError, match=r"must be one of tflite-runtime==2\.13\.0.*Received: 'tflite==1'") as caught:
        parse_runtimes(["tflite==1"])
    assert_one_line(caught.value)


def test_dynamic_int8_takes_the_form_that_old_runtimes_compute_rightly() -> None:
    config = QuantizeConfig(
        QuantizeMode.DYNAMIC_INT8, layers={"conv": QuantizeMode.FLOAT32, "a": QuantizeMode.DYNAMIC_INT8}
    )
    changed = recipe_for_runtimes(recipe_of(config), [NEW, OLD]).quantize
    assert changed.mode is QuantizeMode.DYNAMIC_INT8_TENSOR
    assert changed.layers == {"conv": QuantizeMode.FLOAT32, "a": QuantizeMode.DYNAMIC_INT8_TENSOR}


@pytest.mark.parametrize("runtimes", [(), (NEW,)])
def test_a_recipe_stays_as_it_is_for_runtimes_that_compute_it(runtimes: tuple[Runtime, ...]) -> None:
    recipe = recipe_of(QuantizeConfig(QuantizeMode.DYNAMIC_INT8))
    assert recipe_for_runtimes(recipe, runtimes) is recipe


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_need_no_other_form(name: str) -> None:
    assert recipe_for_runtimes(BUILT_IN[name], [OLD]) == BUILT_IN[name]


def test_a_recipe_is_refused_before_it_trains() -> None:
    model, images = plain_network(), np.zeros((1, SIDE, SIDE, 3), np.uint8)
    steps = (Step(PruneConfig(fraction=0.3)), Step(QuantizeConfig(QuantizeMode.WEIGHTS_INT4)))
    with pytest.raises(CompatibilityError, match="Every operator of the model must run on tflite-runtime") as caught:
        require_recipe(model, Recipe("mine", steps=steps), images, [OLD])
    assert_one_line(caught.value)
    require_recipe(model, Recipe("mine", steps=steps), images, [NEW])
    kept = QuantizeConfig(QuantizeMode.WEIGHTS_INT4, layers={"conv": QuantizeMode.FLOAT32})
    require_recipe(model, Recipe("mine", steps=(steps[0], Step(kept))), images, [OLD])  # the finished model will tell


@pytest.mark.parametrize(
    ("mode", "oldest"),
    [
        (QuantizeMode.FLOAT32, EVERYWHERE),
        (QuantizeMode.FLOAT16, EVERYWHERE),
        (QuantizeMode.DYNAMIC_INT8, {"ai-edge-litert": "1.0.0"}),
        (QuantizeMode.DYNAMIC_INT8_TENSOR, EVERYWHERE),
        (QuantizeMode.STATIC_INT8, EVERYWHERE),
        (QuantizeMode.WEIGHTS_INT8, EVERYWHERE),
        (QuantizeMode.WEIGHTS_INT4, {"ai-edge-litert": "1.0.0"}),
        (QuantizeMode.DYNAMIC_INT4, {"ai-edge-litert": "1.1.1"}),
    ],
)
def test_the_oldest_releases_are_told(
    models: dict[QuantizeMode, bytes], mode: QuantizeMode, oldest: dict[str, str]
) -> None:
    assert require_runtimes({"classifier.tflite": models[mode]}, ()) == oldest


def test_releases_must_run_every_model(models: dict[QuantizeMode, bytes]) -> None:
    both = {"encoder.tflite": models[QuantizeMode.WEIGHTS_INT4], "head.tflite": models[QuantizeMode.DYNAMIC_INT4]}
    assert require_runtimes(both, (NEW,)) == {"ai-edge-litert": "1.1.1"}


@pytest.mark.parametrize(
    ("mode", "operator", "mended"),
    [
        (QuantizeMode.DYNAMIC_INT8, "FULLY_CONNECTED float32×int8 per channel in layer 'dense", QuantizeMode.DYNAMIC_INT8_TENSOR),
        (QuantizeMode.WEIGHTS_INT4, "DEQUANTIZE int4 in layer 'conv2d", QuantizeMode.WEIGHTS_INT8),
        (QuantizeMode.DYNAMIC_INT4, "CONV_2D float32×int4 per channel in layer 'conv2d", QuantizeMode.DYNAMIC_INT8_TENSOR),
    ],
)  # fmt: skip
def test_a_runtime_that_does_not_run_it_is_told_operator_layer_and_the_mode_that_helps(
    models: dict[QuantizeMode, bytes], mode: QuantizeMode, operator: str, mended: QuantizeMode
) -> None:
    with pytest.raises(
        CompatibilityError, match=r"^Every operator of classifier\.tflite must run on tflite-runtime"
    ) as caught:
        require_runtimes({"classifier.tflite": models[mode]}, (NEW, OLD))
    assert_one_line(caught.value)
    assert operator in str(caught.value)
    assert "it runs on ai-edge-litert 1." in str(caught.value)
    assert str(caught.value).endswith(f"To avoid it, quantize with mode = '{mended.value}'.")
    require_runtimes({"classifier.tflite": models[mended]}, (NEW, OLD))


def operator(name: str, kind: str, version: int = 1, custom: bool = False) -> Operator:
    given = (Tensor("net_1/act_1/X", "float32", (1, 4)),)
    return Operator(name, version, (Tensor("x", kind, (1, 4)),), given, custom)


@pytest.mark.parametrize(
    ("unsupported", "words"),
    [
        (operator("FlexErf", "float32", custom=True), "replace the layer"),
        (operator("SLICE", "float32", version=8), "layers = { act = 'float32' }"),
        (operator("GELU", "int16"), "mode = 'static-int8'"),
        (operator("SQRT", "int8"), "keep the layer in float32 with layers = { act = 'float32' }"),
    ],
)
def test_every_finding_has_a_setting_that_avoids_it(unsupported: Operator, words: str) -> None:
    (finding,) = check_operators([unsupported], OLD)
    assert words in suggestion(finding)


def test_a_bundle_tells_where_it_does_not_run(models: dict[QuantizeMode, bytes]) -> None:
    bundle = make_bundle({"classifier.tflite": models[QuantizeMode.DYNAMIC_INT8]}, staged=None, default_form="fused")
    found = not_running_on(bundle)
    assert list(found) == [OLD]
    assert [finding.operator for finding in found[OLD]] == ["FULLY_CONNECTED"]
    plain = make_bundle({"classifier.tflite": models[QuantizeMode.STATIC_INT8]}, staged=None, default_form="fused")
    assert not_running_on(plain) == {}


def test_the_release_at_hand_runs_every_mode(models: dict[QuantizeMode, bytes]) -> None:
    for content in models.values():
        assert check_operators(read_operators(content), NEW) == ()
