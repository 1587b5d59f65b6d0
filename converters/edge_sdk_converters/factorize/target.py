"""What is to be approximated: a layer's kernel and bias, with the moments under which its output counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .moments import is_matrix

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from .moments import Moments

__all__ = ["RIDGE", "Target"]

RIDGE = 1e-7
"""Share of the kernel's own error in what is minimised: it decides where the calibration images say nothing."""


@dataclass(frozen=True, eq=False)
class Target:
    """A layer to be written as a product.

    With a bias the error that counts is centred, since the new bias makes up for what the factors do to the mean; without
    one it is not.

    Attributes:
        layer: A built dense layer, or a built convolution with channels last and one group.
        moments: Of its outputs for what `is_matrix`, else of its input patches, as `collect_moments` gives them; None
            where the error of the kernel counts.
    """

    layer: keras.Layer
    moments: Moments | None = None

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """The kernel, `[height, width, in, out]`; 1×1 for a dense layer."""
        kernel = np.asarray(self.layer.get_weights()[0], np.float64)
        return kernel.reshape(1, 1, *kernel.shape) if kernel.ndim == 2 else kernel

    @property
    def bias(self) -> NDArray[np.float64] | None:
        """The bias `[out]`, or None."""
        return np.asarray(self.layer.get_weights()[1], np.float64) if self.layer.use_bias else None

    @cached_property
    def patch_covariance(self) -> NDArray[np.float64] | None:
        """Covariance of a convolution's input patches `[patch, patch]`, regularized; None where the kernel's error counts."""
        if self.moments is None or is_matrix(self.layer):
            return None
        covariance = self.moments.covariance(centred=self.layer.use_bias)
        return covariance + RIDGE * (float(np.trace(covariance)) / len(covariance) or 1.0) * np.eye(len(covariance))

    @cached_property
    def output_covariance(self) -> NDArray[np.float64]:
        """Covariance of the outputs of what `is_matrix`, `[out, out]`: of real ones, or as if inputs were white."""
        matrix = self.kernel.reshape(-1, self.kernel.shape[-1])
        white = matrix.T @ matrix
        if self.moments is None:
            return white
        covariance = self.moments.covariance(centred=self.layer.use_bias)
        scale = float(np.trace(covariance)) / (float(np.trace(white)) or 1.0)
        return covariance + RIDGE * (scale or 1.0) * white

    def shifted_bias(self, approximation: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The bias that keeps the mean output when an approximation takes the kernel's place.

        Args:
            approximation: For what `is_matrix` the projection of its outputs `[out, out]`, else a kernel
                `[height, width, in, out]`.

        Returns:
            `[out]`, or None for a layer without a bias.
        """
        if self.bias is None or self.moments is None:
            return self.bias
        mean = self.moments.mean
        if is_matrix(self.layer):
            return np.asarray(self.bias + mean - mean @ approximation)
        return np.asarray(self.bias + mean @ (self.kernel - approximation).reshape(len(mean), -1))
