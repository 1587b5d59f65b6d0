"""How a bundle stores its models."""

from __future__ import annotations

from enum import Enum

from ..errors import RecipeError

__all__ = ["Storage", "parse_storage"]


class Storage(str, Enum):
    """How a bundle stores its models; what the device runs is the same."""

    PLAIN = "plain"
    """As exported."""
    CODED = "coded"
    """Entropy-coded; rebuilt byte for byte on the device, once. Pays for weights that are zero or shared, or few bits wide."""


def parse_storage(name: str) -> Storage:
    """A kind of storage as a recipe or a user names it.

    Raises:
        RecipeError: There is no such kind.
    """
    try:
        return Storage(name)
    except ValueError:
        known = ", ".join(kind.value for kind in Storage)
        raise RecipeError(f"storage must be one of {known}. Received: {name!r}. Choose one of them.") from None
