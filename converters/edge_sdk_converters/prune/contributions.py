"""What each unit contributes to the layers that read it, and how those that stay make up for those that go.

Luo et al., "ThiNet" (2017): an output of the next layer is the sum of what its input channels contribute. Sums of
products of contributions over sampled outputs decide which channels may go, and how the others are to be scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .patches import sampled_patches
from .readers import Reader, input_axis, kernel_of, readers

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from .calibration import Calibration
    from .channels import Analysis

__all__ = ["Contributions", "contributions", "refit"]

_POSITIONS_PER_IMAGE = 10  # as in the paper
_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Contributions:
    """What the units of one reader contribute to its outputs.

    Attributes:
        reader: The layer that reads them.
        units: Its removable units, `int64 [count]`, ascending.
        gram: Mean of x̂ᵢ·x̂ⱼ over sampled outputs, `float64 [count + 1, count + 1]`; the last one stands for all channels
            that have to stay. Its sum is the mean square of the output without bias.
    """

    reader: Reader
    units: NDArray[np.int64]
    gram: NDArray[np.float64]


def contributions(analysis: Analysis, calibration: Calibration) -> tuple[Contributions, ...]:
    """Measure what units contribute to random outputs of the layers that read them.

    Args:
        analysis: What can be removed.
        calibration: Images, and the seed that chooses positions and filters.

    Returns:
        One for every layer that reads removable units.
    """
    rng = np.random.default_rng(calibration.seed)
    found = readers(analysis)
    kernels = {id(reader): kernel_of(reader.layer) for reader in found}
    units = {id(reader): np.unique(reader.units[reader.units >= 0]) for reader in found}
    grams = {key: np.zeros((len(each) + 1, len(each) + 1)) for key, each in units.items()}
    rows = dict.fromkeys(units, 0)
    for reader, patches in sampled_patches(analysis.graph, found, calibration.x, _POSITIONS_PER_IMAGE, rng):
        kernel = kernels[id(reader)]
        filters = kernel[:, :, rng.integers(kernel.shape[-1], size=len(patches))]
        channels = np.einsum("rkc,kcr->rc", patches, filters)
        each = _by_unit(channels, reader, units[id(reader)])
        grams[id(reader)] += each.T @ each
        rows[id(reader)] += len(each)
    return tuple(Contributions(each, units[id(each)], grams[id(each)] / rows[id(each)]) for each in found)


def refit(analysis: Analysis, removed: NDArray[np.bool_], calibration: Calibration) -> None:
    """Scale what readers make of the units that stay so that their outputs change least; the graph's layers change.

    One factor per unit and reader, by least squares over sampled outputs (ThiNet, equation 7), drawn lightly to 1.

    Args:
        analysis: What can be removed. The kernels of its graph's layers are changed in place.
        removed: Which units go, `bool [analysis.count]`.
        calibration: Images, and the seed that chooses positions and filters.
    """
    for each in contributions(analysis, calibration):
        goes = np.append(removed[each.units], False)
        if not goes.any():
            continue
        scales = np.ones(len(goes))
        scales[~goes] += _missing(each.gram, goes)
        index = np.searchsorted(each.units, each.reader.units)
        _scale(each.reader.layer, scales[np.where(each.reader.units >= 0, index, len(each.units))])


def _missing(gram: NDArray[np.float64], goes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What has to be added to the factor 1 of each unit that stays."""
    kept = gram[np.ix_(~goes, ~goes)]
    ridge = _RIDGE * float(np.trace(gram)) / len(gram) + np.finfo(np.float64).tiny
    found: NDArray[np.float64] = np.linalg.solve(
        kept + ridge * np.eye(len(kept)), gram[np.ix_(~goes, goes)].sum(axis=1)
    )
    return found


def _by_unit(channels: NDArray[np.float64], reader: Reader, units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Contributions of channels summed over the channels of each unit, `[rows, len(units) + 1]`."""
    columns = np.where(reader.units >= 0, np.searchsorted(units, reader.units), len(units))
    member = np.zeros((len(columns), len(units) + 1))
    member[np.arange(len(columns)), columns] = 1
    return channels @ member


def _scale(layer: keras.Layer, factors: NDArray[np.float64]) -> None:
    kernel, *others = layer.get_weights()
    shape = [1] * kernel.ndim
    shape[input_axis(layer)] = -1
    layer.set_weights([(kernel * factors.reshape(shape)).astype(kernel.dtype), *others])
