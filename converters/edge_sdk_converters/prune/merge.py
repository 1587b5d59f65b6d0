"""Units that others can replace: removed one by one, the next layer's weights fitted anew each time.

Backward elimination with exact least squares, the block form of "Optimal Brain Surgeon" (Hassibi, Stork, 1993) on the
outputs of the layers that read a unit instead of the loss. Of ReLU units whose weights are positive multiples of each
other one remains, and of those that are always active, and so linear, as many as their inputs have dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .calibration import require_fitting
from .patches import sampled_patches
from .readers import Reader, kernel_of, readers
from .select import Spare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .channels import Analysis

__all__ = ["merge_units"]

_POSITIONS_PER_IMAGE = 10
_RIDGE = 1e-7
_SOLVE_AGAIN = 0.9


def merge_units(
    analysis: Analysis, x: NDArray[Any], tolerance: float, *, min_channels: int = 1, seed: int = 0
) -> NDArray[np.bool_]:
    """Find units that others can replace, and let the layers that read them make up for their removal.

    Units read by a separable convolution stay. Outputs are sampled at up to 10 positions of every image. Memory grows with
    the square of the weights per output of each layer, time with their number besides: meant for networks whose kernels have
    no more than a few thousand.

    Args:
        analysis: What can be removed. Kernels and biases of its graph's layers are changed in place: `shrink` with what
            is returned gives the merged network.
        x: Model inputs, `[N, …]`; there should be more positions than a kernel has weights per output.
        tolerance: Share of each layer's output variance over `x` that may be lost in the mean square.
        min_channels: Channels that every layer keeps at least.
        seed: Of the positions.

    Returns:
        Which units go, `bool [analysis.count]`.

    Raises:
        ModelError: The images are not what the model takes.
    """
    require_fitting(x, analysis.graph)
    found = readers(analysis)
    fits = [_Fit(reader, gram) for reader, gram in zip(found, _grams(analysis, found, x, seed), strict=True)]
    order, spare = list[int](), Spare(analysis, lambda _: min_channels)
    losses = sum((fit.losses(analysis.count) for fit in fits), np.zeros(analysis.count))
    while (best := _cheapest(losses, fits, tolerance, spare)) is not None:
        spare.take(best)
        order.append(best)
        for fit in fits:
            if best in fit.columns:
                losses -= np.where(np.isinf(losses), 0, fit.losses(analysis.count))
                fit.remove(best)
                losses += np.where(np.isinf(losses), 0, fit.losses(analysis.count))
        losses[best] = np.inf
    _settle(fits, order, tolerance)
    removed = np.zeros(analysis.count, np.bool_)
    removed[order] = True
    return removed


class _Fit:
    """The least-squares weights of one reader on what it still reads, and what was lost so far."""

    def __init__(self, reader: Reader, gram: NDArray[np.float64]) -> None:
        self.reader = reader
        kernel = kernel_of(reader.layer)
        self._shape = kernel.shape
        self._original = kernel.reshape(-1, kernel.shape[-1])
        if reader.layer.use_bias:
            self._original = np.vstack([self._original, np.asarray(reader.layer.get_weights()[-1], np.float64)])
        self._gram = gram[: len(self._original), : len(self._original)]
        self._energy = max(_variance(self._gram, self._original, reader.layer.use_bias), np.finfo(np.float64).tiny)
        places = np.arange(kernel.shape[0])[:, None] * kernel.shape[1]
        channels = {
            unit: np.flatnonzero(reader.units == unit) for unit in np.unique(reader.units).tolist() if unit >= 0
        }
        self._blocks = {unit: (places + each).reshape(-1) for unit, each in channels.items()}
        self.columns = dict(self._blocks)
        self.solve()

    def solve(self) -> None:
        """Fit from scratch: updates of an inverse lose digits, the more the closer to dependent the columns are."""
        gone = [self._blocks[unit] for unit in self._blocks if unit not in self.columns]
        kept = np.setdiff1d(np.arange(len(self._gram)), np.concatenate(gone) if gone else [])
        ridge = _RIDGE * float(np.trace(self._gram)) / len(self._gram) + np.finfo(np.float64).tiny
        inverse = np.linalg.inv(self._gram[np.ix_(kept, kept)] + ridge * np.eye(len(kept)))
        self._inverse = np.zeros_like(self._gram)
        self._inverse[np.ix_(kept, kept)] = inverse
        self.weights = np.zeros_like(self._original)
        self.weights[kept] = inverse @ (self._gram[kept] @ self._original + ridge * self._original[kept])
        change = self.weights - self._original
        self.lost = float(np.sum(change * (self._gram @ change))) / self._energy if gone else 0.0
        self._solved_with = len(self.columns)

    def restore(self, unit: int) -> None:
        """Put a unit back."""
        if unit in self._blocks:
            self.columns[unit] = self._blocks[unit]
            self.solve()

    def losses(self, count: int) -> NDArray[np.float64]:
        """What each removal would add to the share that is lost, `float64 [count]`; infinity where it cannot be."""
        found, sizes = np.zeros(count), {len(block) for block in self.columns.values()}
        for size in sizes:
            units = [unit for unit, block in self.columns.items() if len(block) == size]
            found[units] = self.losses_of(np.stack([self.columns[unit] for unit in units]))
        return found

    def losses_of(self, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same for blocks of columns, `[units, columns of each]` → `[units]`."""
        if isinstance(self.reader.layer, keras.layers.SeparableConv2D):
            return np.full(len(blocks), np.inf)
        weights = self.weights[blocks]
        solved = np.linalg.solve(self._inverse[blocks[:, :, None], blocks[:, None, :]], weights)
        lost: NDArray[np.float64] = np.sum(weights * solved, axis=(1, 2)) / self._energy
        return lost

    def allows(self, unit: int, tolerance: float) -> bool:
        """Whether what is lost in all stays within the tolerance without a unit."""
        if unit not in self.columns:
            return True
        return bool(self.lost + self.losses_of(self.columns[unit][None])[0] <= tolerance)

    def remove(self, unit: int) -> None:
        """Take a unit out; what remains is the least-squares fit without it."""
        block = self.columns.pop(unit)
        self.lost += float(self.losses_of(block[None])[0])
        across = self._inverse[:, block]
        solved = np.linalg.solve(self._inverse[np.ix_(block, block)], np.hstack([self.weights[block], across.T]))
        outputs = self.weights.shape[1]
        self.weights = self.weights - across @ solved[:, :outputs]
        self._inverse = self._inverse - across @ solved[:, outputs:]
        self.weights[block] = 0.0
        self._inverse[block] = self._inverse[:, block] = 0.0
        if len(self.columns) < _SOLVE_AGAIN * self._solved_with:
            self.solve()

    def write(self) -> None:
        """Put the fitted weights into the layer."""
        if len(self.columns) == len(self._blocks):
            return
        kernel, *others = self.reader.layer.get_weights()
        fitted = self.weights[: self._shape[0] * self._shape[1]].reshape(self._shape)
        if isinstance(self.reader.layer, keras.layers.Conv2DTranspose):
            fitted = fitted.swapaxes(1, 2)
        bias = [self.weights[-1].astype(kernel.dtype)] if others else []
        self.reader.layer.set_weights([fitted.reshape(kernel.shape).astype(kernel.dtype), *bias])


