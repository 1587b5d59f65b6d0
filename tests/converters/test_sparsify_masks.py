"""Which weights go and when: exact numbers, the smallest first, patterns that hold everywhere, a cubic schedule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.sparsify import config, masks, pattern, schedule
from edge_sdk_converters.sparsify.config import Decay, Schedule, Scope, SparsifyConfig
from edge_sdk_converters.sparsify.masks import magnitude_masks
from edge_sdk_converters.sparsify.pattern import Pattern
from edge_sdk_converters.sparsify.schedule import PolynomialSchedule
from tests.converters.helpers import assert_one_line

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
SHAPES = st.lists(
    st.sampled_from([(7, 5), (3, 3, 2, 4), (3, 3, 6, 1), (1, 1, 9, 3), (2, 2), (1, 1)]), min_size=1, max_size=4
)
SHARES = st.floats(0, 1, exclude_max=True)


def kernels(shapes: list[tuple[int, ...]], seed: int, ties: bool) -> list[np.ndarray]:
    """Normal values, or few distinct ones so that many are equal."""
    rng = np.random.default_rng(seed)
    draw = (lambda shape: rng.integers(-2, 3, shape) / 2) if ties else (lambda shape: rng.normal(size=shape))
    return [draw(shape).astype(np.float32) for shape in shapes]


def patterns() -> st.SearchStrategy[Pattern]:
    return st.tuples(st.integers(1, 4), st.integers(1, 4)).map(lambda pair: Pattern(pair[0], pair[0] + pair[1]))


def test_public_names() -> None:
    assert config.__all__ == ["Decay", "Schedule", "Scope", "SparsifyConfig"]
    assert masks.__all__ == ["magnitude_masks"]
    assert pattern.__all__ == ["Pattern"]
    assert schedule.__all__ == ["PolynomialSchedule"]


@PROPERTY
@given(shapes=SHAPES, sparsity=SHARES, seed=st.integers(0, 999), ties=st.booleans())
def test_one_threshold_over_all_kernels(shapes: list, sparsity: float, seed: int, ties: bool) -> None:
    weights = kernels(shapes, seed, ties)
    stays = magnitude_masks(weights, sparsity)
    total = sum(each.size for each in weights)
    assert sum(int((~mask).sum()) for mask in stays) == min(round(sparsity * total), total - len(weights))
    assert all(mask.any() for mask in stays)
    gone = np.concatenate([np.abs(each[~mask]) for each, mask in zip(weights, stays, strict=True)])
    for each, mask in zip(weights, stays, strict=True):
        kept = np.sort(np.abs(each[mask]))[:-1]  # a kernel's largest stays whatever the threshold
        assert not gone.size or not kept.size or gone.max() <= kept.min()


@PROPERTY
@given(shapes=SHAPES, sparsity=SHARES, seed=st.integers(0, 999), ties=st.booleans())
def test_each_kernels_own_share(shapes: list, sparsity: float, seed: int, ties: bool) -> None:
    weights = kernels(shapes, seed, ties)
    for each, mask in zip(weights, magnitude_masks(weights, sparsity, Scope.LAYER), strict=True):
        assert int((~mask).sum()) == min(round(sparsity * each.size), each.size - 1)
        assert mask.all() or np.abs(each[~mask]).max() <= np.abs(each[mask]).min()


@PROPERTY
@given(shapes=SHAPES, seed=st.integers(0, 999), ties=st.booleans(), wanted=patterns(), scope=st.sampled_from(Scope))
def test_a_pattern_holds_everywhere_and_takes_no_more_than_it_must(
    shapes: list, seed: int, ties: bool, wanted: Pattern, scope: Scope
) -> None:
    weights = kernels(shapes, seed, ties)
    axes = [(-2, -1, None)[index % 3] for index in range(len(weights))]
    stays = magnitude_masks(weights, wanted.sparsity, scope, wanted, axes)
    for each, mask, axis in zip(weights, stays, axes, strict=True):
        if axis is None:
            assert mask.all()
            continue
        values, keeps = (np.moveaxis(array, axis, -1) for array in (np.abs(each), mask))
        for start in range(0, values.shape[-1], wanted.group):
            group, kept = values[..., start : start + wanted.group], keeps[..., start : start + wanted.group]
            assert (kept.sum(axis=-1) == min(wanted.kept, group.shape[-1])).all()
            largest_gone, smallest_kept = np.where(kept, -1, group).max(axis=-1), np.where(kept, group, 9).min(axis=-1)
            assert (largest_gone <= smallest_kept).all()


@PROPERTY
@given(shapes=SHAPES, seed=st.integers(0, 999), ties=st.booleans(), wanted=patterns(), share=SHARES)
def test_on_the_way_to_a_pattern_only_what_it_takes_goes_the_smallest_first(
    shapes: list, seed: int, ties: bool, wanted: Pattern, share: float
) -> None:
    weights = kernels(shapes, seed, ties)
    final = magnitude_masks(weights, wanted.sparsity, pattern=wanted)
    early = magnitude_masks(weights, share * wanted.sparsity, pattern=wanted)
    may_go = sum(int((~mask).sum()) for mask in final)
    total = sum(each.size for each in weights)
    assert sum(int((~mask).sum()) for mask in early) == min(round(share * wanted.sparsity * total), may_go)
    assert all((one | ~other).all() for one, other in zip(early, final, strict=True))


@PROPERTY
@given(shapes=SHAPES, seed=st.integers(0, 999), shares=st.tuples(SHARES, SHARES), scope=st.sampled_from(Scope))
def test_what_is_gone_stays_gone_when_more_goes(shapes: list, seed: int, shares: tuple, scope: Scope) -> None:
    """That the first to go are those that went before is what makes a schedule's masks nest."""
    few, many = sorted(shares)
    weights = kernels(shapes, seed, ties=False)
    first = magnitude_masks(weights, few, scope)
    rest = magnitude_masks([each * mask for each, mask in zip(weights, first, strict=True)], many, scope)
    assert all((after <= before).all() for before, after in zip(first, rest, strict=True))


