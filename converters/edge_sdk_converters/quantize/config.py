"""How an exported file is quantized, as plain data that needs neither Keras nor the quantizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..config_rules import require_at_least, take_members
from ..errors import RecipeError
from ..recover.config import RecoverConfig

__all__ = ["AwareConfig", "QuantizeConfig", "QuantizeMode"]


class QuantizeMode(str, Enum):
    """How numbers are stored and computed with, in a whole file or in a layer."""

    FLOAT32 = "float32"
    """As exported."""
    FLOAT16 = "float16"
    """Weights stored in half precision, computed with in float32: half of the size, the same answers."""
    DYNAMIC_INT8 = "dynamic-int8"
    """Weights int8, activations quantized anew for every image: no calibration."""
    DYNAMIC_INT8_TENSOR = "dynamic-int8-tensor"
    """The same with one scale for all of a dense kernel, which is what tflite-runtime computes with; a little coarser."""
    STATIC_INT8 = "static-int8"
    """Weights and activations int8, scales fixed by calibration images: smallest and fastest."""
    STATIC_INT16 = "static-int16x8"
    """Activations int16, weights int8: for networks whose activations int8 is too coarse for; slower."""
    WEIGHTS_INT8 = "weights-int8"
    """Weights stored in int8, computed with in float32: a quarter of the size, no gain in speed."""
    WEIGHTS_INT4 = "weights-int4"
    """Weights stored in int4, computed with in float32; layers without such a kernel take `weights-int8`."""
    DYNAMIC_INT4 = "dynamic-int4"
    """Weights int4, activations quantized anew for every image; layers without such a kernel take `dynamic-int8`."""

    @property
    def is_static(self) -> bool:
        """Whether calibration images fix the activations' scales."""
        return self in (QuantizeMode.STATIC_INT8, QuantizeMode.STATIC_INT16)

    @property
    def weight_bits(self) -> int | None:
        """Bits of an integer weight; None where weights are floating-point numbers."""
        if self in (QuantizeMode.FLOAT32, QuantizeMode.FLOAT16):
            return None
        return 4 if self in (QuantizeMode.WEIGHTS_INT4, QuantizeMode.DYNAMIC_INT4) else 8


@dataclass(frozen=True)
class AwareConfig:
    """How a network is fine-tuned while it computes with the numbers that its quantized file will hold.

    Attributes:
        epochs: Most passes over the training data, 1 or more.
        min_steps: Optimisation steps that are planned at least, by more epochs where the data is small; 0 for no such floor.
        learning_rate: Adam's, at the start; small, for the network has learnt already.
        distillation: Weight of the float network against the labels, 0 (labels alone) to 1 (float network alone).
        temperature: Softens both sides' probabilities, above 0.
        momentum: Share of an activation's range that stays at every step, 0 to below 1.
        batch_size: Examples per step, 1 or more.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    epochs: int = 2
    min_steps: int = 300
    learning_rate: float = 2e-4
    distillation: float = 0.7
    temperature: float = 2.0
    momentum: float = 0.99
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise RecipeError(f"momentum must be at least 0 and below 1. Received: {self.momentum}. Try 0.99.")
        _ = self.training  # what the two have in common is checked there

    @property
    def training(self) -> RecoverConfig:
        """The same, as every other recovery is configured."""
        return RecoverConfig(
            epochs=self.epochs,
            min_steps=self.min_steps,
            learning_rate=self.learning_rate,
            distillation=self.distillation,
            temperature=self.temperature,
            batch_size=self.batch_size,
        )


@dataclass(frozen=True)
class QuantizeConfig:
    """How the exported file is quantized.

    Attributes:
        mode: Arithmetic of weights and activations.
        calibration_images: Images that fix the activations' scales in static modes, 1 or more.
        layers: Another mode for single layers, by name.
        sensitivity: Whether to measure what quantizing each layer alone costs.
        accuracy_drop: Most accuracy lost on the validation images, 0.01 being one point, 0 to below 1: the layers that cost
            most stay in float32, as few as keep the loss within it. None for no such budget.
        trial_images: Validation images that sensitivities are measured on, 1 or more; a budget is proven on all.
        aware: Fine-tune before quantizing, or None.

    Raises:
        RecipeError: A value is outside what it may be, or two contradict each other.
    """

    mode: QuantizeMode = QuantizeMode.FLOAT32
    calibration_images: int = 200
    layers: Mapping[str, QuantizeMode] = field(default_factory=dict)
    sensitivity: bool = False
    accuracy_drop: float | None = None
    trial_images: int = 256
    aware: AwareConfig | None = None

    def __post_init__(self) -> None:
        take_members(self, mode=QuantizeMode)
        object.__setattr__(self, "layers", {name: _mode(name, mode) for name, mode in self.layers.items()})
        require_at_least(self, calibration_images=1, trial_images=1)
        drop = self.accuracy_drop
        if drop is not None and not (0 <= drop < 1 and math.isfinite(drop)):
            raise RecipeError(
                f"accuracy_drop must be at least 0 and below 1. Received: {drop}. Write 0.01 for one point."
            )
        if (drop is not None or self.sensitivity) and not self.quantizes:
            raise RecipeError(
                "sensitivity and accuracy_drop must go with a mode that quantizes. "
                f"Received: mode {self.mode.value}. Write mode = 'static-int8'."
            )
        if self.aware and self.mode.weight_bits is None:
            raise RecipeError(
                f"aware must go with a mode of integer weights. Received: mode {self.mode.value}. Write mode = 'static-int8'."
            )

    @property
    def quantizes(self) -> bool:
        """Whether anything is stored otherwise than in float32."""
        return any(mode is not QuantizeMode.FLOAT32 for mode in (self.mode, *self.layers.values()))

    @property
    def is_static(self) -> bool:
        """Whether anything needs calibration images."""
        return any(mode.is_static for mode in (self.mode, *self.layers.values()))


def _mode(name: str, value: object) -> QuantizeMode:
    known = [mode.value for mode in QuantizeMode]
    if value not in known:
        raise RecipeError(
            f"layers must give each layer one of {', '.join(known)}. Received: {value} for '{name}'. Choose one of them."
        )
    return QuantizeMode(value)
