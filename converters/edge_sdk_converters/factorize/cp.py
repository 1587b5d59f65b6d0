"""Small convolutions as sums of separable terms: CP, a 1×1 convolution, a depthwise k×k one, a 1×1 one.

Lebedev et al., "Speeding-up Convolutional Neural Networks Using Fine-tuned CP-Decomposition" (arXiv 1412.6553), with the
kernel's positions as one axis: a tensor `[k·k, in, out]` is a sum of `rank` outer products. Alternating least squares
start from it compressed to as many channels as the rank (Bro, Andersson, "Improving the speed of multiway algorithms II:
Compression", 1998), slightly regularized so that no two terms grow against each other, and without failing where they do
not converge. What they find of the input channels is kept; positions and outputs are then fitted in turn, in closed
form, to the layer's output.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np
import tensorly
from tensorly.cp_tensor import CPTensor
from tensorly.decomposition import parafac

from .methods import Factors, Ranks, expansion, options_of, rank_ladder, round_rank
from .moments import is_matrix
from .regression import Grouped, leading, project, root, solve
from .vbmf import variational_bayes_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .target import Target

__all__ = ["LARGEST_KERNEL", "CanonicalPolyadic"]

LARGEST_KERNEL = 49
"""Positions in a kernel, 7×7, above which terms that are separable in everything but space fit too badly."""

_ITERATIONS, _TOLERANCE = 200, 1e-7
"""Of alternating least squares on the compressed kernel, at most."""

_MANY_TERMS, _FEWER_ITERATIONS = 32, 60
"""Ranks above which iterations take long, and later ones change the error by less than a thousandth."""

_REGULARIZATION = 1e-8
"""Of the alternating systems, for a kernel of norm 1."""

_SWEEPS = 2
"""Turns between positions and outputs; later ones change the error by less than a hundredth."""

_LARGEST_SYSTEM = 1152
"""Positions times rank on the ladder; what takes longer has seldom been worth it beside Tucker-2 and pairs."""


_Terms = tuple[float, "NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]
"""Error, positions `[s, rank]`, input channels `[in, rank]`, outputs `[rank, out]`."""


class CanonicalPolyadic:
    """A convolution as 1×1 to `rank` channels, depthwise k×k, 1×1 to the filters; see `Factorization`."""

    kind: ClassVar[str] = "cp"

    def __init__(self, target: Target, seed: int = 0) -> None:
        self.target, self._seed = target, seed
        height, width, channels, filters = target.kernel.shape
        self._plain = Grouped(target.kernel.reshape(height * width, channels, filters), None)
        self._grouped = Grouped(self._plain.kernel, target.patch_covariance)

    @staticmethod
    def suits(layer: keras.Layer) -> bool:
        """Small convolutions with one stride, since depthwise convolutions have one."""
        if not isinstance(layer, keras.layers.Conv2D) or is_matrix(layer):
            return False
        return len(set(layer.strides)) == 1 and int(np.prod(layer.kernel_size)) <= LARGEST_KERNEL

    @property
    def full(self) -> Ranks:
        """A rank at which an exact sum exists, though iterations need not find it: positions times the fewer channels."""
        positions, channels, filters = self._plain.kernel.shape
        return (min(channels * filters, positions * min(channels, filters)),)

    def ladder(self, multiple: int) -> Sequence[Ranks]:
        """Few ranks, since each takes iterations, up to where the layers would cost as much as the one they replace."""
        positions, channels, filters = self._plain.kernel.shape
        worthwhile = positions * channels * filters // (channels + positions + filters)
        return rank_ladder(max(1, min(*self.full, worthwhile, _LARGEST_SYSTEM // positions)), multiple)[::2]

    def keeping(self, energy: float, multiple: int) -> Ranks:
        """The first rung whose terms keep a share of the kernel's energy; the full rank where none does."""
        rungs = self.ladder(multiple)
        return next((ranks for ranks in rungs if self._plainly(ranks[0])[0] <= 1 - energy), self.full)

    def standing_out(self, multiple: int) -> Ranks | None:
        """The larger number of components that stand out of noise along either channel axis: CP has no spectrum."""
        kernel = self._plain.kernel
        found = [
            variational_bayes_rank(np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)) for axis in (1, 2)
        ]
        return (round_rank(max(found), multiple, self.full[0]),) if all(found) else None

    @staticmethod
    def layers(layer: keras.Layer, ranks: Ranks) -> list[keras.Layer]:
        """`{name}_reduce`, `{name}_core` with stride, padding and dilation, `{name}_expand`."""
        return [
            keras.layers.Conv2D(ranks[0], 1, use_bias=False, **options_of(layer, "reduce")),
            keras.layers.DepthwiseConv2D(
                layer.kernel_size,
                strides=layer.strides,
                padding=layer.padding,
                dilation_rate=layer.dilation_rate,
                use_bias=False,
                **options_of(layer, "core"),
            ),
            expansion(layer),
        ]

    def factors(self, ranks: Ranks) -> Factors:
        """The best of the terms that iterations on the kernel, plain and whitened, have come to."""
        error, positions, into, out = min(self._fits(ranks[0]), key=lambda terms: terms[0])
        product = np.einsum("sr,ir,ro->sio", positions, into, out, optimize=True).reshape(self.target.kernel.shape)
        bias = self.target.shifted_bias(product)
        positions, into, out = _balanced(positions, into, out)
        return Factors(
            (
                into[None, None].astype(np.float32),
                positions.reshape(*self.target.kernel.shape[:2], ranks[0], 1).astype(np.float32),
                out[None, None].astype(np.float32),
            ),
            None if bias is None else bias.astype(np.float32),
            error,
        )

    def _fits(self, rank: int) -> list[_Terms]:
        plain = self._plainly(rank)
        if self._grouped.covariance is None:
            return [plain]
        forward, back = self._whitening
        positions, into = _iterated(forward @ self._plain.kernel, rank, self._seed)
        return [_fitted(self._grouped, *plain[1:3]), _fitted(self._grouped, positions, _unit(back @ into))]

    def _plainly(self, rank: int) -> _Terms:
        return _fitted(self._plain, *_iterated(self._plain.kernel, rank, self._seed))

    @cached_property
    def _whitening(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return root(self._grouped.within)


def _fitted(grouped: Grouped, positions: NDArray[np.float64], into: NDArray[np.float64]) -> _Terms:
    """Fit positions and outputs in turn; the error never rises."""
    regression = project(grouped, into)
    size, rank = positions.shape
    gram = regression.dense.reshape(size, rank, size, rank)
    cross = regression.cross.reshape(size, rank, -1)
    out = _outputs(gram, cross, positions)
    for _ in range(_SWEEPS):
        system = (gram * (out @ out.T)[:, None, :]).reshape(size * rank, -1)
        right = np.einsum("sro,ro->sr", cross, out).reshape(-1, 1)
        positions = _unit(solve(system, right).reshape(size, rank))
        out = _outputs(gram, cross, positions)
    explained = float(np.sum(out * np.einsum("sr,sro->ro", positions, cross)))  # exact, since the outputs are the best
    return regression.share(regression.energy - explained), positions, into, out


def _outputs(
    gram: NDArray[np.float64], cross: NDArray[np.float64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The best outputs `[rank, out]` for given positions `[s, rank]`."""
    values = np.einsum("sr,srtq,tq->rq", positions, gram, positions, optimize=True)
    return solve(values, np.einsum("sr,sro->ro", positions, cross))


def _iterated(kernel: NDArray[np.float64], rank: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions `[s, rank]` and input channels `[in, rank]` of a sum of terms near a kernel `[s, in, out]`."""
    into, out = (
        leading(unfolded @ unfolded.T, min(rank, len(unfolded)))
        for unfolded in (np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1) for axis in (1, 2))
    )
    compressed = into.T @ kernel @ out
    start, norm = _start(compressed, rank, seed), float(np.linalg.norm(compressed))
    if norm == 0:  # nothing to iterate on: any terms will do, with outputs of zero
        return _unit(start[0]), _unit(into @ start[1])
    with tensorly.backend_context("numpy"):
        _, (positions, inputs, _) = parafac(
            compressed / norm,
            rank,
            n_iter_max=_ITERATIONS if rank <= _MANY_TERMS else _FEWER_ITERATIONS,
            init=CPTensor((None, start)),
            tol=_TOLERANCE,
            l2_reg=_REGULARIZATION,
        )
    return _unit(positions), _unit(into @ inputs)


def _start(kernel: NDArray[np.float64], rank: int, seed: int) -> list[NDArray[np.float64]]:
    """Per axis the leading singular vectors of the unfolded kernel, and random columns where there are too few."""
    rng = np.random.default_rng(seed)
    factors = []
    for axis, size in enumerate(kernel.shape):
        unfolded = np.moveaxis(kernel, axis, 0).reshape(size, -1)
        others = rng.normal(0, 1 / np.sqrt(size), (size, max(0, rank - size)))
        factors.append(np.hstack([leading(unfolded @ unfolded.T, min(rank, size)), others]))
    return factors


def _unit(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of length 1; those of zeros stay."""
    return np.asarray(columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(np.float64).tiny))


def _balanced(
    positions: NDArray[np.float64], into: NDArray[np.float64], out: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The same terms with the length of each spread evenly over its three factors."""
    scale = np.cbrt(np.maximum(np.linalg.norm(out, axis=1), np.finfo(np.float32).tiny))
    return positions * scale, into * scale, out / (scale**2)[:, None]
