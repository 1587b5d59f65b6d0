"""What a factorization pass can be asked, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.factorize import config
from edge_sdk_converters.factorize.config import FactorizeConfig, Method, RankRule
from tests.converters.helpers import assert_one_line


def test_public_names() -> None:
    assert sorted(config.__all__) == ["FactorizeConfig", "Method", "RankRule"]


def test_it_imports_no_keras() -> None:
    code = "import sys, edge_sdk_converters.factorize.config; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_may_be_plain_strings_and_ranks_lists() -> None:
    given = FactorizeConfig(method="cp", rank="variational-bayes", ranks={"stem": [3]})  # type: ignore[arg-type]
    assert (given.method, given.rank) == (Method.CP, RankRule.VARIATIONAL_BAYES)
    assert given == FactorizeConfig(Method.CP, RankRule.VARIATIONAL_BAYES, ranks={"stem": (3,)})


@pytest.mark.parametrize(
    "values",
    [
        {"method": "svd"},
        {"rank": "all"},
        {"energy": 0.0},
        {"energy": 1.1},
        {"energy": float("nan")},
        {"min_saving": 1.0},
        {"min_saving": -0.1},
        {"multiple": 0},
        {"samples": 0},
        {"seed": -1},
        {"skip": "stem"},
        {"ranks": {"stem": ()}},
        {"ranks": {"stem": (1, 2, 3)}},
        {"ranks": {"stem": (0,)}},
        {"ranks": {"stem": (True,)}},
        {"ranks": {"stem": 4}},
        {"ranks": {"stem": (4,)}, "skip": ("stem",)},
        {"budget": Budget(macs=0.5)},
    ],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"^{next(iter(values))} must .*Received: ") as caught:
        FactorizeConfig(**values)  # type: ignore[arg-type]
    assert_one_line(caught.value)


def test_ranks_by_hand_need_ranks() -> None:
    with pytest.raises(RecipeError, match="ranks must name a layer where rank is given"):
        FactorizeConfig(rank=RankRule.GIVEN)
