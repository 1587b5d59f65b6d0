"""Storage in recipes and bundles."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.image_sets import Splits
from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.metadata import classifier_metadata, read_metadata
from edge_sdk_converters.pack import config as module
from edge_sdk_converters.pack.config import Storage, parse_storage
from edge_sdk_converters.quantize import QuantizeConfig
from edge_sdk_converters.recipe import BUILT_IN, Recipe
from edge_sdk_converters.request import BundleRequest, HeldOut
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import verify
from edge_sdk_runtime.codec import unpack
from tests.converters.helpers import GRAY_8, assert_one_line, plain_network


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Storage", "parse_storage"]


def test_only_the_smallest_recipe_stores_coded() -> None:
    assert [name for name, recipe in BUILT_IN.items() if recipe.storage is Storage.CODED] == ["smallest"]


@pytest.mark.parametrize("storage", Storage)
def test_a_recipe_says_how_models_are_stored(storage: Storage) -> None:
    recipe = Recipe("mine", storage=storage)
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert ('storage = "coded"' in recipe.to_toml()) is (storage is Storage.CODED)
    assert Recipe.from_toml(f'name = "mine"\nstorage = "{storage.value}"') == recipe


def test_an_unknown_storage_is_refused() -> None:
    for attempt in (
        lambda: parse_storage("zip"),
        lambda: Recipe("mine", storage="zip"),  # type: ignore[arg-type]
        lambda: Recipe.from_toml('storage = "zip"'),
    ):
        with pytest.raises(RecipeError, match=r"plain, coded.* Received: 'zip'") as caught:
            attempt()
        assert_one_line(caught.value)


def test_a_coded_bundle_holds_the_same_model(digits: Splits, data: LearningData) -> None:
    request = BundleRequest(
        name="digits",
        labels=digits.labels,
        preprocess=GRAY_8,
        model=plain_network(classes=10, side=8, channels=1),
        quantize=QuantizeConfig(),
        calibration=data.train.x,
        held_out=HeldOut(digits.test, np.asarray(digits.test.targets), "digits"),
        storage=Storage.CODED,
    )
    bundle = build_bundle(request)
    entry = bundle.manifest.files["classifier.tflite"]
    assert entry.rebuilt is not None
    assert unpack(bundle.members()["classifier.tflite"]) == bundle.read("classifier.tflite")
    assert read_metadata(bundle.read("classifier.tflite")) == classifier_metadata("digits", digits.labels, GRAY_8)
    assert entry.size_bytes < entry.rebuilt.size_bytes == bundle.manifest.measured.tflite_bytes
    assert verify(bundle).passed
