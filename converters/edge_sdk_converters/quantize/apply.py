"""Post-training quantization of an exported .tflite file, by AI Edge Quantizer.

The input stays uint8 and the output float32, so that every bundle has one contract whatever its arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import QuantizationError
from .calibrate import Range, Statistics, calibrate
from .config import QuantizeConfig, QuantizeMode
from .places import Place, read_places
from .quiet import quietly
from .rules import modes_of, recipe_for, require_effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["quantize", "quantize_places", "require_images"]


def quantize(
    model: bytes,
    config: QuantizeConfig,
    calibration: NDArray[np.uint8],
    float_layers: Collection[str] = (),
    *,
    ranges: Mapping[str, Range] | None = None,
) -> bytes:
    """Quantize a float .tflite file.

    Args:
        model: The file, with one `uint8 [1, H, W, C]` input.
        config: Mode of all layers and of single ones, and number of calibration images. Its budget, sensitivities and
            fine-tuning are the business of `edge_sdk_converters.quantize.plan`.
        calibration: Model inputs, `uint8 [N, H, W, C]`, made by the one preprocessing; the first `calibration_images`
            of them are used.
        float_layers: Names of Keras layers that stay in float32, whatever the configuration says of them.
        ranges: Learnt ranges of activations by the Keras layer whose output they are of, see `calibrate`.

    Returns:
        The quantized file; the same file in mode float32.

    Raises:
        QuantizationError: There are no calibration images, they are of another size, or the quantizer or the interpreter
            refuses the file.
        RecipeError: A layer does not exist, or has no operator of the mode asked for.
    """
    if not config.quantizes:
        return model
    images = require_images(model, config, calibration)
    places = read_places(model)
    modes = modes_of(places, config, float_layers)
    require_effect(places, modes, {name: mode for name, mode in config.layers.items() if name not in float_layers})
    statistics = calibrate(model, images, ranges) if any(mode.is_static for mode in modes) else {}
    quantized = quantize_places(model, places, modes, statistics)
    _require_running(quantized, config.mode)
    return quantized


def quantize_places(
    model: bytes, places: Sequence[Place], modes: Sequence[QuantizeMode], statistics: Statistics
) -> bytes:
    """Quantize a float file operator by operator.

    Args:
        model: The file.
        places: Its operators.
        modes: The mode of each.
        statistics: Ranges of the activations, from `calibrate`; not needed where no mode is static.

    Raises:
        QuantizationError: The quantizer refuses the file.
    """
    if all(mode is QuantizeMode.FLOAT32 for mode in modes):
        return model
    from ai_edge_quantizer import quantizer

    recipe = recipe_for(places, modes).get_quantization_recipe()
    try:
        with quietly():
            session = quantizer.Quantizer(bytearray(model), recipe)
            result = session.quantize(dict(statistics) if statistics else None, enable_progress_report=False)
            return bytes(result.quantized_model)
    except (RuntimeError, ValueError) as error:
        asked = ", ".join(sorted({mode.value for mode in modes} - {QuantizeMode.FLOAT32.value}))
        raise QuantizationError(
            f"The exported file must be quantizable as {asked}. Received: {_first_line(error)}. Use another mode."
        ) from error


def require_images(model: bytes, config: QuantizeConfig, calibration: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images that calibrate.

    Args:
        model: The file.
        config: Says how many.
        calibration: Model inputs, `uint8 [N, H, W, C]`.

    Raises:
        QuantizationError: There are none where a mode needs them, or they are not what the model takes.
    """
    images = calibration[: config.calibration_images]
    if config.is_static and len(images) == 0:
        raise QuantizationError(
            f"{_static_mode(config).value} needs at least one calibration image. Received: none. Pass images, or use dynamic-int8."
        )
    expected = _input_shape(model)
    if len(images) and (images.shape[1:] != expected or images.dtype != "uint8"):
        raise QuantizationError(
            f"Calibration images must be what the model takes: uint8 [N, {', '.join(map(str, expected))}]. "
            f"Received: {images.dtype} {list(images.shape)}. Prepare them with the bundle's preprocessing."
        )
    return images


def _static_mode(config: QuantizeConfig) -> QuantizeMode:
    return next(mode for mode in (config.mode, *config.layers.values()) if mode.is_static)


def _input_shape(model: bytes) -> tuple[int, ...]:
    """Shape of one model input, without the batch."""
    from ai_edge_litert.interpreter import Interpreter

    with quietly():
        return tuple(int(side) for side in Interpreter(model_content=model).get_input_details()[0]["shape"][1:])


def _require_running(model: bytes, mode: QuantizeMode) -> None:
    """Refuse a file that the interpreter at hand cannot run: the quantizer writes some that none can."""
    from edge_sdk_runtime.errors import InterpreterError
    from edge_sdk_runtime.interpreters.tflite import LITERT

    try:
        interpreter = LITERT.load(model, threads=1)
        interpreter.invoke()
        interpreter.close()
    except InterpreterError as error:
        raise QuantizationError(
            f"A quantized file must run. Received: {mode.value}, where {_first_line(error)}. Use another mode, or keep a layer "
            "in float32 with layers = { name = 'float32' }."
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0].rstrip(".")
