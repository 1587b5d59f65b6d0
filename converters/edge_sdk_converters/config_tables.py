"""Frozen configurations as plain tables and back: what a TOML file holds, every key and type checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from .errors import RecipeError

__all__ = ["as_table", "check_keys", "from_table", "read_value"]


def as_table(config: Any) -> dict[str, Any]:
    """A configuration as TOML can say it: enums by value, tuples as lists, None and empty tables left out.

    Args:
        config: A dataclass; `from_table` gives an equal one back.
    """
    return {
        field.name: _plain(value)
        for field in dataclasses.fields(config)
        if (value := getattr(config, field.name)) is not None and not (isinstance(value, Mapping) and not value)
    }


def from_table(config_type: Any, table: Any, where: str) -> Any:
    """A configuration from a table.

    Args:
        config_type: A dataclass of numbers, strings, enums, tuples, mappings and other such dataclasses.
        table: Its fields by name; what is left out has its default.
        where: What to call the table in an error.

    Raises:
        RecipeError: It is no table, has an unknown key, or a value that cannot be.
    """
    if not isinstance(table, dict):
        raise RecipeError(f"{where} must be a table. Received: {table!r}. Write {{ key = value }}.")
    hints = typing.get_type_hints(config_type)
    check_keys(table, hints, where)
    values = {key: read_value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return config_type(**values)
    except RecipeError as error:
        raise RecipeError(f"{error} ({where})") from None


def check_keys(table: Mapping[str, Any], known: Any, where: str) -> None:
    """Refuse keys that mean nothing: a misspelled one would silently do nothing.

    Raises:
        RecipeError: Names them, and those that exist.
    """
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise RecipeError(
            f"Keys must be among {', '.join(known)}. Received: {', '.join(unknown)} in {where}. Mend the spelling."
        )


def read_value(hint: Any, value: Any, where: str) -> Any:
    """A value of the type that a field's annotation asks for.

    Raises:
        RecipeError: It is of another type, or none of an enum's values.
    """
    kind, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (types.UnionType, typing.Union):
        return _alternative([each for each in arguments if each is not type(None)], value, where)
    if dataclasses.is_dataclass(kind):
        return from_table(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, value, where)
    if kind is tuple:
        return _several(arguments[0], value, where)
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return _by_name(arguments[1], value, where)
    return _scalar(kind, value, where)


def _alternative(kinds: list[Any], value: Any, where: str) -> Any:
    """The first alternative that takes the value; what the last one says about it otherwise."""
    for kind in kinds[:-1]:
        try:
            return read_value(kind, value, where)
        except RecipeError:
            continue
    return read_value(kinds[-1], value, where)


def _member(kind: type[Enum], value: Any, where: str) -> Enum:
    names = [member.value for member in kind]
    if value not in names:
        raise RecipeError(f"{where} must be one of {', '.join(names)}. Received: {value!r}. Choose one of them.")
    return kind(value)


def _several(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    known, example = ("strings", '["one", "two"]') if kind is str else ("whole numbers", "[8, 16]")
    if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
        raise RecipeError(f"{where} must be a list of {known}. Received: {value!r}. Write {example}.")
    return tuple(value)


def _by_name(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"{where} must be a table. Received: {value!r}. Write {{ name = … }}.")
    return {name: read_value(kind, entry, f"{where}.{name}") for name, entry in value.items()}


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RecipeError(f"{where} must be of type {kind.__name__}. Received: {value!r}. Mend the value.")
    return value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_table(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
