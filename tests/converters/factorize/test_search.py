"""A budget is met by the selection that loses least, and what cannot be met is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.errors import BudgetError
from edge_sdk_converters.factorize import menu, subjects
from edge_sdk_converters.factorize import search as module
from edge_sdk_converters.factorize.search import Bench, Selection, Whole, search
from tests.converters.helpers import assert_one_line

WHOLE = Whole(macs=250, parameters=500, ns=1000.0)


def option(error: float, macs: int) -> Any:
    return SimpleNamespace(error=error, macs=macs, parameters=2 * macs, ns=4.0 * macs)


MENUS: Any = [
    SimpleNamespace(
        subject=SimpleNamespace(macs=100, parameters=200),
        ns=400.0,
        offers=(None, *(option(weight * (1 - share) ** 2, round(100 * share)) for share in (0.1, 0.3, 0.5, 0.7))),
    )
    for weight in (1.0, 0.1)
]
"""Two layers of 100 each with 50 around them; the first is ten times as sensitive."""


def macs(selection: Selection) -> int:
    return 50 + sum(chosen.macs if chosen else 100 for chosen in selection)


def error(selection: Selection) -> float:
    return sum(chosen.error if chosen else 0.0 for chosen in selection)


def bench(slower: float = 1.0) -> tuple[Bench, list[Selection]]:
    """Accuracy falls with the error, time is a multiple of what the layers promise; models are their selections."""
    built: list[Selection] = []

    def build(selection: Selection) -> Any:
        built.append(selection)
        return selection

    return Bench(build, lambda model: 0.9 - error(model), lambda model: slower * macs(model) / WHOLE.macs), built


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Bench", "Selection", "Whole", "search"]
    assert sorted(menu.__all__) == ["Menu", "Option", "menu_for"]
    assert sorted(subjects.__all__) == ["Subject", "find_subjects"]


def test_the_layer_that_loses_less_gives_more() -> None:
    selection = search(MENUS, Budget(macs=0.6), WHOLE, bench()[0])
    assert macs(selection) <= 150
    assert (selection[0] is None and selection[1] is MENUS[1].options[0]) or error(selection) <= 0.081 + 0.09
    assert search(MENUS, Budget(parameters=0.6), WHOLE, bench()[0]) == selection
    assert search(MENUS, Budget(macs=1.0), WHOLE, bench()[0]) == (None, None)


@pytest.mark.parametrize("drop", [0.0, 0.05, 0.2, 0.4])
def test_accuracy_is_spent_and_not_overspent(drop: float) -> None:
    tools, built = bench()
    selection = search(MENUS, Budget(accuracy_drop=drop), WHOLE, tools, 0.9)
    assert error(selection) <= drop + 1e-9
    cheaper = [each for each in built if macs(each) < macs(selection) and error(each) <= drop]
    assert not cheaper and len(built) <= 8
    assert (macs(selection) == 250) == (drop == 0)


def test_everything_is_compressed_where_accuracy_allows_it() -> None:
    tools, built = bench()
    assert macs(search(MENUS, Budget(accuracy_drop=0.95), WHOLE, tools, 0.9)) == 70
    assert len(built) == 1


def test_accuracy_and_counts_are_met_together_or_refused() -> None:
    selection = search(MENUS, Budget(macs=0.7, accuracy_drop=0.1), WHOLE, bench()[0], 0.9)
    assert macs(selection) <= 175 and error(selection) <= 0.1
    with pytest.raises(
        BudgetError, match=r"accuracy_drop cannot be met together with macs.*at most 0\.1, .*reached is"
    ) as caught:
        search(MENUS, Budget(macs=0.3, accuracy_drop=0.1), WHOLE, bench()[0], 0.9)
    assert_one_line(caught.value)


def test_a_count_below_what_is_left_is_refused() -> None:
    with pytest.raises(
        BudgetError, match=r"limit on macs .*at most macs 0\.2, .*least reached is macs 0\.28"
    ) as caught:
        search(MENUS, Budget(macs=0.2), WHOLE, bench()[0])
    assert_one_line(caught.value)


def test_latency_is_asked_for_more_strictly_until_it_is_measured() -> None:
    tools, built = bench(slower=1.3)
    selection = search(MENUS, Budget(latency=0.8), WHOLE, tools)
    assert 1.3 * macs(selection) / 250 <= 0.8 and len(built) > 1
    with pytest.raises(
        BudgetError, match=r"limit on latency cannot be met.*at most 0\.3 .*least measured is"
    ) as caught:
        search(MENUS, Budget(latency=0.3), WHOLE, tools)
    assert_one_line(caught.value)
