"""Rules that several configurations share; each raises the one-line error of the value that breaks it."""

from __future__ import annotations

from enum import Enum
from typing import Any

from .errors import RecipeError

__all__ = ["require_at_least", "require_layer_names", "take_members"]


def take_members(config: Any, **kinds: type[Enum]) -> None:
    """Turn plain strings of a frozen dataclass into the members they name, so that TOML and keyword values read alike.

    Args:
        config: The configuration, from its `__post_init__`.
        **kinds: The enumeration of each field.

    Raises:
        RecipeError: A value names no member.
    """
    for name, kind in kinds.items():
        value, members = getattr(config, name), tuple(kind)
        if value not in members:
            names = ", ".join(member.value for member in members)
            raise RecipeError(f"{name} must be one of {names}. Received: {value}. Choose one of them.")
        object.__setattr__(config, name, kind(value))


def require_at_least(config: Any, **least: int) -> None:
    """Check that whole numbers are no smaller than they may be.

    Raises:
        RecipeError: One is.
    """
    for name, limit in least.items():
        if (value := getattr(config, name)) < limit:
            raise RecipeError(f"{name} must be at least {limit}. Received: {value}. Use {limit}, or leave it out.")


def require_layer_names(config: Any, name: str = "skip") -> None:
    """Check that a field lists layer names and is not one name, whose letters would be taken for names.

    Raises:
        RecipeError: It is a string.
    """
    if isinstance(value := getattr(config, name), str):
        raise RecipeError(f"{name} must be a list of layer names. Received: '{value}'. Write ['{value}'].")
