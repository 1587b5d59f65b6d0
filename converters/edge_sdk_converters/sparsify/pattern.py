"""N:M patterns: how many of several neighbouring weights may differ from zero; plain data that needs no Keras."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Pattern"]

_LARGEST = 1024
"""Longer groups than any reduction has that a device's sparse kernels look at."""


@dataclass(frozen=True)
class Pattern:
    """At most `kept` weights of every `group` consecutive ones along the axis that a product sums over differ from zero.

    That axis is the input channels, so a group belongs to one output and, in a convolution, to one position of the kernel.
    The last group of a row is shorter where the channels are no multiple of `group`; it may keep `kept` weights as well.
    Depthwise kernels sum over positions alone: each of their groups is a single weight, and stays.

    Zhou et al., "Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch" (2021).

    Attributes:
        kept: N, at least 1.
        group: M, above N.

    Raises:
        RecipeError: N and M are no pattern.
    """

    kept: int
    group: int

    def __post_init__(self) -> None:
        if not 1 <= self.kept < self.group <= _LARGEST:
            raise RecipeError(
                f"A pattern N:M must have 1 ≤ N < M ≤ {_LARGEST}. Received: {self.kept}:{self.group}. Write pattern = '2:4'."
            )

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read `"N:M"`.

        Raises:
            RecipeError: The text is no pattern.
        """
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII)
        if match is None:
            raise RecipeError(f"pattern must be N:M, two whole numbers. Received: '{text}'. Write pattern = '2:4'.")
        return cls(int(match[1]), int(match[2]))

    @property
    def sparsity(self) -> float:
        """Share of zeros where every group is whole: 1 - N / M."""
        return 1 - self.kept / self.group

    def keepers(self, magnitudes: NDArray[np.floating], axis: int | None) -> NDArray[np.bool_]:
        """The weights that the pattern never takes: the largest `kept` of each group, the earlier one where two are equal.

        Args:
            magnitudes: Absolute weights of any shape.
            axis: The axis that a product sums over; None where it sums over none of the kernel's channels.

        Returns:
            True where a weight stays, in the shape of `magnitudes`.
        """
        if axis is None:
            return np.ones(magnitudes.shape, bool)
        rows = np.moveaxis(magnitudes, axis, -1)
        length = rows.shape[-1]
        missing = -length % self.group
        padded = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, missing)], constant_values=-1)
        groups = padded.reshape(-1, self.group)
        best = np.argsort(-groups, axis=1, kind="stable")[:, : self.kept]
        stays = np.zeros(groups.shape, bool)
        np.put_along_axis(stays, best, True, axis=1)
        return np.moveaxis(stays.reshape(padded.shape)[..., :length], -1, axis)
