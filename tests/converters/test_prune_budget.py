"""Budgets: met, no more than needed, or refused with the best that was reached."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import BudgetError, RecipeError
from edge_sdk_converters.graph import trace
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.prune import search, sizes
from edge_sdk_converters.prune.apply import prune
from edge_sdk_converters.prune.channels import analyze
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.prune.rebuild import shrink
from edge_sdk_converters.prune.search import choose_within, priced
from edge_sdk_converters.prune.select import choose_units
from edge_sdk_converters.prune.sizes import count_pruned_macs, count_pruned_parameters
from edge_sdk_converters.source import accuracy
from tests.converters.helpers import assert_one_line, weights_kept
from tests.converters.networks import random_network

FREE = {"min_channels": 1, "multiple": 1, "unknown": "keep"}
properties = settings(max_examples=8, deadline=None, derandomize=True)


class CountingMeter:
    """Takes a nanosecond for every multiply-accumulate."""

    def __init__(self) -> None:
        self.measured = 0

    def model_ns(self, model: keras.Model) -> float:
        self.measured += 1
        return float(count_macs(model))


def test_public_names() -> None:
    assert sorted(search.__all__) == ["ModelMeter", "choose_within", "priced"]
    assert sorted(sizes.__all__) == ["count_pruned_macs", "count_pruned_parameters", "savings"]


@properties
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 0.9))
def test_counts_are_those_of_the_shrunk_model(seed: int, share: float) -> None:
    found = analyze(trace(random_network(seed)))
    scores = np.random.default_rng(seed).random(found.count)
    removed = choose_units(found, scores, PruneConfig(**FREE), round(share * found.count))
    shrunk = shrink(found, removed)
    assert count_pruned_parameters(found, removed) == count_parameters(shrunk)
    assert count_pruned_macs(found, removed) == count_macs(shrunk)


@properties
@given(seed=st.integers(0, 10_000), parameters=st.floats(0.4, 1.0), macs=st.floats(0.4, 1.0))
def test_budgets_are_met_with_no_more_than_needed(seed: int, parameters: float, macs: float) -> None:
    found = analyze(trace(random_network(seed)))
    scores, config = np.random.default_rng(seed).random(found.count), PruneConfig(**FREE)
    nothing = np.zeros(found.count, np.bool_)

    def meets(removed: np.ndarray) -> bool:
        return (
            count_pruned_parameters(found, removed) <= parameters * count_pruned_parameters(found, nothing)
            and count_pruned_macs(found, removed) <= macs * count_pruned_macs(found, nothing)
        )  # fmt: skip

    try:
        removed = choose_within(found, scores, config, Budget(parameters=parameters, macs=macs))
    except BudgetError:
        assert not meets(choose_units(found, scores, config, found.count))
        return
    assert meets(removed)
    assert not removed.any() or not meets(choose_units(found, scores, config, int(removed.sum()) - 1))


def test_losses_are_set_against_what_removal_saves() -> None:
    found = analyze(trace(random_network(3)))
    scores, whole = np.ones(found.count), count_pruned_macs(found, np.zeros(found.count, np.bool_))
    saved = [whole - count_pruned_macs(found, np.arange(found.count) == unit) for unit in range(found.count)]
    np.testing.assert_array_equal(priced(found, scores, Budget(macs=0.5), True), 1 / np.array(saved))
    np.testing.assert_array_equal(priced(found, scores, Budget(macs=0.5), False), scores)
    assert np.ptp(priced(found, scores, Budget(parameters=0.5), False)) > 0


def test_latency_is_measured_and_told() -> None:
    model, meter = random_network(3), CountingMeter()
    with weights_kept(model):
        result = prune(model, PruneConfig(budget=Budget(latency=0.6), **FREE), meter=meter)
    assert result.latency_ns == (count_macs(model), count_macs(result.model))
    assert 0.5 < result.latency_ns[1] / result.latency_ns[0] <= 0.6
    assert meter.measured <= 12
    assert prune(model, PruneConfig(budget=Budget(macs=0.6), **FREE), meter=meter).latency_ns is None


def test_as_much_goes_as_accuracy_allows(classifier: keras.Model, data: LearningData) -> None:
    result = prune(classifier, PruneConfig(budget=Budget(accuracy_drop=0.2), **FREE), data)
    lost = accuracy(classifier, data.validation) - accuracy(result.model, data.validation)
    assert lost <= 0.2
    assert count_macs(result.model) < count_macs(classifier)


def test_what_no_pruning_reaches_is_refused_with_the_best(classifier: keras.Model, data: LearningData) -> None:
    with pytest.raises(BudgetError, match=r"Received: macs = 0.01, where 0.\d+ is the best reached") as caught:
        prune(classifier, PruneConfig(budget=Budget(macs=0.01, parameters=0.9), unknown="keep"))
    assert_one_line(caught.value)
    both = Budget(macs=0.2, accuracy_drop=0.0)
    with pytest.raises(BudgetError, match=r"\(macs = 0.2\). Received: accuracy_drop = 0.0, where 0.\d+ is") as caught:
        prune(classifier, PruneConfig(budget=both, **FREE), data)
    assert_one_line(caught.value)


def test_accuracy_needs_images() -> None:
    with pytest.raises(RecipeError, match=r"accuracy_drop in a budget needs validation images. Received: none"):
        prune(random_network(0), PruneConfig(budget=Budget(accuracy_drop=0.1), unknown="keep"))


def test_fraction_and_budget_exclude_each_other() -> None:
    assert PruneConfig().fraction == 0.3 and PruneConfig(budget=Budget(macs=0.5)).fraction is None
    with pytest.raises(RecipeError, match=r"fraction and budget exclude each other. Received: 0.3"):
        PruneConfig(0.3, budget=Budget(macs=0.5))
