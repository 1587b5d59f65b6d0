from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import MlpHead
from edge_sdk_runtime.memory import FeatureMemory
from edge_sdk_runtime.teach.growing import grown
from edge_sdk_runtime.teach.settings import SETTINGS, Settings


def head(seed: int, features: int, classes: int, hidden: tuple[int, ...]) -> MlpHead:
    rng = np.random.default_rng(seed)
    sizes = list(pairwise((features, *hidden, classes)))
    return MlpHead(
        tuple(rng.normal(0, 0.5, size).astype(np.float32) for size in sizes),
        tuple(rng.normal(size=size[1]).astype(np.float32) for size in sizes),
    )


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(1, 2), st.booleans(), st.sampled_from([(), (6,), (6, 5, 4)]))
def test_other_classes_stand_to_each_other_as_they_did(
    seed: int, new: int, known_too: bool, hidden: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(3 + new).repeat(7)
    features = (rng.normal(size=(len(labels), 3 + new)) * 0.3 + np.eye(3 + new)[labels]).astype(np.float32)
    old = head(seed, 3, 3, hidden)
    taught = [*([1] if known_too else []), *range(3, 3 + new)]
    bigger = grown(old, features, FeatureMemory(features, labels), taught, seed)
    assert (bigger.inputs, bigger.outputs) == (3 + new, 3 + new)
    untouched = [label for label in range(3) if label not in taught]
    strange = rng.normal(0, 0.5, (20, 3 + new)).astype(np.float32)
    before, after = (np.log(each)[:, untouched] for each in (old(strange[:, :3]), bigger(strange)))
    np.testing.assert_allclose(after - after[:, :1], before - before[:, :1], atol=2e-3)
    again = grown(old, features, FeatureMemory(features, labels), taught, seed)
    np.testing.assert_array_equal(bigger(strange), again(strange))


def test_what_can_be_told_apart_is_learnt() -> None:
    labels = np.arange(4).repeat(10)
    features = np.eye(4, dtype=np.float32)[labels]
    features += np.random.default_rng(0).normal(0, 0.05, features.shape).astype(np.float32)
    old = MlpHead((np.eye(3, dtype=np.float32) * 4, np.eye(3, dtype=np.float32) * 4), (np.zeros(3, np.float32),) * 2)
    bigger = grown(old, features, FeatureMemory(features, labels), [3], 0)
    assert (bigger(features).argmax(axis=1) == labels).all()


@pytest.mark.parametrize(("settings", "units"), [(SETTINGS, 2 * SETTINGS.units), (Settings(units=5, most_units=7), 7)])
def test_hidden_units_are_as_many_as_the_settings_say(settings: Settings, units: int) -> None:
    labels = np.arange(5).repeat(4)
    features = np.random.default_rng(0).normal(size=(len(labels), 5)).astype(np.float32)
    bigger = grown(head(0, 3, 3, (6,)), features, FeatureMemory(features, labels), [3, 4], 0, settings)
    assert len(bigger.biases[0]) == 6 + units


def test_what_is_stressed_is_found_more_often() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(4).repeat(30)
    features = (rng.normal(size=(len(labels), 4)) + np.eye(4)[labels]).astype(np.float32)
    old, known = head(1, 3, 3, (6,)), FeatureMemory(features, labels)
    found = [
        (grown(old, features, known, [3], 0, SETTINGS._replace(stress=stress))(features).argmax(axis=1) == 3).sum()
        for stress in (0.3, 1.0, 10.0)
    ]
    assert found[0] < found[1] < found[2]
