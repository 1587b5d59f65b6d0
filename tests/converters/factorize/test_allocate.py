"""The selection over all layers: within the limits, and close to the best there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import BudgetError
from edge_sdk_converters.factorize import allocate as module
from edge_sdk_converters.factorize.allocate import Choice, allocate, lower_hull
from tests.converters.helpers import assert_one_line

properties = settings(max_examples=40, deadline=None, derandomize=True)


def random_menus(seed: int, layers: int) -> list[list[Choice]]:
    """Layers whose first choice loses nothing and costs the most."""
    rng = np.random.default_rng(seed)
    menus = []
    for _ in range(layers):
        shares = np.sort(rng.uniform(0.1, 1, int(rng.integers(1, 6))))[::-1]
        full = rng.uniform(1, 10)
        factors = [Choice(float(rng.uniform(0, 1) * (1 - s)), {"macs": s * full, "size": s * full * 2}) for s in shares]
        menus.append([Choice(0.0, {"macs": full, "size": 2 * full}), *factors])
    return menus


def total(menus: list[list[Choice]], selected: tuple[int, ...] | list[int], cost: str) -> float:
    return sum(menu[index].costs[cost] for menu, index in zip(menus, selected, strict=True))


def loss(menus: list[list[Choice]], selected: tuple[int, ...] | list[int]) -> float:
    return sum(menu[index].error for menu, index in zip(menus, selected, strict=True))


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Choice", "allocate", "lower_hull"]


@properties
@given(seed=st.integers(0, 10_000), layers=st.integers(1, 5), share=st.floats(0, 1), two=st.booleans())
def test_the_limits_are_met_at_little_more_than_the_least_error(
    seed: int, layers: int, share: float, two: bool
) -> None:
    menus = random_menus(seed, layers)
    names = ("macs", "size") if two else ("macs",)
    least = {name: sum(min(choice.costs[name] for choice in menu) for menu in menus) for name in names}
    most = {name: total(menus, [0] * layers, name) for name in names}
    limits = {name: least[name] + share * (most[name] - least[name]) for name in names}
    selected = allocate(menus, limits)
    assert all(total(menus, selected, name) <= limits[name] * (1 + 1e-8) for name in names)
    every = itertools.product(*(range(len(menu)) for menu in menus))
    best = min(
        loss(menus, each)
        for each in every
        if all(total(menus, each, name) <= limits[name] * (1 + 1e-8) for name in names)
    )
    worst_step = max(choice.error for menu in menus for choice in menu)
    assert best - 1e-9 <= loss(menus, selected) <= best + worst_step + 1e-9
    assert selected == allocate(menus, limits)


def test_nothing_changes_where_everything_fits() -> None:
    menus = random_menus(3, 4)
    assert loss(menus, allocate(menus, {"macs": 1e9})) == 0
    assert loss(menus, allocate(menus, {})) == 0
    assert allocate([], {}) == []


def test_an_impossible_limit_is_named_with_the_best_there_is() -> None:
    menus = [[Choice(0, {"macs": 1.0, "size": 1.0}), Choice(0.5, {"macs": 0.25, "size": 0.5})]]
    with pytest.raises(
        BudgetError, match=r"limit on macs cannot be met.*at most macs 0\.1, .*least reached is macs 0\.25"
    ) as caught:
        allocate(menus, {"macs": 0.1, "size": 0.9})
    assert_one_line(caught.value)


def test_limits_that_exclude_each_other_are_named() -> None:
    menus = [[Choice(0, {"macs": 1.0, "size": 0.2}), Choice(0.5, {"macs": 0.2, "size": 1.0})]]
    with pytest.raises(BudgetError, match="cannot be met together with the other limits") as caught:
        allocate(menus, {"macs": 0.5, "size": 0.5})
    assert_one_line(caught.value)


@properties
@given(seed=st.integers(0, 10_000), count=st.integers(1, 30), price=st.floats(0, 10))
def test_the_hull_holds_the_best_point_at_any_price(seed: int, count: int, price: float) -> None:
    costs, errors = np.random.default_rng(seed).uniform(size=(2, count)).round(2)
    hull = lower_hull(costs, errors)
    value = errors + price * costs
    assert value[hull].min() == pytest.approx(value.min(), abs=1e-12)
    assert all(costs[a] < costs[b] and errors[a] > errors[b] for a, b in itertools.pairwise(hull))
