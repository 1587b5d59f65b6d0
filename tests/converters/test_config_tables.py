"""Configurations as plain tables and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest

from edge_sdk_converters import budget, config_tables
from edge_sdk_converters.budget import Budget
from edge_sdk_converters.config_tables import as_table, from_table
from edge_sdk_converters.errors import RecipeError
from tests.converters.helpers import assert_one_line


class Color(str, Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    count: int = 1
    color: Color = Color.RED
    either: int | str = 3
    perhaps: float | None = None
    inner: Inner = field(default_factory=Inner)
    maybe_inner: Inner | None = None
    words: tuple[str, ...] = ()
    by_name: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


FULL = Outer(2, Color.BLUE, "few", 0.25, Inner(0.1), Inner(), ("a", "b"), {"conv": (8, 16)})


def test_public_names() -> None:
    assert sorted(config_tables.__all__) == ["as_table", "check_keys", "from_table", "read_value"]
    assert budget.__all__ == ["Budget"]


@pytest.mark.parametrize("config", [Outer(), FULL])
def test_there_and_back(config: Outer) -> None:
    assert from_table(Outer, as_table(config), "here") == config


def test_a_table_holds_what_toml_can_say() -> None:
    table = as_table(FULL)
    assert table["color"] == "blue" and table["words"] == ["a", "b"] and table["by_name"] == {"conv": [8, 16]}
    assert table["inner"] == {"share": 0.1}
    assert "perhaps" not in as_table(Outer()) and "by_name" not in as_table(Outer())


def test_a_whole_number_is_a_number() -> None:
    assert from_table(Inner, {"share": 1}, "here") == Inner(1.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"counts": 1}, r"Keys must be among count, .*Received: counts in here"),
        ({"count": 1.5}, r"here: count must be of type int\. Received: 1\.5"),
        ({"count": True}, r"here: count must be of type int\. Received: True"),
        ({"color": "green"}, r"here: color must be one of red, blue\. Received: 'green'"),
        ({"either": 1.5}, r"here: either must be of type str\. Received: 1\.5"),
        ({"inner": 3}, r"here: inner must be a table\. Received: 3"),
        ({"inner": {"part": 3}}, r"Received: part in here: inner"),
        ({"maybe_inner": {"share": "x"}}, r"here: maybe_inner: share must be of type float\. Received: 'x'"),
        ({"words": "a"}, r"here: words must be a list of strings\. Received: 'a'"),
        ({"by_name": [1]}, r"here: by_name must be a table\. Received: \[1\]"),
        ({"by_name": {"conv": [1.5]}}, r"here: by_name\.conv must be a list of whole numbers\. Received: \[1\.5\]"),
    ],
)
def test_what_a_field_does_not_take(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        from_table(Outer, table, "here")
    assert_one_line(caught.value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "at least one of parameters, macs, latency, accuracy_drop. Received: none"),
        ({"macs": 0.0}, "macs in a budget must be above 0 and at most 1.*Received: 0.0"),
        ({"parameters": 1.5}, "parameters in a budget .*Received: 1.5"),
        ({"latency": -1.0}, "latency in a budget .*Received: -1.0"),
        ({"accuracy_drop": 1.0}, "accuracy_drop must be at least 0 and below 1. Received: 1.0"),
        ({"macs": float("nan")}, "macs in a budget .*Received: nan"),
    ],
)
def test_what_cannot_be_a_budget(limits: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Budget(**limits)
    assert_one_line(caught.value)
