"""What quantizing a classifier will cost and buy, measured before a bundle is written, and which layers it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import QuantizationError
from ..training import Examples
from .apply import quantize, require_images
from .calibrate import Range, calibrate
from .config import QuantizeConfig, QuantizeMode
from .norms import unfolded_norms
from .places import Place, read_places
from .rules import modes_of, normalizing_layers, pixel_places, quantized_places, require_effect
from .sensitivity import LayerSensitivity, Trial, accuracy_of, layers_to_keep, measure_sensitivities

if TYPE_CHECKING:
    from ..learning import LearningData, Told

__all__ = ["Quantization", "plan_quantization"]

_WORTH_TUNING = 0.01
"""Fine-tuning is recommended for those that lose more: a point."""


@dataclass(frozen=True)
class Quantization:
    """What quantizing a classifier costs and buys.

    Attributes:
        config: How the file is to be quantized; layers that the budget keeps in float32 are among its `layers`.
        float_layers: Those layers, the costliest first.
        accuracy_before: Of the classifier on the validation images, 0 to 1.
        accuracy: Of the quantized file on the interpreter, on the same images.
        tflite_bytes_before: Size of the float32 file.
        tflite_bytes: Size of the quantized file.
        sensitivities: What quantizing each layer alone costs, where that was measured; on the first `trial_images`.
        without_form: Layers that stay in float32 because the quantizer has no other form of them, or none that is of use to
            them; see `normalizing_layers`.
        unfolded_norms: Batch normalisations that the converter could not fold, which cost a multiplication and an addition.
        ranges: Learnt ranges of activations by layer, where the network was fine-tuned for its quantization.
    """

    config: QuantizeConfig
    float_layers: tuple[str, ...]
    accuracy_before: float
    accuracy: float
    tflite_bytes_before: int
    tflite_bytes: int
    sensitivities: tuple[LayerSensitivity, ...]
    without_form: tuple[str, ...]
    unfolded_norms: tuple[str, ...]
    ranges: Mapping[str, Range]

    @property
    def summary(self) -> tuple[str, ...]:
        """What it comes to, and what stays in float32, a line per fact."""
        before, after, mode = self.accuracy_before, self.accuracy, self.config.mode.value
        kept = f"kept in float32 for the budget: {', '.join(self.float_layers)}"
        return (
            f"{mode}: {before:.2%} → {after:.2%} on the validation images, "
            f"{self.tflite_bytes_before:,} → {self.tflite_bytes:,} bytes",
            *([kept] if self.float_layers else []),
            *self._advice(),
            *(f"{name} has no useful {mode} form and stays in float32" for name in self.without_form),
            *(f"{name} could not be folded and stays a multiplication and an addition" for name in self.unfolded_norms),
        )

    @property
    def details(self) -> tuple[str, ...]:
        """The summary, and a line per layer measured."""
        return (*self.summary, *(_line(each, each.name in self.float_layers) for each in self.sensitivities))

    def _advice(self) -> tuple[str, ...]:
        lost = self.accuracy_before - self.accuracy
        if self.config.mode is not QuantizeMode.STATIC_INT8 or self.config.aware or lost <= _WORTH_TUNING:
            return ()
        return (
            f"it loses {100 * lost:.1f} points: aware = {{ epochs = 2 }} fine-tunes the network for its quantization, "
            "accuracy_drop = 0.005 keeps the costliest layers in float32",
        )


def plan_quantization(
    model: bytes,
    config: QuantizeConfig,
    data: LearningData,
    reference: float,
    *,
    float_layers: Collection[str] = (),
    ranges: Mapping[str, Range] | None = None,
    told: Told | None = None,
) -> Quantization:
    """Quantize a classifier's file on trial: measure layers, keep those in float32 that a budget asks for, prove the result.

    Args:
        model: The classifier's float file.
        config: What is asked for; a mode that quantizes.
        data: Training images that calibrate, validation images that judge.
        reference: Accuracy of the classifier on the validation images, which a budget counts from.
        float_layers: Layers that stay in float32 in any case.
        ranges: Learnt ranges of activations, see `calibrate`.
        told: Told what is being done, and how far.

    Raises:
        BudgetError: `accuracy_drop` cannot be met.
        QuantizationError: There are no calibration or validation images, or the quantizer refuses the file.
        RecipeError: A layer does not exist, or has no operator of the mode asked for.
    """
    validation = data.validation
    if not len(validation.y):
        raise QuantizationError(
            "A quantized file must be judged on validation images. Received: none. Pass images, or quantize without a plan."
        )
    images = require_images(model, config, data.train.x)
    places = read_places(model)
    modes = tuple(modes_of(places, config, float_layers))
    require_effect(places, modes, config.layers)
    statistics = calibrate(model, images, ranges) if any(mode.is_static for mode in modes) else {}
    trial = Trial(model, modes, statistics)
    sensitivities = _sensitivities(trial, config, validation, told)
    kept = _kept(trial, config, sensitivities, validation, reference, told)
    final = dataclasses.replace(config, layers={**config.layers, **dict.fromkeys(kept, QuantizeMode.FLOAT32)})
    content = quantize(model, final, data.train.x, float_layers, ranges=ranges)
    return Quantization(
        config=final,
        float_layers=kept,
        accuracy_before=reference,
        accuracy=accuracy_of(content, validation),
        tflite_bytes_before=len(model),
        tflite_bytes=len(content),
        sensitivities=sensitivities,
        without_form=_without_form(trial, config),
        unfolded_norms=unfolded_norms(model),
        ranges=ranges or {},
    )


def _sensitivities(
    trial: Trial, config: QuantizeConfig, validation: Examples, told: Told | None
) -> tuple[LayerSensitivity, ...]:
    if not config.sensitivity and config.accuracy_drop is None:
        return ()
    few = Examples(validation.x[: config.trial_images], validation.y[: config.trial_images])
    return measure_sensitivities(trial, few, _told(told, "quantize: measure layers"))


def _kept(
    trial: Trial,
    config: QuantizeConfig,
    sensitivities: tuple[LayerSensitivity, ...],
    validation: Examples,
    reference: float,
    told: Told | None,
) -> tuple[str, ...]:
    if config.accuracy_drop is None:
        return ()
    floor = reference - config.accuracy_drop
    return layers_to_keep(trial, sensitivities, validation, floor, _told(told, "quantize: keep accuracy"))


def _without_form(trial: Trial, config: QuantizeConfig) -> tuple[str, ...]:
    """Layers of which no operator is quantized although it was asked for, but for those that only scale pixels."""
    pixels, fragile = pixel_places(trial.places), normalizing_layers(trial.places)
    changed = {name for place in quantized_places(trial.places, trial.modes) for name in (place.layer, *place.layers)}

    def asked(place: Place, mode: QuantizeMode) -> bool:
        if mode is QuantizeMode.FLOAT32:
            return config.mode.is_static and place.layer in fragile and place.layer not in config.layers
        return place.has_kernel or (mode.is_static and place not in pixels)

    names = (place.layer for place, mode in zip(trial.places, trial.modes, strict=True) if asked(place, mode))
    return tuple(dict.fromkeys(name for name in names if name and name not in changed))


def _told(told: Told | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, planned: told(what, done, planned)) if told else None


def _line(layer: LayerSensitivity, kept: bool) -> str:
    return (
        f"{layer.name}: {layer.mode.value} of {', '.join(layer.operators)} alone, outputs {layer.snr_db:.0f} dB above "
        f"their error, {layer.accuracy:.2%}{', kept in float32' if kept else ''}"
    )
