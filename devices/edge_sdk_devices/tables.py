"""Frozen dataclasses from the tables of a TOML file: every field's presence, name and type checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from .errors import ProfileError

__all__ = ["from_table"]

_Config = TypeVar("_Config")


def from_table(kind: type[_Config], table: Any, where: str) -> _Config:
    """A dataclass from a table.

    Args:
        kind: A dataclass of numbers, strings, enums, tuples, and other such dataclasses.
        table: Its fields by name; what is left out has its default.
        where: What to call the table in an error, such as `"pi.toml: cpu"`.

    Raises:
        ProfileError: A field is missing, unknown, of another type, or has a value that cannot be.
    """
    if not isinstance(table, Mapping):
        raise ProfileError(
            f"{where} must be a table. Received: {table!r}. Write its fields under a heading of their own."
        )
    hints = typing.get_type_hints(kind)
    _check_keys(kind, table, where)
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ProfileError as error:
        raise ProfileError(f"{where}: {error}") from None


def _check_keys(kind: Any, table: Mapping[str, Any], where: str) -> None:
    known = dataclasses.fields(kind)
    names = ", ".join(field.name for field in known)
    if unknown := sorted(set(table) - {field.name for field in known}):
        raise ProfileError(f"{where}: fields must be among {names}. Received: {', '.join(unknown)}. Mend the spelling.")
    missing = [field.name for field in known if _is_required(field) and field.name not in table]
    if missing:
        raise ProfileError(
            f"{where}: {', '.join(missing)} must be there. Received: {', '.join(table) or 'no field'}. Add what is missing."
        )


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    kind, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (types.UnionType, typing.Union):  # X | None: a field that is absent where its source is
        return _value(next(each for each in arguments if each is not type(None)), value, where)
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, hint) else from_table(hint, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, value, where)
    if kind is tuple:
        return _several(arguments[0], value, where)
    return _scalar(kind, value, where)


def _member(kind: type[Enum], value: Any, where: str) -> Enum:
    names = [member.value for member in kind]
    if value not in names:
        raise ProfileError(f"{where} must be one of {', '.join(names)}. Received: {value!r}. Choose one of them.")
    return kind(value)


def _several(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ProfileError(f"{where} must be a list. Received: {value!r}. Write it in square brackets.")
    return tuple(_value(hint, entry, f"{where} {number}") for number, entry in enumerate(value, 1))


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise ProfileError(f"{where} must be {words[kind]}. Received: {value!r}. Mend the value.")
    return value
