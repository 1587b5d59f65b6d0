"""Keeping weights at zero while a network trains, on any back end: a constraint that the optimizer applies at every step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras

from .kernels import kernels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Masked", "zeros_kept"]


class Masked(keras.constraints.Constraint):
    """Sets the weights of a kernel to zero where a mask is zero, after whatever constraint the kernel had.

    Args:
        mask: Not zero where a weight may be, in the kernel's shape: an array, which stays as it is, or a variable of the
            optimizer, which may change between steps.
        before: The constraint that the kernel has already, or None.
    """

    def __init__(self, mask: keras.Variable | NDArray[Any], before: Callable[[Any], Any] | None = None) -> None:
        self.mask, self._before = mask, before

    def __call__(self, w: Any) -> Any:
        """The kernel with zeros."""
        value = keras.ops.convert_to_tensor(w if self._before is None else self._before(w))
        # Not a product: that gives negative zeros, which an entropy coder takes for another value.
        return keras.ops.where(keras.ops.cast(self.mask, "bool"), value, 0.0)


@contextlib.contextmanager
def zeros_kept(model: keras.Model) -> Iterator[None]:
    """Keep the zeros of a sparse network while a block trains it.

    Every weight of a kernel that is exactly zero at the beginning is so at the end. A kernel without zeros costs nothing,
    and one of nothing but zeros has not learnt yet and may. The model must be compiled within the block.

    Args:
        model: A built model. Its constraints are the same after the block as before it.
    """
    kernels = [kernel.variable for kernel in kernels_of(model.layers)]
    constraints = [kernel.constraint for kernel in kernels]
    for kernel in kernels:
        mask = kernel.numpy() != 0
        if mask.any() and not mask.all():
            kernel.constraint = Masked(mask, kernel.constraint)
    try:
        yield
    finally:
        for kernel, constraint in zip(kernels, constraints, strict=True):
            kernel.constraint = constraint
