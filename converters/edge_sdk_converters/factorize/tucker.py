"""Convolutions over fewer channels: Tucker-2, a 1×1 convolution, a k×k one between few channels, a 1×1 one.

Kim et al., "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications" (arXiv
1511.06530). The input channels' basis comes from higher-order orthogonal iteration on the kernel or, with calibration
images, also from the kernel whitened by the channels' covariance; the rest is then the reduced-rank regression of the
layer's output on what that basis leaves of its input, exact for the basis.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np

from .methods import Factors, Ranks, expansion, options_of, round_rank
from .moments import is_matrix
from .rank import rank_for_energy
from .regression import Grouped, leading, project, root
from .vbmf import variational_bayes_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

__all__ = ["Tucker"]

_SWEEPS = 3
"""Alternating improvements of the plain bases; later ones change the error by less than a thousandth."""

_LOST = np.geomspace(0.7, 1e-3, 14)
"""Shares of energy that the rungs of the ladder leave out."""


class Tucker:
    """A convolution as 1×1 to `rank_in` channels, k×k to `rank_out` channels, 1×1 to the filters; see `Factorization`.

    A 1×1 convolution whose rank is full would buy nothing; it is left out, and the k×k convolution does its part.
    """

    kind: ClassVar[str] = "tucker"

    def __init__(self, target: Target, seed: int = 0) -> None:
        del seed  # nothing here is random
        self.target = target
        height, width, channels, filters = target.kernel.shape
        self._grouped = Grouped(target.kernel.reshape(height * width, channels, filters), target.patch_covariance)
        self._plain = Grouped(self._grouped.kernel, None)

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """Convolutions that look at more than one position."""
        return isinstance(layer, keras.layers.Conv2D) and not is_matrix(layer)

    @property
    def full(self) -> Ranks:
        """Input channels and filters; a rank that is not full can besides use at most k·k times the other one."""
        _, channels, filters = self._grouped.kernel.shape
        return channels, filters

    def ladder(self, multiple: int) -> Sequence[Ranks]:
        """Ranks that leave equal shares of both sides' energy out: of the whitened kernel and of the output."""
        sides = _spectra(self._grouped)
        return sorted({self._paired(sides, 1 - float(lost), multiple) for lost in _LOST})

    def keeping(self, energy: float, multiple: int) -> Ranks:
        """The smallest ranks that keep a share of the energy of the kernel unfolded along either channel axis."""
        return self._paired(_spectra(self._plain), energy, multiple)

    def standing_out(self, multiple: int) -> Ranks | None:
        """The components that stand out of noise in the kernel unfolded along either channel axis."""
        _, channels, filters = self._grouped.kernel.shape
        unfolded = (np.moveaxis(self._grouped.kernel, axis, 0).reshape(self.full[axis - 1], -1) for axis in (1, 2))
        found = [variational_bayes_rank(matrix) for matrix in unfolded]
        if not all(found):
            return None
        return self._possible(round_rank(found[0], multiple, channels), round_rank(found[1], multiple, filters))

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """`{name}_reduce`, `{name}_core` with strides, padding and dilation, `{name}_expand`; the last has the activation."""
        (rank_in, rank_out), (channels, filters) = ranks, layer.kernel.shape[-2:]
        last = {"activation": layer.activation, "use_bias": layer.use_bias}
        reduce = keras.layers.Conv2D(rank_in, 1, use_bias=False, **options_of(layer, "reduce"))
        core = keras.layers.Conv2D(
            rank_out,
            layer.kernel_size,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            **(last if rank_out == filters else {"use_bias": False}),
            **options_of(layer, "core"),
        )
        return [
            *([reduce] if rank_in < channels else []),
            core,
            *([expansion(layer)] if rank_out < filters else []),
        ]

    def factors(self, ranks: Ranks) -> Factors:
        """The best of the bases there are, and the regression behind it."""
        rank_in, rank_out = ranks
        fits = [(project(self._grouped, basis).fit(rank_out), basis) for basis in self._bases(rank_in, rank_out)]
        fit, basis = min(fits, key=lambda each: each[0].error)
        core = fit.weights.reshape(-1, rank_in, rank_out)
        product = (basis @ core @ fit.basis).reshape(self.target.kernel.shape)
        bias = self.target.shifted_bias(product)
        kernels = [core.reshape(*self.target.kernel.shape[:2], rank_in, rank_out)]
        kernels = [basis[None, None], *kernels] if rank_in < self.full[0] else kernels
        kernels = [*kernels, fit.basis[None, None]] if rank_out < self.full[1] else kernels
        return Factors(
            tuple(kernel.astype(np.float32) for kernel in kernels),
            None if bias is None else bias.astype(np.float32),
            fit.error,
        )

    def _bases(self, rank_in: int, rank_out: int) -> list[NDArray[np.float64]]:
        """Orthonormal bases of the input channels, `[in, rank_in]`; a full rank gives the identity."""
        if rank_in == self.full[0]:
            return [np.eye(rank_in)]
        plain = _iterated(self._grouped.kernel, rank_in, rank_out)
        if self._whitened is None:
            return [plain]
        vectors, inverse = self._whitened
        return [plain, np.linalg.qr(inverse @ vectors[:, :rank_in])[0]]

    @cached_property
    def _whitened(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Directions of the whitened kernel by falling energy, and what takes whitening back, both `[in, in]`."""
        if self._grouped.covariance is None:
            return None
        forward, back = root(self._grouped.within)
        return leading(_gram(forward @ self._grouped.kernel, 1), self.full[0]), back

    def _paired(self, sides: tuple[NDArray[np.float64], NDArray[np.float64]], energy: float, multiple: int) -> Ranks:
        rank_in, rank_out = (rank_for_energy(values, energy, multiple=multiple) for values in sides)
        return self._possible(rank_in, rank_out)

    def _possible(self, rank_in: int, rank_out: int) -> Ranks:
        """More channels on one side than positions times the other's could not be told apart."""
        positions = len(self._grouped.kernel)
        return min(rank_in, positions * rank_out), min(rank_out, positions * rank_in)


def _spectra(grouped: Grouped) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values along the input channels, whitened, and along the outputs, descending."""
    kernel = grouped.kernel
    into = _gram(kernel, 1)
    out = _gram(kernel, 2)
    if grouped.covariance is not None:
        into = _gram(root(grouped.within)[0] @ kernel, 1)
        out = kernel.reshape(-1, kernel.shape[-1]).T @ grouped.response
    return _roots(into), _roots(out)


def _roots(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))


def _iterated(kernel: NDArray[np.float64], rank_in: int, rank_out: int) -> NDArray[np.float64]:
    """The input basis `[in, rank_in]` of the best Tucker-2 approximation of a kernel `[s, in, out]`.

    Higher-order SVD, improved by alternating least squares (De Lathauwer et al., "On the best rank-1 and rank-(R1, R2,
    ..., RN) approximation", 2000).
    """
    into = leading(_gram(kernel, 1), rank_in)
    for _ in range(_SWEEPS):
        out = leading(_gram(into.T @ kernel, 2), rank_out)
        into = leading(_gram(kernel @ out, 1), rank_in)
    return into


def _gram(kernel: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The kernel unfolded along an axis, times its transpose: small, where the unfolded kernel is long."""
    unfolded = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
    return unfolded @ unfolded.T
