"""What a factorization pass is asked to do, as plain data that needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RecipeError

__all__ = ["FactorizeConfig"]


@dataclass(frozen=True)
class FactorizeConfig:
    """How far layers are factorized, and which of them.

    Attributes:
        energy: Share of each kernel's squared singular values that the factors keep, above 0 to 1.
        min_saving: Share of a layer's multiply-accumulates that its factors have to save, 0 to below 1; a layer that
            would save less is kept.
        multiple: Ranks are rounded up to a multiple of this, at least 1; four suits the vector units of ARM processors.
        skip: Names of layers to leave alone.

    Raises:
        RecipeError: A value is outside what it may be.
    """

    energy: float = 0.95
    min_saving: float = 0.1
    multiple: int = 4
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.energy <= 1:
            raise RecipeError(f"energy must be above 0 and at most 1. Received: {self.energy}. Try 0.95.")
        if not 0 <= self.min_saving < 1:
            raise RecipeError(f"min_saving must be at least 0 and below 1. Received: {self.min_saving}. Try 0.1.")
        if self.multiple < 1:
            raise RecipeError(f"multiple must be at least 1. Received: {self.multiple}. Use 1 for exact ranks.")
        if isinstance(self.skip, str):
            raise RecipeError(f"skip must be a list of layer names. Received: '{self.skip}'. Write ['{self.skip}'].")
