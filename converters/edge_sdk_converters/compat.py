"""Runtimes that a bundle is for: which recipe runs there, whether its models do, and which setting helps where they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_sdk_runtime.errors import UsageError
from edge_sdk_runtime.gate import (
    Finding,
    Runtime,
    Trouble,
    check_operators,
    current_runtimes,
    oldest_runtimes,
    parse_runtime,
)
from edge_sdk_runtime.operators import Operator, Tensor, read_operators

from .errors import CompatibilityError, RecipeError
from .quantize.config import QuantizeConfig, QuantizeMode

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from edge_sdk_runtime import Bundle

    from .recipe import Recipe

__all__ = [
    "not_running_on",
    "parse_runtimes",
    "recipe_for_runtimes",
    "require_recipe",
    "require_runtimes",
    "suggestion",
]

_DENSE = Operator(
    "FULLY_CONNECTED",
    1,
    (Tensor("data", "float32", (1, 2)), Tensor("weights", "int8", (2, 2), constant=True, scale=1.0, scales=2), None),
    (Tensor("sums", "float32", (1, 2)),),
)
"""What dynamic-int8 makes of a dense layer."""
_CUSTOM = "replace the layer behind it by layers that TFLite has"


def parse_runtimes(names: Iterable[str]) -> tuple[Runtime, ...]:
    """Runtimes as a person names them, such as `tflite-runtime==2.14.0`; a package alone stands for its newest release.

    Raises:
        RecipeError: One is not known.
    """
    try:
        return tuple(dict.fromkeys(parse_runtime(name) for name in names))
    except UsageError as error:
        raise RecipeError(str(error)) from error


def recipe_for_runtimes(recipe: Recipe, runtimes: Sequence[Runtime]) -> Recipe:
    """A recipe whose quantization those runtimes compute rightly, where another form of the same mode does.

    Dynamic int8 with a scale per output of a dense layer becomes the form with one scale for all: older releases load the
    former, and answer as if the layer's weights were zero.

    Args:
        recipe: The plan.
        runtimes: What the bundle is for; the recipe stays as it is where empty.
    """
    if not any(check_operators([_DENSE], runtime) for runtime in runtimes):
        return recipe
    steps = (
        dataclasses.replace(step, config=_one_scale(step.config)) if isinstance(step.config, QuantizeConfig) else step
        for step in recipe.steps
    )
    return dataclasses.replace(recipe, steps=tuple(steps))


def require_runtimes(models: Mapping[str, bytes], runtimes: Sequence[Runtime]) -> dict[str, str]:
    """Check models before a bundle is written.

    Args:
        models: .tflite files by member name.
        runtimes: Releases that must run them all.

    Returns:
        The oldest release of each package from which on all known ones run every model, as the manifest's `requires`.

    Raises:
        CompatibilityError: One of the runtimes does not; says the operator, its layer, where it does run, and what helps.
    """
    operators = {name: read_operators(content) for name, content in models.items()}
    for runtime in runtimes:
        for name, held in operators.items():
            if findings := check_operators(held, runtime):
                raise CompatibilityError(_refusal(name, runtime, findings))
    return oldest_runtimes([operator for held in operators.values() for operator in held])


def require_recipe(
    model: keras.Model, recipe: Recipe, calibration: NDArray[np.uint8], runtimes: Sequence[Runtime]
) -> None:
    """Refuse a recipe whose quantization a runtime cannot run, before it has trained for an hour.

    What its rewriting leaves of the model is not known yet; the model as it came in has the same kinds of operators. Where
    single layers have modes of their own, or a budget gives them some, only the finished model can tell.

    Args:
        model: A classifier under the SDK's contract.
        recipe: The plan.
        calibration: Model inputs, `uint8 [N, H, W, C]`.
        runtimes: Releases that must run the bundle.

    Raises:
        CompatibilityError: One of them does not run the model quantized as the recipe asks.
    """
    from .quantize import quantize
    from .tflite import export_tflite

    config = recipe.quantize
    if not runtimes or not recipe.rewrites or config.layers or config.accuracy_drop is not None:
        return
    few = dataclasses.replace(config, calibration_images=1)
    require_runtimes({"the model": quantize(export_tflite(model), few, calibration)}, runtimes)


def not_running_on(bundle: Bundle) -> dict[Runtime, tuple[Finding, ...]]:
    """Which of the current runtimes do not run a bundle, and why.

    Args:
        bundle: Any bundle.

    Returns:
        The newest release of each package that does not run one of the models, with all that is in its way.
    """
    models = [read_operators(bundle.read(name)) for name in bundle.manifest.models]
    found = {
        runtime: tuple(finding for held in models for finding in check_operators(held, runtime))
        for runtime in current_runtimes()
    }
    return {runtime: findings for runtime, findings in found.items() if findings}


def suggestion(finding: Finding) -> str:
    """The setting that avoids what a runtime cannot do."""
    float_layer = f"keep the layer in float32 with layers = {{ {finding.layer or 'name'} = 'float32' }}"
    if finding.trouble is Trouble.ABSENT:
        return _CUSTOM if finding.offered == "none" else f"{_mode(QuantizeMode.STATIC_INT8)}, or {float_layer}"
    if finding.signature == "FULLY_CONNECTED float32×int8 per channel":
        return _mode(QuantizeMode.DYNAMIC_INT8_TENSOR)
    if finding.signature.startswith("DEQUANTIZE"):
        return _mode(QuantizeMode.WEIGHTS_INT8)
    if "int4" in finding.signature:
        return _mode(QuantizeMode.DYNAMIC_INT8_TENSOR)
    if "int16" in finding.signature:
        return f"{_mode(QuantizeMode.STATIC_INT8)}, or {float_layer}"
    return float_layer


def _refusal(name: str, runtime: Runtime, findings: Sequence[Finding]) -> str:
    first, more = findings[0], len(findings) - 1
    others = f" and {more} more" if more else ""
    return (
        f"Every operator of {name} must run on {runtime}. Received: {first.received}{others} "
        f"(it runs on {first.runs_on}). To avoid it, {suggestion(first)}."
    )


def _one_scale(config: QuantizeConfig) -> QuantizeConfig:
    other = {QuantizeMode.DYNAMIC_INT8: QuantizeMode.DYNAMIC_INT8_TENSOR}
    layers = {name: other.get(mode, mode) for name, mode in config.layers.items()}
    return dataclasses.replace(config, mode=other.get(config.mode, config.mode), layers=layers)


def _mode(mode: QuantizeMode) -> str:
    return f"quantize with mode = '{mode.value}'"
