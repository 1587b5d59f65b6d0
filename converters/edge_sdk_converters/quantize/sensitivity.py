"""What quantizing single layers costs, and which of them have to stay in float32 for an accuracy to be kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BudgetError
from ..training import Examples
from .apply import quantize_places
from .config import QuantizeMode
from .places import read_places
from .rules import quantized_places
from .run import outputs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .calibrate import Statistics
    from .places import Place

__all__ = ["LayerSensitivity", "Trial", "accuracy_of", "layers_to_keep", "measure_sensitivities", "snr_db"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LayerSensitivity:
    """What quantizing one layer alone costs.

    Attributes:
        name: Name of the Keras layer.
        mode: How it is quantized.
        operators: Its operators in the file that have that form.
        snr_db: Power of the file's outputs over that of their error, decibels; infinite where nothing changes.
        accuracy: Of the file with that layer alone quantized, 0 to 1.
    """

    name: str
    mode: QuantizeMode
    operators: tuple[str, ...]
    snr_db: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """A float file about to be quantized.

    Attributes:
        model: The file.
        modes: The mode of each of its operators.
        statistics: Ranges of its activations; empty where no mode is static.
    """

    model: bytes
    modes: tuple[QuantizeMode, ...]
    statistics: Statistics

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Its operators."""
        return read_places(self.model)

    @cached_property
    def quantized(self) -> dict[str, list[Place]]:
        """Operators that get another form, by layer, in the order in which the layers run."""
        layers: dict[str, list[Place]] = {}
        for place in quantized_places(self.places, self.modes):
            layers.setdefault(place.layer, []).append(place)
        return layers

    def with_float(self, layers: Collection[str]) -> bytes:
        """The file quantized but for some layers."""
        return self._quantize(place.layer not in layers for place in self.places)

    def with_only(self, layer: str) -> bytes:
        """The file with one layer quantized."""
        return self._quantize(place.layer == layer for place in self.places)

    def _quantize(self, chosen: Iterable[bool]) -> bytes:
        modes = [mode if each else QuantizeMode.FLOAT32 for mode, each in zip(self.modes, chosen, strict=True)]
        return quantize_places(self.model, self.places, modes, self.statistics)


def measure_sensitivities(
    trial: Trial, examples: Examples, told: Progress | None = None
) -> tuple[LayerSensitivity, ...]:
    """Quantize each layer alone and compare the outputs with those of the float file.

    Args:
        trial: The file.
        examples: Labelled model inputs, at least one.
        told: Told how many layers are measured, of how many.

    Returns:
        One account per layer that is quantized at all, in the order in which they run.
    """
    reference = outputs_of(trial.model, examples.x)
    modes = dict(zip(trial.places, trial.modes, strict=True))
    accounts = []
    for name, places in trial.quantized.items():
        outputs = outputs_of(trial.with_only(name), examples.x)
        operators = tuple(dict.fromkeys(place.operator for place in places))
        accounts.append(
            LayerSensitivity(
                name, modes[places[0]], operators, snr_db(reference, outputs), _accuracy(outputs, examples)
            )
        )
        if told:
            told(len(accounts), len(trial.quantized))
    return tuple(accounts)


def layers_to_keep(
    trial: Trial,
    sensitivities: Sequence[LayerSensitivity],
    examples: Examples,
    floor: float,
    told: Progress | None = None,
) -> tuple[str, ...]:
    """Choose the layers that stay in float32: of those that cost most, as few as reach an accuracy.

    Layers are kept in the order of the output error that each causes alone; how many it takes is found by bisection, and what
    is returned has been measured.

    Args:
        trial: The file.
        sensitivities: What each layer costs.
        examples: Labelled model inputs that the accuracy is measured on.
        floor: The accuracy to reach, 0 to 1.
        told: Told how many files have been tried, of at most how many.

    Returns:
        Names of layers, the costliest first; none where everything may be quantized.

    Raises:
        BudgetError: Not even the float file reaches it.
    """
    ranking = [each.name for each in sorted(sensitivities, key=lambda each: each.snr_db)]
    planned, done = math.ceil(math.log2(len(ranking) + 1)) + 2, 0

    def reached(count: int) -> float:
        nonlocal done
        done += 1
        accuracy = accuracy_of(trial.with_float(ranking[:count]), examples)
        if told:
            told(min(done, planned), planned)
        return accuracy

    if reached(0) >= floor:
        return ()
    if (best := reached(len(ranking))) < floor:
        raise BudgetError(
            f"accuracy_drop must leave room for the exported file itself. Received: an accuracy of {floor:.4f} to keep, where "
            f"everything in float32 reaches {best:.4f} on {len(examples.y)} validation images. Raise accuracy_drop."
        )
    low, high = 0, len(ranking)  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= floor else (middle, high)
    return tuple(ranking[:high])


def accuracy_of(model: bytes, examples: Examples) -> float:
    """Share of examples that a file classifies rightly on the interpreter, 0 to 1; 0 for no examples."""
    return _accuracy(outputs_of(model, examples.x), examples) if len(examples.y) else 0.0


def snr_db(reference: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    """Power of what should come out over the power of its error, in decibels; infinite where there is none.

    Args:
        reference: What should come out.
        outputs: What does, in the same shape.
    """
    signal, noise = (float(np.square(values.astype(np.float64)).sum()) for values in (reference, reference - outputs))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _accuracy(outputs: NDArray[np.float32], examples: Examples) -> float:
    return float((outputs.argmax(axis=1) == examples.y).mean())
