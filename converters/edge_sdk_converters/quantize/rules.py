"""What each mode means to AI Edge Quantizer, operator by operator: exactly one operator is meant by every rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..errors import RecipeError
from .config import QuantizeConfig, QuantizeMode
from .places import Place, layer_names, require_known

__all__ = ["modes_of", "normalizing_layers", "pixel_places", "quantized_places", "recipe_for", "require_effect"]

_ALL = "*"
_AFFINE = ("CAST", "MUL", "ADD", "SUB", "DIV")
"""Operators that scale pixels."""


def modes_of(places: Sequence[Place], config: QuantizeConfig, float_layers: Collection[str] = ()) -> list[QuantizeMode]:
    """The mode of every operator.

    Where layers of different modes are fused into one operator, float32 has the last word. Layers that normalise by what they
    are given stay in float32 in static modes unless they are named: int8 has no room for a variance and its root.

    Args:
        places: The operators.
        config: A mode for all, and others for single layers.
        float_layers: Names of layers that stay in float32 whatever the configuration says.

    Raises:
        RecipeError: A name is of no layer in the file, or of one that stays in float32 in any case.
    """
    require_known(places, tuple(config.layers))
    require_known(places, tuple(float_layers), "float_layers")
    _require_float(config, float_layers)
    named = {**config.layers, **dict.fromkeys(float_layers, QuantizeMode.FLOAT32)}
    first, fragile = len(pixel_places(places)), normalizing_layers(places)

    def mode(index: int, place: Place) -> QuantizeMode:
        said = [named[name] for name in (place.layer, *place.layers) if name in named]
        chosen = QuantizeMode.FLOAT32 if QuantizeMode.FLOAT32 in said else (said or [config.mode])[0]
        # An int16 addition refuses operands as unlike as pixels and their offset; in float32 the few of them cost nothing.
        pixels = chosen is QuantizeMode.STATIC_INT16 and index < first
        return QuantizeMode.FLOAT32 if pixels or (chosen.is_static and not said and place.layer in fragile) else chosen

    return [mode(index, place) for index, place in enumerate(places)]


def normalizing_layers(places: Sequence[Place]) -> tuple[str, ...]:
    """Layers that compute a variance and divide by its root, such as layer and group normalisations, but no folded ones."""
    return tuple(dict.fromkeys(place.layer for place in places if place.operator == "RSQRT"))


def pixel_places(places: Sequence[Place]) -> Sequence[Place]:
    """The operators at the front that do nothing but scale pixels; the range of what they compute is known."""
    count = next((i for i, place in enumerate(places) if place.operator not in _AFFINE), len(places))
    return places[:count]


def recipe_for(places: Sequence[Place], modes: Sequence[QuantizeMode]) -> Any:
    """The quantizer's recipe manager with a rule for every operator, the modes' own fallbacks included.

    An operator that a mode has no kernel for stays in float32, but for int4, where it takes int8 of the same kind.
    """
    from ai_edge_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    for place, mode in zip(places, modes, strict=True):
        if mode is not QuantizeMode.FLOAT32:
            _RULES[mode](manager, f"^{re.escape(place.scope)}")
    # Without this rule the output would become int8 and break the contract; with it a DEQUANTIZE ends the graph.
    manager.add_quantization_config(".*", "OUTPUT", None, "no_quantize")
    return manager


def quantized_places(places: Sequence[Place], modes: Sequence[QuantizeMode]) -> list[Place]:
    """The operators that get another form: those of the modes that the quantizer has one of."""
    manager = recipe_for(places, modes)
    return [place for place in places if _is_quantized(manager, place)]


def require_effect(places: Sequence[Place], modes: Sequence[QuantizeMode], named: Mapping[str, QuantizeMode]) -> None:
    """Refuse modes that do nothing: to a layer that was given its own, or to the whole file.

    Args:
        places: The operators.
        modes: The mode of each.
        named: Modes of single layers.

    Raises:
        RecipeError: No operator has the form asked for.
    """
    changed = quantized_places(places, modes)
    effective = layer_names(changed)
    for name, mode in named.items():
        if mode is not QuantizeMode.FLOAT32 and name not in effective:
            having = ", ".join(
                dict.fromkeys(place.operator for place in places if name in (place.layer, *place.layers))
            )
            raise RecipeError(
                f"layers must give a layer a mode that its operators have. Received: {mode.value} for '{name}', "
                f"which is {having}. Leave it out, or write another mode."
            )
    if not changed and any(mode is not QuantizeMode.FLOAT32 for mode in modes):
        kinds = ", ".join(sorted({place.operator for place in places}))
        raise RecipeError(
            f"A mode must have a form of some operator in the file. Received: {modes[-1].value} for {kinds}. "
            "Write mode = 'static-int8', or leave quantize out."
        )


def _require_float(config: QuantizeConfig, float_layers: Collection[str]) -> None:
    for name in float_layers:
        if (mode := config.layers.get(name, QuantizeMode.FLOAT32)) is not QuantizeMode.FLOAT32:
            raise RecipeError(
                "layers must leave those behind the encoder in float32, as every device computes them. "
                f"Received: {mode.value} for '{name}'. Leave it out."
            )


def _is_quantized(manager: Any, place: Place) -> bool:
    from ai_edge_litert.schema_py_generated import BuiltinOperator
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import TFL_OP_CODE_TO_NAME

    operator = TFL_OP_CODE_TO_NAME.get(getattr(BuiltinOperator, place.operator))
    return operator is not None and manager.get_quantization_configs(operator, place.scope)[0] != "no_quantize"


def _float16(manager: Any, scope: str) -> None:
    manager.add_weight_only_config(scope, _ALL, 16, algorithm_key="float_casting")


def _static(bits: int) -> Callable[[Any, str], None]:
    return lambda manager, scope: manager.add_static_config(scope, _ALL, bits, 8)


def _dynamic(manager: Any, scope: str) -> None:
    manager.add_dynamic_config(scope, _ALL, 8)


def _dynamic_tensor(manager: Any, scope: str) -> None:
    from ai_edge_quantizer.qtyping import QuantGranularity

    _dynamic(manager, scope)
    manager.add_dynamic_config(f"{scope}$", "FULLY_CONNECTED", 8, granularity=QuantGranularity.TENSORWISE)


def _weights(manager: Any, scope: str) -> None:
    manager.add_weight_only_config(scope, _ALL, 8)


def _dynamic_int4(manager: Any, scope: str) -> None:
    _dynamic(manager, scope)
    manager.add_dynamic_config(f"{scope}$", _ALL, 4)  # a later rule holds, but only for operators that have its form


def _weights_int4(manager: Any, scope: str) -> None:
    _weights(manager, scope)
    manager.add_weight_only_config(f"{scope}$", _ALL, 4)


_RULES: Mapping[QuantizeMode, Callable[[Any, str], None]] = {
    QuantizeMode.FLOAT16: _float16,
    QuantizeMode.DYNAMIC_INT8: _dynamic,
    QuantizeMode.DYNAMIC_INT8_TENSOR: _dynamic_tensor,
    QuantizeMode.STATIC_INT8: _static(8),
    QuantizeMode.STATIC_INT16: _static(16),
    QuantizeMode.WEIGHTS_INT8: _weights,
    QuantizeMode.WEIGHTS_INT4: _weights_int4,
    QuantizeMode.DYNAMIC_INT4: _dynamic_int4,
}
