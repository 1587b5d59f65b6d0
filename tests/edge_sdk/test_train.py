"""From images to a staged classifier."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.data import prepare
from edge_sdk.errors import DataError
from edge_sdk.image_sets import Splits
from edge_sdk.learn import train as module
from edge_sdk.learn.kinds import EncoderKind, Weights
from edge_sdk.learn.train import TrainConfig, Trained, augmentation_for, default_spec, examples, train_classifier
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.source import accuracy
from edge_sdk_converters.stages import split_stages
from edge_sdk_runtime import Color, PreprocessSpec, Similarity

BRIEF = TrainConfig(epochs=1, width=4, embedding=4)


def few(digits: Splits) -> Splits:
    """Ten training images of each class, about."""
    return dataclasses.replace(digits, train=digits.train.take(np.arange(100)))


def test_public_names() -> None:
    names = ["TrainConfig", "Trained", "augmentation_for", "default_spec", "examples", "train_classifier"]
    assert sorted(module.__all__) == sorted(names)


def test_a_few_hundred_digits_are_learnt(trained: Trained, digits: Splits) -> None:
    """Chance is 10 %; 42 images of each digit and 8 epochs give well above 70 %."""
    test = examples(prepare(digits.test, trained.card.preprocess))
    assert accuracy(trained.model, test) > 0.7
    assert trained.model.output_shape == (None, 10)
    assert trained.card.labels == digits.labels
    assert (trained.card.data, trained.card.seed, trained.card.flips) == ("digits", 0, False)
    assert (len(trained.train), len(trained.validation)) == (len(digits.train), len(digits.validation))


def test_encoder_prototypes_and_head_are_kept_apart(trained: Trained, data: LearningData) -> None:
    stages = split_stages(trained.model)
    assert stages.prototype_labels == tuple(range(10))
    assert stages.prototypes.shape == (10, 16)
    assert stages.numpy_head is not None


def test_the_same_seed_gives_the_same_weights(digits: Splits) -> None:
    """Of a classifier with several prototypes per class and another measure than the usual one."""
    told: list[tuple[str, int, int]] = []
    config = dataclasses.replace(BRIEF, prototypes=2, similarity=Similarity.EUCLIDEAN, seed=3)
    one, again = (
        train_classifier(few(digits), spec_of(digits), config, lambda *each: told.append(each)).model for _ in range(2)
    )
    assert all(map(np.array_equal, one.get_weights(), again.get_weights()))
    stages = split_stages(one)
    assert stages.similarity is Similarity.EUCLIDEAN
    assert stages.prototype_labels == tuple(np.repeat(range(10), 2))
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["images", "encoder", "head"]
    assert all(1 <= done <= planned for _, done, planned in told)


def test_detail_widens_the_embedding_and_is_checked_before_anything_is_learnt(digits: Splits) -> None:
    told: list[tuple[str, int, int]] = []
    wide = train_classifier(few(digits), spec_of(digits), dataclasses.replace(BRIEF, detail=6)).model
    assert split_stages(wide).prototypes.shape == (10, 4 + 6)
    with pytest.raises(DataError, match=r"Detail must be .*Received: 100 of 100 images"):
        train_classifier(
            few(digits), spec_of(digits), dataclasses.replace(BRIEF, detail=100), lambda *each: told.append(each)
        )
    assert {what for what, _, _ in told} == {"images"}


@given(images=st.integers(1, 10**7))
def test_epochs_are_as_asked_or_within_bounds(images: int) -> None:
    assert TrainConfig(epochs=7).epochs_for(images) == 7
    assert 15 <= TrainConfig().epochs_for(images) <= 60


@pytest.mark.parametrize(("images", "epochs"), [(50_000, 15), (1_000_000, 15), (20_000, 39), (10_000, 60), (50, 60)])
def test_epochs_of_common_sets(images: int, epochs: int) -> None:
    assert TrainConfig().epochs_for(images) == epochs


def test_the_native_size_is_kept_unless_another_is_asked_for(digits: Splits) -> None:
    gray, photographs = digits.spec, dataclasses.replace(digits, spec=None)
    assert default_spec(digits, None) == gray
    assert default_spec(digits, 16) == PreprocessSpec(16, 16, color=Color.GRAY)
    assert default_spec(photographs, None) == PreprocessSpec(96, 96, color=Color.RGB)
    assert default_spec(photographs, 64) == PreprocessSpec(64, 64, color=Color.RGB)


def test_digits_are_never_mirrored(data: LearningData) -> None:
    """A ramp that grows to the right still does after every shift and change of light that stays within bounds."""
    ramps = np.tile(np.arange(60, 180, 3, dtype=np.uint8), (200, 8, 1))[..., None]
    change, mirror = augmentation_for(False), augmentation_for(True)

    def falling(x: np.ndarray) -> int:
        return int((x[:, 0, 10, 0].astype(int) > x[:, 0, 30, 0]).sum())

    assert falling(change(ramps, np.random.default_rng(0))) == 0
    assert 60 < falling(mirror(ramps, np.random.default_rng(0))) < 140


def spec_of(digits: Splits) -> PreprocessSpec:
    assert digits.spec is not None
    return digits.spec


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"encoder": EncoderKind.FLATTENED, "backbone": "MobileNetV2"}, "backbone=MobileNetV2 with the flattened"),
        ({"weights": Weights.IMAGENET}, "weights="),
        ({"encoder": EncoderKind.FLATTENED, "detail": 8}, "detail=8 with the flattened"),
        ({"layout": "imageem-binary-1"}, "layout=imageem-binary-1 with the learned"),
        ({"encoder": EncoderKind.AUTOENCODER, "similarity": Similarity.DOT}, "similarity="),
    ],
)
def test_choices_that_would_do_nothing_are_refused(choices: dict[str, object], named: str) -> None:
    with pytest.raises(DataError, match=named):
        TrainConfig(**choices)  # type: ignore[arg-type]
