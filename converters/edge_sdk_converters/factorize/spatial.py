"""Convolutions as pairs of one-dimensional ones: k×1 to a few channels, then 1×k.

Jaderberg, Vedaldi, Zisserman, "Speeding up Convolutional Neural Networks with Low Rank Expansions" (arXiv 1405.3866),
scheme 2; an N×N kernel pays below N·K·L / (K + L) middle channels. The kernel, its rows and input channels against its
columns and outputs, is a matrix whose truncated SVD is the best pair for white inputs. With calibration images the first
factor also comes from that matrix whitened, and the second is the regression of the output on what the first gives.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np

from .methods import Factors, Ranks, options_of, rank_ladder, round_rank
from .rank import rank_for_energy
from .regression import Grouped, leading, project, root
from .vbmf import variational_bayes_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

__all__ = ["SpatialPair"]


class SpatialPair:
    """A convolution as a vertical one without bias, and a horizontal one with bias and activation; see `Factorization`.

    Each carries its own axis's stride and dilation; padding splits by itself, since zero rows stay zero rows.
    """

    kind: ClassVar[str] = "spatial"

    def __init__(self, target: Target, seed: int = 0) -> None:
        del seed  # nothing here is random
        self.target = target
        self._grouped = _by_columns(target.kernel, target.patch_covariance)

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """Convolutions whose kernel is larger than 1 along both axes."""
        return isinstance(layer, keras.layers.Conv2D) and min(layer.kernel_size) > 1

    @property
    def full(self) -> Ranks:
        """The smaller of height times input channels and width times filters."""
        groups, values, outputs = self._grouped.kernel.shape
        return (min(values, groups * outputs),)

    def ladder(self, multiple: int) -> Sequence[Ranks]:
        """Ranks in about equal ratios."""
        return rank_ladder(self.full[0], multiple)

    def keeping(self, energy: float, multiple: int) -> Ranks:
        """The smallest rank that keeps a share of the unfolded kernel's energy."""
        values = np.linalg.svd(_unfolded(self._grouped.kernel), compute_uv=False)
        return (rank_for_energy(values, energy, multiple=multiple),)

    def standing_out(self, multiple: int) -> Ranks | None:
        """The components of the unfolded kernel that stand out of noise."""
        rank = variational_bayes_rank(_unfolded(self._grouped.kernel))
        return (round_rank(rank, multiple, self.full[0]),) if rank else None

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """`{name}_vertical` and `{name}_horizontal`."""
        (height, width), (down, right), (tall, wide) = layer.kernel_size, layer.strides, layer.dilation_rate
        vertical = keras.layers.Conv2D(
            ranks[0],
            (height, 1),
            strides=(down, 1),
            padding=layer.padding,
            dilation_rate=(tall, 1),
            use_bias=False,
            **options_of(layer, "vertical"),
        )
        horizontal = keras.layers.Conv2D(
            layer.filters,
            (1, width),
            strides=(1, right),
            padding=layer.padding,
            dilation_rate=(1, wide),
            activation=layer.activation,
            use_bias=layer.use_bias,
            **options_of(layer, "horizontal"),
        )
        return [vertical, horizontal]

    def factors(self, ranks: Ranks) -> Factors:
        """The best of the first factors there are, and the regression behind it."""
        height, width, channels, filters = self.target.kernel.shape
        fits = [
            (project(self._grouped, vectors[:, : ranks[0]]).fit(), vectors[:, : ranks[0]]) for vectors in self._bases
        ]
        fit, basis = min(fits, key=lambda each: each[0].error)
        weights = fit.weights.reshape(width, ranks[0], filters)
        product = (basis @ weights).reshape(width, height, channels, filters).swapaxes(0, 1)
        bias = self.target.shifted_bias(product)
        scale = np.sqrt(np.maximum(np.linalg.norm(weights, axis=(0, 2)), np.finfo(np.float32).tiny))
        return Factors(
            (
                (basis * scale).reshape(height, 1, channels, ranks[0]).astype(np.float32),
                (weights / scale[:, None])[None].astype(np.float32),
            ),
            None if bias is None else bias.astype(np.float32),
            fit.error,
        )

    @cached_property
    def _bases(self) -> list[NDArray[np.float64]]:
        """Orthonormal directions of rows and input channels by falling importance, `[height · in, height · in]`."""
        kernel = self._grouped.kernel
        bases = [leading(_rows(kernel), kernel.shape[1])]
        if self._grouped.covariance is not None:
            forward, back = root(self._grouped.within)
            bases.append(np.linalg.qr(back @ leading(_rows(forward @ kernel), kernel.shape[1]))[0])
        return bases


def _by_columns(kernel: NDArray[np.float64], covariance: NDArray[np.float64] | None) -> Grouped:
    """The kernel `[width, height · in, out]`, a group per column, and the covariance in that order."""
    height, width, channels, filters = kernel.shape
    grouped = kernel.swapaxes(0, 1).reshape(width, height * channels, filters)
    if covariance is None:
        return Grouped(grouped, None)
    order = np.arange(height * width * channels).reshape(height, width, channels).swapaxes(0, 1).ravel()
    return Grouped(grouped, covariance[np.ix_(order, order)])


def _unfolded(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows and input channels against columns and outputs, `[height · in, width · out]`."""
    return kernel.swapaxes(0, 1).reshape(kernel.shape[1], -1)


def _rows(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = _unfolded(kernel)
    return matrix @ matrix.T
