"""Any classifier and its images to a proven bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import pytest

from edge_sdk import compress as module
from edge_sdk.compress import CompressedBundle, card_for, check_forms, compress, parse_head, parse_input_range
from edge_sdk.errors import DataError
from edge_sdk.image_sets import Splits
from edge_sdk.learn.train import Trained
from edge_sdk_converters.errors import ModelError, ProofError
from edge_sdk_converters.keras_file import load_keras
from edge_sdk_converters.recipe import BUILT_IN, Recipe
from edge_sdk_converters.request import BundleRequest, HeadFormat
from edge_sdk_converters.source import InputRange, is_opaque
from edge_sdk_runtime import Bundle, Classifier, Color, PreprocessSpec, ResizeMode, verify
from edge_sdk_runtime.preprocess import Interpolation
from tests.converters.helpers import assert_one_line, weights_kept


def test_public_names() -> None:
    names = ["CompressedBundle", "card_for", "check_forms", "compress", "parse_head", "parse_input_range"]
    assert sorted(module.__all__) == sorted(names)


def test_the_bundle_opens_verifies_and_classifies(compressed: CompressedBundle, digits: Splits, tmp_path: Path) -> None:
    path = tmp_path / "digits.edge"
    compressed.bundle.write(path)
    opened = Bundle.open(path)
    assert verify(opened).passed
    measured = opened.manifest.measured
    assert measured.accuracy is not None and measured.accuracy > 0.5  # chance is 10 %, and recovery was cut short
    last = compressed.compressed.reports[-1].after
    assert (measured.parameters, measured.macs) == (last.parameters, last.macs)
    assert (measured.images, measured.data) == (len(digits.test), "digits")
    with Classifier(opened) as classifier:
        assert classifier.classify(digits.test[0]).label in digits.labels


def test_the_bundle_remembers_images_unless_it_is_told_not_to(
    compressed: CompressedBundle, trained: Trained, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = compressed.bundle.manifest
    assert manifest.staged is not None and manifest.staged.memory in manifest.files
    assert manifest.unknown is not None and len(manifest.unknown.thresholds) == 10
    asked: list[BundleRequest] = []

    def build(request: BundleRequest, progress: object) -> Bundle:
        asked.append(request)
        return compressed.bundle

    monkeypatch.setattr(module, "build_bundle", build)
    compress(trained.model, trained.card, digits, BUILT_IN["none"], name="digits", memory=False)
    compress(trained.model, trained.card, digits, BUILT_IN["none"], name="digits")
    assert asked[0].remember is None and asked[1].remember is not None


def test_the_bundle_says_what_it_was_made_of(compressed: CompressedBundle) -> None:
    provenance = compressed.bundle.manifest.provenance
    assert provenance["recipe"] == Recipe.from_toml(provenance["recipe_toml"]).name == "small"
    assert (provenance["data"], provenance["seed"], provenance["source_model"]) == ("digits", "0", "classifier")
    assert len(provenance["source_weights_sha256"]) == 64
    assert "keras " in provenance["versions"]


def test_the_same_input_gives_the_same_file_and_leaves_the_model_alone(trained: Trained, digits: Splits) -> None:
    """Whether its images are prepared here or were before."""
    told: list[str] = []
    with weights_kept(trained.model):
        one = compress(trained.model, trained.card, digits, BUILT_IN["int8"], name="digits")
        again = compress(
            trained.model,
            trained.card,
            digits,
            BUILT_IN["int8"],
            name="digits",
            prepared=(trained.train, trained.validation),
            told=lambda what, done, planned: told.append(what),
        )
    assert one.bundle.to_bytes() == again.bundle.to_bytes()
    assert "images" not in told


def test_a_model_of_another_tool_needs_no_card(plain: keras.Model, digits: Splits) -> None:
    told: list[tuple[str, int, int]] = []
    card = card_for(plain, digits)
    result = compress(plain, card, digits, BUILT_IN["int8"], name="plain", told=lambda *each: told.append(each))
    assert result.adopted.input_range is InputRange.UNIT
    assert result.bundle.manifest.forms == ("fused",)
    assert result.bundle.manifest.measured.accuracy is not None and result.bundle.manifest.measured.accuracy > 0.8
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["images", "measure with the runtime"]


def test_a_saved_model_becomes_an_int8_bundle(plain: keras.Model, digits: Splits, tmp_path: Path) -> None:
    plain.export(tmp_path / "saved", verbose=False)
    model, _ = load_keras(tmp_path / "saved")
    result = compress(model, card_for(model, digits), digits, BUILT_IN["int8"], name="saved")
    assert is_opaque(result.compressed.model)
    measured = result.bundle.manifest.measured
    assert (measured.parameters, measured.macs) == (None, None)
    assert measured.accuracy is not None and measured.accuracy > 0.8
    with pytest.raises(ModelError, match="no layers that a pass could rewrite") as caught:
        compress(model, card_for(model, digits), digits, BUILT_IN["small"], name="saved")
    assert_one_line(caught.value)


def test_a_head_is_named_by_its_file(digits: Splits) -> None:
    assert [parse_head(name) for name in (None, "npz", "tflite")] == [None, HeadFormat.NUMPY, HeadFormat.TFLITE]
    with pytest.raises(DataError, match=r"npz or tflite\. Received: 'onnx'") as caught:
        parse_head("onnx")
    assert_one_line(caught.value)


def test_a_card_for_a_foreign_model(digits: Splits) -> None:
    body = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 48, 3)), *body])
    card = card_for(model, digits, ResizeMode.LETTERBOX)
    assert card.preprocess == PreprocessSpec(48, 32, ResizeMode.LETTERBOX, Interpolation.FAST_AREA, Color.RGB)
    assert (card.labels, card.data, card.flips) == (digits.labels, "digits", False)
    with pytest.raises(ModelError, match="9 classes for a model with 10 outputs"):
        card_for(model, dataclasses.replace(digits, train=dataclasses.replace(digits.train, labels=digits.labels[1:])))


def test_images_of_other_classes_are_refused(trained: Trained, digits: Splits) -> None:
    card = dataclasses.replace(trained.card, labels=("zero", *digits.labels[1:]))
    with pytest.raises(DataError, match=r"classes must be the model's: zero, 1.*Received: 0, 1") as caught:
        compress(trained.model, card, digits, BUILT_IN["none"], name="digits")
    assert_one_line(caught.value)


def test_what_is_not_proven_is_not_written(
    trained: Trained, digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(bundle: Bundle) -> object:
        verification = verify(bundle)
        checks = [dataclasses.replace(check, difference=float("nan")) for check in verification.checks]
        return dataclasses.replace(verification, checks=tuple(checks))

    monkeypatch.setattr("edge_sdk_converters.writer.verify", failing)
    with pytest.raises(ProofError, match="must reproduce its golden vectors"):
        compress(trained.model, trained.card, digits, BUILT_IN["none"], name="digits").bundle.write(
            tmp_path / "digits.edge"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"), [((), ()), (("fused",), ("fused",)), (("fused", "staged", "fused"), ("fused", "staged"))]
)
def test_forms_keep_their_order(given: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert check_forms(given) == expected


def test_unknown_names_are_refused() -> None:
    with pytest.raises(DataError, match=r"form must be staged or fused\. Received: 'both'"):
        check_forms(["both"])
    with pytest.raises(DataError, match=r"input range must be one of 0\.\.255, 0\.\.1, -1\.\.1\. Received: '0-1'"):
        parse_input_range("0-1")
    assert parse_input_range(None) is None
    assert parse_input_range("-1..1") is InputRange.SIGNED


def test_a_card_remembers_how_its_images_were_split(plain: keras.Model) -> None:
    from edge_sdk.data import load_images

    card = card_for(plain, load_images("digits", seed=5, limit=30))
    assert (card.seed, card.limit) == (5, 30)
