"""Frozen dataclasses whose definition costs microseconds, for the modules that come before the first frame.

The standard library writes and compiles source code for every dataclass, about half a millisecond each. Here all classes share
their methods. What asks for more (`dataclasses.replace`, `fields` and `asdict`, `inspect.signature`) gets it when it asks, from a
standard dataclass that is made then. Type checkers see the standard decorator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field
    from typing import NoReturn
else:

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """As `dataclasses.dataclass(frozen=True)`; no other kind is made here.

        Raises:
            TypeError: `frozen` is false.
        """
        if not frozen:
            raise TypeError("Records are frozen. Received: frozen=False. Take dataclasses.dataclass for others.")
        return _as_record

    def field(*, default_factory: Callable[[], Any]) -> _Made:
        """As `dataclasses.field(default_factory=…)`."""
        return _Made(default_factory)


__all__ = ["dataclass", "field"]

_REQUIRED = object()


class _Made:
    """A default that is made anew for every record."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def _as_record(cls: Any) -> Any:
    fields = dict(getattr(cls, "_record_fields", {}))  # of a base class
    for name in cls.__annotations__:
        fields[name] = cls.__dict__.get(name, _REQUIRED)
        if isinstance(fields[name], _Made):
            delattr(cls, name)
    shared = {name: each for name, each in _SHARED.items() if name not in cls.__dict__}
    # The hash in any case: a class that defines equality has None in its place.
    own = {"_record_fields": fields, "__match_args__": tuple(fields), "__hash__": _hash}
    for name, value in {**shared, **own}.items():
        setattr(cls, name, value)
    return cls


def _init(self: Any, *values: Any, **named: Any) -> None:
    fields = self._record_fields
    given = dict(zip(fields, values, strict=False))
    if len(values) > len(fields) or any(name in given or name not in fields for name in named):
        _refuse(type(self), values, named)
    given.update(named)
    for name, default in fields.items():
        if name not in given and default is _REQUIRED:
            _refuse(type(self), values, named)
        made = default.factory() if name not in given and isinstance(default, _Made) else default
        self.__dict__[name] = given.get(name, made)
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _refuse(cls: type, values: tuple[Any, ...], named: dict[str, Any]) -> NoReturn:
    """Raise what a function with the fields as its parameters would."""
    import inspect

    try:
        inspect.signature(cls).bind(*values, **named)
    except TypeError as error:
        raise TypeError(f"{cls.__qualname__}(): {error}") from None
    raise AssertionError("a record takes what its signature does")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self._record_fields])


def _repr(self: Any) -> str:
    pairs = zip(self._record_fields, _values(self), strict=True)
    return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _replace(self: Any, /, **changes: Any) -> Any:
    return type(self)(**{**dict(zip(self._record_fields, _values(self), strict=True)), **changes})


def _setattr(self: Any, name: str, value: Any) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__qualname__}, to {value!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__qualname__}")


class _FromTwin:
    """An attribute of the standard dataclass with the same fields, made when it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: object, cls: type) -> Any:
        if self._name == "__signature__" and record is not None:
            raise AttributeError(self._name)  # a record that can be called has its method's signature, not its class's
        import inspect

        twin = _twin(cls)
        return inspect.signature(twin) if self._name == "__signature__" else getattr(twin, self._name)


def _twin(cls: Any) -> Any:
    """The standard dataclass, made once for every class of records: it takes milliseconds."""
    if "_record_twin" not in cls.__dict__:
        import dataclasses

        cls._record_twin = dataclasses.make_dataclass(cls.__name__, _standard_fields(cls), frozen=True)
    return cls._record_twin


def _standard_fields(cls: Any) -> list[Any]:
    """The fields as `dataclasses.make_dataclass` takes them."""
    import dataclasses
    import inspect

    hints = {name: hint for base in reversed(cls.__mro__) for name, hint in inspect.get_annotations(base).items()}
    fields: list[Any] = []
    for name, default in cls._record_fields.items():
        standard = dataclasses.field(default_factory=default.factory) if isinstance(default, _Made) else default
        fields.append((name, hints[name]) if default is _REQUIRED else (name, hints[name], standard))
    return fields


_SHARED: dict[str, Any] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__replace__": _replace,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    **{name: _FromTwin(name) for name in ("__dataclass_fields__", "__dataclass_params__", "__signature__")},
}
