"""Least squares on a layer's output: what the last factors have to be, given the first.

A kernel `[s, i, o]` maps s groups of i values each to o outputs. Factorizations that send every group through the same
basis `[i, r]` first (Tucker-2: a group per position; spatial pairs: a group per column) leave a linear regression of the
outputs on `s · r` values, solved in closed form under the covariance of the inputs. Without calibration images that
covariance is the identity, and the error is that of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fit", "Grouped", "Regression", "leading", "project", "root", "solve"]

_JITTER = 1e-13
"""Added to the diagonal of a system, relative to its mean: far below what float32 weights can hold."""


@dataclass(frozen=True, eq=False)
class Grouped:
    """A linear map whose inputs fall into groups, and how its inputs vary together.

    Attributes:
        kernel: `float64 [s, i, o]`.
        covariance: Of the inputs, `float64 [s · i, s · i]`, or None for the identity.
    """

    kernel: NDArray[np.float64]
    covariance: NDArray[np.float64] | None

    @property
    def within(self) -> NDArray[np.float64]:
        """Covariance of the values within a group, averaged over groups, `[i, i]`."""
        groups, values, _ = self.kernel.shape
        if self.covariance is None:
            return np.eye(values)
        return np.asarray(np.einsum("sisj->ij", self.covariance.reshape(groups, values, groups, values)) / groups)

    @cached_property
    def response(self) -> NDArray[np.float64]:
        """How inputs and outputs vary together, `[s · i, o]`."""
        flat = self.kernel.reshape(-1, self.kernel.shape[-1])
        return flat if self.covariance is None else self.covariance @ flat

    @cached_property
    def energy(self) -> float:
        """Mean square of the outputs, summed over them."""
        return float(np.sum(self.kernel.reshape(self.response.shape) * self.response))


@dataclass(frozen=True, eq=False)
class Fit:
    """Weights in two factors, and what they leave.

    Attributes:
        weights: `float64 [s · r, rank]`.
        basis: Orthonormal rows `float64 [rank, o]`; the identity for a full rank.
        error: Mean square of what is left of the outputs, as a share of their own.
    """

    weights: NDArray[np.float64]
    basis: NDArray[np.float64]
    error: float


@dataclass(frozen=True, eq=False)
class Regression:
    """The normal equations of the outputs on values that a basis `[i, r]` makes of every group.

    Attributes:
        gram: Of those values, `float64 [s · r, s · r]`; `[r, r]` where it is the same in every group and groups are independent.
        cross: Of those values with the outputs, `float64 [s · r, o]`.
        energy: Mean square of the outputs, summed over them.
    """

    gram: NDArray[np.float64]
    cross: NDArray[np.float64]
    energy: float

    @property
    def dense(self) -> NDArray[np.float64]:
        """The whole Gram matrix, `[s · r, s · r]`."""
        groups = len(self.cross) // len(self.gram)
        return self.gram if groups == 1 else np.asarray(np.kron(np.eye(groups), self.gram), np.float64)

    def fit(self, rank: int | None = None) -> Fit:
        """The best weights of a rank: reduced-rank regression (Izenman, 1975).

        Args:
            rank: Of the weights, at most o; None for o.
        """
        outputs = self.cross.shape[1]
        full = solve(self.gram, self.cross.reshape(-1, len(self.gram), outputs)).reshape(self.cross.shape)
        explained = full.T @ self.cross
        if rank is None or rank == outputs:
            return Fit(full, np.eye(outputs), self.share(self.energy - float(np.trace(explained))))
        basis = leading((explained + explained.T) / 2, rank)
        return Fit(full @ basis, basis.T, self.share(self.energy - float(np.sum(basis * (explained @ basis)))))

    def share(self, left: float) -> float:
        """A mean square as a share of that of the outputs; 0 where these are all 0."""
        return max(0.0, left) / self.energy if self.energy > 0 else 0.0


def project(grouped: Grouped, basis: NDArray[np.float64]) -> Regression:
    """Set up the regression on what a basis makes of every group.

    Args:
        grouped: The map to approximate.
        basis: `[i, r]`, the same for every group.

    Returns:
        Its normal equations.
    """
    groups, values, outputs = grouped.kernel.shape
    rank = basis.shape[1]
    cross = (basis.T @ grouped.response.reshape(groups, values, outputs)).reshape(-1, outputs)
    if grouped.covariance is None:
        return Regression(basis.T @ basis, cross, grouped.energy)
    half = (basis.T @ grouped.covariance.reshape(groups, values, -1)).reshape(groups * rank, groups, values)
    return Regression((half @ basis).reshape(groups * rank, -1), cross, grouped.energy)


def solve(gram: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve `gram · x = right` for a positive semi-definite matrix, also where it is singular.

    Args:
        gram: `[n, n]`.
        right: `[…, n, m]`.

    Returns:
        A solution `[…, n, m]`; a least-squares one of nearly least norm where there are many.
    """
    scale = float(np.trace(gram)) / len(gram) or 1.0
    return np.asarray(np.linalg.solve(gram + _JITTER * scale * np.eye(len(gram)), right))


def leading(matrix: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """The eigenvectors of a symmetric matrix `[n, n]` with the `rank` largest eigenvalues, `[n, rank]`."""
    return np.asarray(np.linalg.eigh(matrix)[1][:, ::-1][:, :rank])


def root(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The symmetric square root of a positive definite matrix `[n, n]`, and that root's inverse."""
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, np.finfo(np.float64).eps * max(float(values[-1]), 1e-300)))
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
