"""The ranges of a float file's activations, which fix their scales in static modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .places import Place, read_places
from .quiet import quietly
from .rules import pixel_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Range", "calibrate"]

Statistics = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Range:
    """What an activation lies between.

    Attributes:
        low: At most 0.
        high: At least 0.
    """

    low: float
    high: float


def calibrate(model: bytes, images: NDArray[np.uint8], ranges: Mapping[str, Range] | None = None) -> Statistics:
    """Run images through a float file and note what each of its tensors lies between.

    An activation's range is all that the images reach, not the quantizer's own moving average of it: chosen by measurement, a
    VGG on CIFAR-10 has outputs 36 instead of 20 dB above their error that way. The range of scaled pixels is known: what black
    and white become.

    Args:
        model: The file, with one `uint8 [1, H, W, C]` input.
        images: Model inputs, `uint8 [N, H, W, C]`, at least one.
        ranges: Learnt ranges by the name of the Keras layer whose output they are of; they take the images' place.

    Returns:
        Least and greatest value by tensor, as the quantizer wants them.
    """
    places = read_places(model)
    statistics = dict(_observed(model, images))
    extremes = _observed(model, [np.full_like(images[0], value) for value in (0, 255)])
    pixels = {place.output for place in pixel_places(places)}
    statistics.update({name: value for name, value in extremes.items() if name in pixels})
    for name, learnt in (ranges or {}).items():
        for place in _outputs(places, name):
            if place.output in statistics:
                statistics[place.output] = _like(statistics[place.output], learnt)
    return statistics


def _outputs(places: Sequence[Place], layer: str) -> list[Place]:
    """The operators whose output is that of a layer: its only one, or those that multiply by its kernel, or by one before it."""
    own = [place for place in places if layer in place.layers]
    return own if len(own) == 1 else [place for place in own if place.has_kernel]


def _observed(model: bytes, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Statistics:
    from ai_edge_quantizer import recipe
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    everything = RecipeManager()
    everything.load_quantization_recipe(recipe.static_wi8_ai8())
    with quietly():
        calibrator = Calibrator(bytearray(model), num_threads=1, qsv_update_func=min_max_update)
        signature, name = _signature(model)
        calibrator.calibrate({signature: [{name: image[None]} for image in images]}, everything)
    observed: Statistics = calibrator.get_model_qsvs()
    return observed


def _like(observed: Mapping[str, Any], learnt: Range) -> Mapping[str, Any]:
    """A learnt range in the shape and type of an observed one."""
    values = {"min": learnt.low, "max": learnt.high}
    return {key: np.full_like(observed[key], value) for key, value in values.items()}


def _signature(model: bytes) -> tuple[str, str]:
    """Names of a file's only signature and of its only input, which the quantizer asks for."""
    from ai_edge_litert.interpreter import Interpreter

    signatures: dict[str, Any] = Interpreter(model_content=model).get_signature_list()
    name, signature = next(iter(signatures.items()))
    return name, next(iter(signature["inputs"]))
