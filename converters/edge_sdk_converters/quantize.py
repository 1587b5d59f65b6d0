"""Post-training quantization of an exported .tflite file, by AI Edge Quantizer.

The input stays uint8 and the output float32, so that every bundle has one contract whatever its arithmetic.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .errors import QuantizationError, RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["QuantizeConfig", "QuantizeMode", "quantize"]


class QuantizeMode(str, Enum):
    """How a file's numbers are stored and computed with."""

    FLOAT32 = "float32"
    """As exported."""
    DYNAMIC_INT8 = "dynamic-int8"
    """Weights int8, activations quantized anew for every image: no calibration."""
    STATIC_INT8 = "static-int8"
    """Weights and activations int8, scales fixed by calibration images: smallest and fastest."""


@dataclass(frozen=True)
class QuantizeConfig:
    """How the exported file is quantized.

    Attributes:
        mode: Arithmetic of weights and activations.
        calibration_images: Images that fix the activations' scales in static modes, 1 or more.
    """

    mode: QuantizeMode = QuantizeMode.FLOAT32
    calibration_images: int = 200

    def __post_init__(self) -> None:
        if self.mode not in tuple(QuantizeMode):
            names = ", ".join(mode.value for mode in QuantizeMode)
            raise RecipeError(f"mode must be one of {names}. Received: {self.mode}. Choose one of them.")
        object.__setattr__(self, "mode", QuantizeMode(self.mode))
        if self.calibration_images < 1:
            raise RecipeError(f"calibration_images must be at least 1. Received: {self.calibration_images}. Try 200.")


def quantize(
    model: bytes, config: QuantizeConfig, calibration: NDArray[np.uint8], float_layers: Sequence[str] = ()
) -> bytes:
    """Quantize a float .tflite file.

    Args:
        model: The file, with one `uint8 [1, H, W, C]` input.
        config: Mode and number of calibration images.
        calibration: Model inputs, `uint8 [N, H, W, C]`, made by the one preprocessing; the first `calibration_images`
            of them are used.
        float_layers: Names of Keras layers at the end of the network that stay in float32, the last one included; none
            where empty.

    Returns:
        The quantized file; the same file in mode float32.

    Raises:
        QuantizationError: There are no calibration images, or the quantizer refuses the file.
    """
    if config.mode is QuantizeMode.FLOAT32:
        return model
    images = calibration[: config.calibration_images]
    if config.mode is QuantizeMode.STATIC_INT8 and len(images) == 0:
        raise QuantizationError(
            "static-int8 needs at least one calibration image. Received: none. Pass images, or use dynamic-int8."
        )
    with _quiet():
        expected = _input_shape(model)
    if len(images) and images.shape[1:] != expected:
        raise QuantizationError(
            f"Calibration images must be what the model takes: [N, {', '.join(map(str, expected))}]. "
            f"Received: {list(images.shape)}. Prepare them with the bundle's preprocessing."
        )
    try:
        with _quiet():
            return _run(model, config.mode, images, float_layers)
    except (RuntimeError, ValueError) as error:
        first_line = str(error).strip().split("\n", maxsplit=1)[0]
        raise QuantizationError(
            f"The exported file must be quantizable as {config.mode.value}. Received: {first_line}. Use another mode."
        ) from error


def _run(model: bytes, mode: QuantizeMode, images: NDArray[np.uint8], float_layers: Sequence[str]) -> bytes:
    from ai_edge_quantizer import quantizer, recipe

    session = quantizer.Quantizer(bytearray(model))
    # The converter names an operator by its layer with a number after it, but the last one by the function it ends.
    places = [rf"/{re.escape(name)}(_\d+)?/" for name in float_layers] + ["^StatefulPartitionedCall"] * bool(
        float_layers
    )
    kept = [_not_quantized(place, "*") for place in places]
    if mode is QuantizeMode.DYNAMIC_INT8:
        session.load_quantization_recipe([*recipe.dynamic_wi8_afp32(), *kept])
        return bytes(session.quantize().quantized_model)
    # Without the second rule the output would become int8 and break the contract; with it a DEQUANTIZE ends the graph.
    session.load_quantization_recipe([*recipe.static_wi8_ai8(), *kept, _not_quantized(".*", "OUTPUT")])
    signature, name = _signature(model)
    scales = session.calibrate({signature: [{name: image[None]} for image in images]}, num_threads=os.cpu_count() or 1)
    return bytes(session.quantize(scales).quantized_model)


def _not_quantized(regex: str, operation: str) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": "no_quantize", "op_config": {}}


def _input_shape(model: bytes) -> tuple[int, ...]:
    """Shape of one model input, without the batch."""
    from ai_edge_litert.interpreter import Interpreter

    return tuple(int(side) for side in Interpreter(model_content=model).get_input_details()[0]["shape"][1:])


def _signature(model: bytes) -> tuple[str, str]:
    """Names of a file's only signature and of its only input, which the quantizer asks for."""
    from ai_edge_litert.interpreter import Interpreter

    signatures: dict[str, Any] = Interpreter(model_content=model).get_signature_list()
    name, signature = next(iter(signatures.items()))
    return name, next(iter(signature["inputs"]))


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the quantizer's progress bar, summary and debugging warning from whoever asked for a file."""
    from edge_sdk_runtime.interpreters.quiet import without_notices

    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        without_notices(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        yield
