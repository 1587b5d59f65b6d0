"""What a staged bundle remembers: embeddings by its own encoder, and thresholds that leave known images known."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_sdk.image_sets import Splits
from edge_sdk_converters import remember as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.quantize import QuantizeConfig
from edge_sdk_converters.remember import RememberConfig, remember, unknown_rule
from edge_sdk_converters.request import BundleRequest, HeldOut
from edge_sdk_converters.training import Examples
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import Bundle, Classifier, teach, verify
from edge_sdk_runtime.memory import MEMORY, FeatureMemory
from tests.converters.helpers import GRAY_8, assert_one_line


@pytest.fixture(scope="module")
def bundle(classifier: keras.Model, data: LearningData, digits: Splits) -> Bundle:
    return build_bundle(
        BundleRequest(
            name="digits",
            labels=digits.labels,
            preprocess=GRAY_8,
            model=classifier,
            quantize=QuantizeConfig(),
            calibration=data.train.x,
            held_out=HeldOut(digits.test, digits.test.targets, "digits"),
            remember=RememberConfig(data.train, data.validation, per_class=12),
        )
    )


def test_public_names() -> None:
    assert sorted(module.__all__) == ["RememberConfig", "Remembered", "remember", "unknown_rule"]


def test_the_bundle_remembers_training_images_as_its_encoder_sees_them(
    bundle: Bundle, data: LearningData, digits: Splits
) -> None:
    assert verify(bundle).passed and bundle.manifest.staged.memory == MEMORY
    memory = FeatureMemory.of(bundle)
    np.testing.assert_array_equal(np.bincount(memory.labels), [12] * 10)
    again = remember(bundle, RememberConfig(data.train, data.validation, per_class=12))
    np.testing.assert_array_equal(again.memory.embeddings, memory.embeddings)
    assert again.unknown == bundle.manifest.unknown


@pytest.mark.parametrize("flagged", [0.02, 0.1])
@pytest.mark.parametrize("given", ["classes", "distances alone"])
def test_as_many_validation_images_are_flagged_as_may_be(flagged: float, given: str) -> None:
    distances, targets = distances_of(200)
    thresholds = unknown_rule(distances, flagged, targets if given == "classes" else None).thresholds
    assert len(thresholds) == 3 and len(set(thresholds)) == (3 if given == "classes" else 1)
    assert np.mean((distances / np.array(thresholds)).min(axis=1) > 1) == pytest.approx(flagged, abs=2 / 600)
    assert unknown_rule(np.zeros((9, 2)), flagged).thresholds == (1.0, 1.0)  # images that are all equal have no scatter


def test_a_tight_class_lets_less_in_where_there_are_images_enough() -> None:
    few, many = (unknown_rule(distances, 0.1, targets).thresholds for distances, targets in map(distances_of, (19, 20)))
    assert len(set(few)) == 1
    assert many[0] < few[0] < many[2]


def distances_of(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Of so many images of each of three classes, which lie 3, 4 and 6 from their own class, about, and 10 from the others."""
    rng = np.random.default_rng(0)
    targets = np.arange(3).repeat(count)
    distances = rng.uniform(8, 12, (3 * count, 3)).astype(np.float32)
    distances[np.arange(3 * count), targets] = rng.normal(np.array([3, 4, 6])[targets], 0.5)
    return distances, targets


def test_few_known_images_are_flagged_and_noise_is(bundle: Bundle, digits: Splits) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
    with Classifier(bundle) as running:
        known = [running.classify(digits.test[i]).unknown for i in range(len(digits.test))]
        strange = [running.classify(frame).unknown for frame in noise]
    assert np.mean(known) <= 0.15  # 60 images set the thresholds of 10 classes
    assert np.mean(strange) >= 0.4  # a network of 8×8 pixels


def test_it_can_be_taught(bundle: Bundle) -> None:
    rng = np.random.default_rng(1)
    stripes = [np.repeat(rng.integers(0, 256, (1, 8, 1), np.uint8), 8, axis=0).repeat(3, axis=2) for _ in range(6)]
    taught = teach.teach(bundle, "stripes", stripes)
    assert taught.bundle.manifest.labels == (*bundle.manifest.labels, "stripes")


def test_wide_embeddings_are_remembered_and_tell_nothing(
    bundle: Bundle, data: LearningData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WIDEST", 8)
    assert remember(bundle, RememberConfig(data.train, data.validation, per_class=3)).unknown is None


@pytest.mark.parametrize("changes", [{"per_class": 1}, {"flagged": 0.0}, {"flagged": 1.0}])
def test_choices_out_of_range_are_refused(changes: dict[str, float]) -> None:
    empty = Examples(np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64))
    with pytest.raises(ModelError, match="At least 2 images of each class are remembered") as error:
        RememberConfig(empty, empty, **changes)
    assert_one_line(error.value)
