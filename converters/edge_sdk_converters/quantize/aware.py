"""Fine-tuning a network with the numbers that its quantized file will hold.

For networks that lose too much when they are quantized after training. The batch normalisations are folded first, since the
file holds folded kernels; then every kernel is rounded as the file rounds it, and in static int8 every activation that the file
stores too. Jacob et al. (arXiv 1712.05877), with the float network as teacher. What comes out is a float network and the
ranges of its activations, from which the same quantizer makes the same form of file as after training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..errors import ModelError
from ..fold import fold_batch_norms
from ..graph import Call, Graph, rebuild, trace
from ..recover.apply import recover
from .calibrate import Range
from .config import AwareConfig, QuantizeConfig, QuantizeMode
from .fake import QuantizedKernel, RangeQuantizer
from .split import split_layers
from .stored import is_kernel, stored_activations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..learning import LearningData
    from ..training import Progress

__all__ = ["AwareResult", "tune_for_quantization"]

_NO_INT4 = (
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)

_PIXELS = (keras.layers.Rescaling, keras.layers.Normalization)
"""What scales pixels, whose range is known from the beginning."""


@dataclass(frozen=True)
class AwareResult:
    """A network that has learnt to be quantized.

    Attributes:
        model: In float32, batch normalisations folded, built but not compiled.
        ranges: What its stored activations lie between, by the layer whose output they are.
    """

    model: keras.Model
    ranges: Mapping[str, Range]


def tune_for_quantization(
    model: keras.Model,
    teacher: keras.Model,
    config: QuantizeConfig,
    data: LearningData,
    *,
    float_layers: Collection[str] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> AwareResult:
    """Fine-tune a classifier for its quantization.

    Args:
        model: A functional or sequential classifier that gives probabilities `[batch, classes]`. It stays untouched.
        teacher: The float network, likewise.
        config: Modes of the layers, and how to fine-tune; the defaults of `AwareConfig` where it does not say.
        data: What it learns from; the ranges begin with what the calibration images reach.
        float_layers: Names of layers that stay in float32 whatever the configuration says.
        seed: Of order and augmentation.
        progress: Told after every epoch.

    Returns:
        The network and its ranges, for `quantize`.

    Raises:
        ModelError: The model has no functional graph, or no layer whose kernel would be rounded.
    """
    how = config.aware or AwareConfig()
    modes = {**config.layers, **dict.fromkeys(float_layers, QuantizeMode.FLOAT32)}
    untouched = [name for name, mode in modes.items() if mode is QuantizeMode.FLOAT32]
    plain = split_layers(fold_batch_norms(model).model, untouched)
    graph = trace(plain)
    stored = stored_activations(graph, lambda name: modes.get(name, config.mode) is QuantizeMode.STATIC_INT8)
    student = _student(graph, stored, lambda name: modes.get(name, config.mode).weight_bits, how.momentum)
    _require_work(student, model.name)
    _set_ranges(student, _observed(graph, stored, data.train.x[: config.calibration_images]))
    recover(
        student,
        teacher,
        data.train,
        data.validation,
        how.training,
        seed=seed,
        augment=data.augment,
        progress=progress,
        keep_shared=False,
    )
    _copy_back(student, plain)
    folded = fold_batch_norms(plain).model
    lasting = _same_weights(plain, folded)
    return AwareResult(folded, {name: _quantizer(student, name).range for name in stored if name in lasting})


def _student(
    graph: Graph, stored: Collection[str], bits_of: Callable[[str], int | None], momentum: float
) -> keras.Model:
    """The network with rounding kernels and activations, and the same weights."""

    def replace(operation: keras.Operation) -> Sequence[keras.Operation] | None:
        name, bits = operation.name, bits_of(operation.name)
        follows = 1.0 if isinstance(operation, _PIXELS) else momentum
        behind = [RangeQuantizer(momentum=follows, name=f"{name}_range")] if name in stored else []
        if bits is None or not is_kernel(operation):
            return [_copy(operation), *behind] if behind else None
        bits = 8 if isinstance(operation, _NO_INT4) else bits
        return [QuantizedKernel(_copy(operation), bits, name=f"{name}_quantized"), *behind]

    student = rebuild(graph, replace)
    for layer in graph.layers:
        if layer.weights:
            _part(student, layer.name).set_weights(layer.get_weights())
    return student


def _observed(graph: Graph, stored: Collection[str], images: NDArray[np.uint8]) -> dict[str, Range]:
    """What the activations to be stored reach: scaled pixels on black and white images, the others on those given."""
    calls = [call for call in graph.calls if call.layer.name in stored]
    pixels = [call for call in calls if isinstance(call.layer, _PIXELS)]
    extremes = np.stack([np.full(images.shape[1:], value, np.uint8) for value in (0, 255)])
    return {**_reached(graph, calls, images), **_reached(graph, pixels, extremes)}


def _reached(graph: Graph, calls: Sequence[Call], images: NDArray[np.uint8]) -> dict[str, Range]:
    found: dict[str, Range] = {}
    if not calls:
        return found
    look = keras.Model(graph.inputs[0], [call.outputs[0] for call in calls])
    for start in range(0, len(images), 64):
        for call, value in zip(
            calls, keras.tree.flatten(look(images[start : start + 64], training=False)), strict=True
        ):
            array, before = keras.ops.convert_to_numpy(value), found.get(call.layer.name, Range(0.0, 1e-6))
            found[call.layer.name] = Range(min(before.low, float(array.min())), max(before.high, float(array.max())))
    return found


def _set_ranges(student: keras.Model, ranges: Mapping[str, Range]) -> None:
    for name, found in ranges.items():
        _quantizer(student, name).set_weights([np.float32(found.low), np.float32(found.high)])


def _copy_back(student: keras.Model, plain: keras.Model) -> None:
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(_part(student, layer.name).get_weights())


def _same_weights(plain: keras.Model, folded: keras.Model) -> set[str]:
    """Layers that still compute the same where training lifted scales that had kept a normalisation from being folded."""
    before = {layer.name: layer.get_weights() for layer in plain.layers}
    return {
        layer.name
        for layer in folded.layers
        if len(layer.weights) == len(before[layer.name])
        and all(map(np.array_equal, layer.get_weights(), before[layer.name]))
    }


def _part(student: keras.Model, name: str) -> keras.Layer:
    """What computes as a layer in the student: the layer within a wrapper, or its copy."""
    known = {layer.name: layer for layer in student.layers}
    wrapper = known.get(f"{name}_quantized")
    return wrapper.layer if isinstance(wrapper, QuantizedKernel) else known[name]


def _quantizer(student: keras.Model, name: str) -> RangeQuantizer:
    quantizer: RangeQuantizer = student.get_layer(f"{name}_range")
    return quantizer


def _copy(operation: keras.Operation) -> keras.Operation:
    return type(operation).from_config(operation.get_config())


def _require_work(student: keras.Model, name: str) -> None:
    if not any(isinstance(layer, QuantizedKernel) for layer in student.layers):
        raise ModelError(
            f"Fine-tuning for a quantization needs a dense layer or convolution with integer weights. Received: '{name}' "
            "without one. Leave aware out, or keep fewer layers in float32."
        )
