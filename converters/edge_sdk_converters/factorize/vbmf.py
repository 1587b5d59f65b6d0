"""How many components of a matrix stand out of its noise: variational Bayes, solved in closed form.

Nakajima, Sugiyama, Babacan, Tomioka, "Global Analytic Solution of Fully-observed Variational Bayesian Matrix
Factorization" (JMLR 14, 2013): the components of an empirical-Bayes factorization survive exactly where a singular value
exceeds a threshold that the noise variance fixes, and the noise variance minimises a free energy of one variable. Kim et
al. (arXiv 1511.06530) choose the ranks of Tucker-2 this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["noise_variance", "variational_bayes_rank"]

_THRESHOLD = 2.5129
"""τ̲ ≈ 2.5129·√α for matrices whose sides have the ratio α: strength below which a component is cheaper to leave out."""

_GRID, _ROUNDS = 64, 6
"""Points of a logarithmic grid over the noise variance, and how often it is laid around its best point again."""


def variational_bayes_rank(matrix: NDArray[np.floating]) -> int:
    """Count the components that stand out of the noise in a matrix.

    Args:
        matrix: `[m, n]`, both at least 1. The noise in it is estimated along.

    Returns:
        A rank from 0, where nothing but noise is found, to min(m, n).

    Raises:
        RecipeError: It is not a matrix, or holds what is no number.
    """
    spectrum, short, long = _spectrum(matrix)
    variance = _minimum(spectrum, short, long)
    return int(np.sum(spectrum**2 > long * variance * _limit(short / long)))


def noise_variance(matrix: NDArray[np.floating]) -> float:
    """Estimate the variance of the noise in each entry of a matrix.

    Args:
        matrix: `[m, n]`, both at least 1.

    Returns:
        The variance that empirical variational Bayes settles on; 0 for a matrix of zeros.

    Raises:
        RecipeError: It is not a matrix, or holds what is no number.
    """
    return _minimum(*_spectrum(matrix))


def _spectrum(matrix: NDArray[np.floating]) -> tuple[NDArray[np.float64], int, int]:
    """Singular values in descending order, the shorter side, the longer side."""
    wide = np.asarray(matrix, np.float64)
    if wide.ndim != 2 or wide.size == 0 or not np.isfinite(wide).all():
        raise RecipeError(
            f"A rank by variational Bayes needs a matrix of finite numbers. Received: shape {list(wide.shape)}. "
            "Unfold the kernel first, and check its values."
        )
    short, long = sorted(wide.shape)
    return np.asarray(np.linalg.svd(wide, compute_uv=False)), short, long


def _limit(alpha: float) -> float:
    """Squared singular values in units of `long · variance` above which components survive."""
    tau = _THRESHOLD * np.sqrt(alpha)
    return float((1 + tau) * (1 + alpha / tau))


def _minimum(spectrum: NDArray[np.float64], short: int, long: int) -> float:
    """The noise variance of the least free energy; a grid is laid finer and finer, since there may be several minima."""
    limit = _limit(short / long)
    upper = float(np.sum(spectrum**2)) / (short * long)
    if upper == 0:
        return 0.0
    most = int(np.ceil(short / (1 + short / long))) - 1  # components that can survive; the others are noise
    tail = spectrum[most:]
    lower = max(float(tail[0] ** 2) / (long * limit), float(np.mean(tail**2)) / long, 1e-12 * upper)
    first, last = bounds = np.log(min(lower, upper)), np.log(upper)
    for _ in range(_ROUNDS):
        grid = np.linspace(first, last, _GRID)
        best = int(np.argmin(_free_energy(np.exp(grid), spectrum, short, long, limit)))
        step = grid[1] - grid[0]
        first, last = max(bounds[0], grid[best] - step), min(bounds[1], grid[best] + step)
    return float(np.exp(grid[best]))


def _free_energy(
    variances: NDArray[np.float64], spectrum: NDArray[np.float64], short: int, long: int, limit: float
) -> NDArray[np.float64]:
    """The free energy as a function of the noise variance, up to constants, `[variances]`."""
    alpha = short / long
    x = np.maximum(spectrum**2, np.finfo(np.float64).tiny) / (long * variances[:, None])
    survives = x > limit
    kept = np.where(survives, x, limit)
    tau = 0.5 * (kept - (1 + alpha) + np.sqrt((kept - (1 + alpha)) ** 2 - 4 * alpha))
    gain = np.log((tau + 1) / kept) + alpha * np.log(tau / alpha + 1) - tau
    return np.asarray(np.sum(x - np.log(x) + np.where(survives, gain + np.log(kept), 0.0), axis=1))