def test_a_pattern_by_hand() -> None:
    row = np.array([[0.1], [-0.4], [0.3], [0.2], [0.7], [-0.8], [0.9]])
    (mask,) = magnitude_masks([row], 0.5, pattern=Pattern(2, 4))
    assert mask.ravel().tolist() == [False, True, True, False, False, True, True]  # the last group has three


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan")])
def test_impossible_shares_are_refused(sparsity: float) -> None:
    for make in (lambda: magnitude_masks([np.ones(3)], sparsity), lambda: SparsifyConfig(sparsity)):
        with pytest.raises(RecipeError, match="sparsity must be at least 0 and below 1") as caught:
            make()
        assert_one_line(caught.value)


@pytest.mark.parametrize("text", ["0:4", "4:4", "5:4", "2:9999", "2", "2:4:8", "two:four", "-1:4", "2 : 4", "٢:٤"])
def test_impossible_patterns_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="Received: ") as caught:
        SparsifyConfig(pattern=text)
    assert_one_line(caught.value)


@PROPERTY
@given(
    shares=st.tuples(SHARES, SHARES), begin=st.integers(0, 50), frequency=st.integers(1, 9), updates=st.integers(1, 20)
)
def test_the_schedule_rises_ever_more_slowly_from_one_end_to_the_other(
    shares: tuple, begin: int, frequency: int, updates: int
) -> None:
    initial, final = sorted(shares)
    plan = PolynomialSchedule(initial, final, begin, frequency, updates)
    steps = [step for step in range(plan.end + 2 * frequency) if plan.due(step)]
    values = [plan.at(step) for step in steps]
    assert steps == list(range(begin, plan.end + 1, frequency)) and len(steps) == updates + 1
    assert (values[0], values[-1]) == (pytest.approx(initial), final)
    rises = np.diff(values)
    assert (rises >= -1e-12).all() and (np.diff(rises) <= 1e-12).all()
    assert plan.at(begin - 1) == 0 and plan.at(plan.end + 7) == final


def test_the_schedule_is_cubic() -> None:
    assert PolynomialSchedule(0.2, 0.8, 100, 10, 10).at(150) == pytest.approx(0.8 - 0.6 * 0.5**3)


def test_the_schedule_ends_where_the_ramp_does() -> None:
    """640 images are 20 steps of 32; 5 epochs are 100 steps, of which the ramp takes 60 and the begin 5."""
    training = RecoverConfig(epochs=5, min_steps=0, batch_size=32)
    plan = SparsifyConfig(0.9, begin=5, frequency=10, ramp=0.6, initial=0.3, training=training).schedule_for(640)
    assert plan == PolynomialSchedule(0.3, 0.9, 5, 10, 5)
    with pytest.raises(RecipeError, match=r"Received: begin 55, .* for 100 steps") as caught:
        SparsifyConfig(begin=55, frequency=10, training=training).schedule_for(640)
    assert_one_line(caught.value)


def test_a_configuration_takes_plain_text_and_knows_its_sparsity() -> None:
    plain = SparsifyConfig(scope="layer", schedule="one-shot", decay="hyperbolic")
    assert (plain.scope, plain.schedule, plain.decay) == (Scope.LAYER, Schedule.ONE_SHOT, Decay.HYPERBOLIC)
    assert SparsifyConfig().target == 0.8
    assert SparsifyConfig(0.0).target == 0
    assert SparsifyConfig(pattern="1:4").target == 0.75
    assert SparsifyConfig(pattern="1:4").groups == Pattern(1, 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scope", {"scope": "neighbourhood"}),
        ("schedule", {"schedule": "never"}),
        ("decay", {"decay": "l3"}),
        ("sparsity", {"sparsity": 0.5, "pattern": "2:4"}),
        ("initial", {"sparsity": 0.5, "initial": 0.6}),
        ("initial", {"initial": -0.1}),
        ("begin", {"begin": -1}),
        ("frequency", {"frequency": 0}),
        ("ramp", {"ramp": 0.0}),
        ("ramp", {"ramp": 1.1}),
        ("strength", {"strength": -1.0}),
        ("strength", {"strength": float("nan")}),
        ("scale", {"scale": 0.0}),
        ("scale", {"scale": float("inf")}),
        ("skip", {"skip": "conv"}),
    ],
)
def test_bad_values_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"{name}.*Received: ") as caught:
        SparsifyConfig(**options)
    assert_one_line(caught.value)