def _settle(fits: list[_Fit], order: list[int], tolerance: float) -> None:
    """Fit for the last time, take back what rounding let through, and put the weights into the layers."""
    for fit in fits:
        fit.solve()
    while order and any(fit.lost > tolerance for fit in fits):
        unit = order.pop()
        for fit in fits:
            fit.restore(unit)
    for fit in fits:
        fit.write()


def _cheapest(losses: NDArray[np.float64], fits: list[_Fit], tolerance: float, spare: Spare) -> int | None:
    """The unit that costs least among those that may go and that no reader loses too much by."""
    for unit in np.argsort(losses, kind="stable").tolist():
        if np.isinf(losses[unit]) or losses[unit] > tolerance * len(fits):
            return None
        if spare.allows(unit) and all(fit.allows(unit, tolerance) for fit in fits):
            return int(unit)
    return None


def _variance(gram: NDArray[np.float64], weights: NDArray[np.float64], centred: bool) -> float:
    """Variance of a layer's output summed over its channels; the mean square where a bias cannot take the mean."""
    square = float(np.sum(weights * (gram @ weights)))
    mean = gram[-1] @ weights if centred else np.zeros(1)
    return square - float(np.sum(mean**2))


def _grams(analysis: Analysis, found: tuple[Reader, ...], x: NDArray[Any], seed: int) -> list[NDArray[np.float64]]:
    """Mean of products of what each reader sees and a constant 1, which stands last."""
    sums: dict[int, NDArray[np.float64]] = {}
    rng = np.random.default_rng(seed)
    for reader, patches in sampled_patches(analysis.graph, found, x, _POSITIONS_PER_IMAGE, rng):
        rows = patches.reshape(len(patches), -1).astype(np.float64)
        rows = np.hstack([rows, np.ones((len(rows), 1))])
        sums[id(reader)] = sums.get(id(reader), 0.0) + rows.T @ rows
    return [sums[id(reader)] / sums[id(reader)][-1, -1] for reader in found]
