"""Dense layers and 1×1 convolutions as the product of two: truncated singular value decomposition.

`X·W ≈ (X·W·V)·Vᵀ` pays when `rank · (inputs + units) < inputs · units` (Denton et al., "Exploiting Linear Structure Within
Convolutional Networks", arXiv 1404.0736). V holds the leading principal directions of the output: with W alone these are
W's right singular vectors; with real inputs they are those of the outputs' covariance, which is the exact optimum of the
output's error, also where that covariance is singular (Zhang et al., arXiv 1505.06798).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np

from .methods import Factors, Ranks, expansion, options_of, rank_ladder, round_rank
from .moments import is_matrix
from .rank import rank_for_energy
from .vbmf import variational_bayes_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

__all__ = ["DenseSvd", "PointwiseSvd"]


class _Svd:
    """What dense layers and 1×1 convolutions share; see `Factorization`."""

    def __init__(self, target: Target, seed: int = 0) -> None:
        del seed  # nothing here is random
        self.target = target
        self._matrix = target.kernel.reshape(target.kernel.shape[-2:])

    @property
    def full(self) -> Ranks:
        """The smaller of inputs and outputs."""
        return (min(self._matrix.shape),)

    def ladder(self, multiple: int) -> Sequence[Ranks]:
        """Ranks in about equal ratios."""
        return rank_ladder(self.full[0], multiple)

    def keeping(self, energy: float, multiple: int) -> Ranks:
        """The smallest rank that keeps a share of the squared singular values."""
        return (rank_for_energy(np.linalg.svd(self._matrix, compute_uv=False), energy, multiple=multiple),)

    def standing_out(self, multiple: int) -> Ranks | None:
        """The components that stand out of noise."""
        rank = variational_bayes_rank(self._matrix)
        return (round_rank(rank, multiple, self.full[0]),) if rank else None

    def factors(self, ranks: Ranks) -> Factors:
        """W·V and Vᵀ, scaled to comparable magnitude."""
        values, vectors = self._principal
        basis = vectors[:, : ranks[0]]
        left = self._matrix @ basis
        scale = np.sqrt(np.maximum(np.linalg.norm(left, axis=0), np.finfo(np.float32).tiny))
        bias = self.target.shifted_bias(basis @ basis.T)
        total = float(values.sum())
        return Factors(
            (self._shaped(left / scale), self._shaped(scale[:, None] * basis.T)),
            None if bias is None else bias.astype(np.float32),
            max(0.0, float(values[ranks[0] :].sum()) / total) if total > 0 else 0.0,
        )

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Variances of the outputs along their principal directions, descending, and these, `[out, out]`."""
        values, vectors = np.linalg.eigh(self.target.output_covariance)
        return np.maximum(values[::-1], 0.0), vectors[:, ::-1]

    def _shaped(self, matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        lead = (1,) * (self.target.layer.kernel.ndim - 2)
        return matrix.reshape(*lead, *matrix.shape).astype(np.float32)


class DenseSvd(_Svd):
    """A dense layer as a linear one without bias, and one with the original's bias and activation."""

    kind: ClassVar[str] = "dense"

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """Dense layers."""
        return isinstance(layer, keras.layers.Dense)

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """`{name}_reduce` and `{name}_expand`."""
        return [
            keras.layers.Dense(ranks[0], use_bias=False, **options_of(layer, "reduce")),
            keras.layers.Dense(
                layer.units, activation=layer.activation, use_bias=layer.use_bias, **options_of(layer, "expand")
            ),
        ]


class PointwiseSvd(_Svd):
    """A 1×1 convolution as two: the first carries the strides, the second the bias and the activation."""

    kind: ClassVar[str] = "pointwise"

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """1×1 convolutions."""
        return isinstance(layer, keras.layers.Conv2D) and is_matrix(layer)

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """`{name}_reduce` and `{name}_expand`."""
        return [
            keras.layers.Conv2D(
                ranks[0],
                1,
                strides=layer.strides,
                padding=layer.padding,
                use_bias=False,
                **options_of(layer, "reduce"),
            ),
            expansion(layer),
        ]
