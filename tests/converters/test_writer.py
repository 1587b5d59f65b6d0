"""Bundles: what is in them, and that only proven ones are given out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest

from edge_sdk.image_sets import Splits
from edge_sdk_converters import draft, request
from edge_sdk_converters import writer as module
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_converters.errors import ModelError, ProofError
from edge_sdk_converters.factorize.apply import factorize
from edge_sdk_converters.factorize.config import FactorizeConfig
from edge_sdk_converters.layers import FlattenedImage, PrototypeSimilarity
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.metadata import classifier_metadata, read_metadata
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.request import BundleRequest, HeadFormat, HeldOut
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_converters.training import predict
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import Bundle, Classifier, MlpHead, similarity_features, verify
from edge_sdk_runtime.mlp_training import train_mlp
from edge_sdk_runtime.verify import GoldenVectors
from tests.converters.helpers import GRAY_8, assert_one_line, plain_network

INT8 = QuantizeConfig(QuantizeMode.STATIC_INT8)

Request = Callable[..., BundleRequest]


@pytest.fixture(scope="module")
def request_for(digits: Splits, data: LearningData) -> Request:
    """A request for a bundle of a model, with the options given."""
    standard = {
        "name": "digits",
        "labels": digits.labels,
        "preprocess": GRAY_8,
        "quantize": QuantizeConfig(),
        "calibration": data.train.x,
        "held_out": HeldOut(digits.test, digits.test.targets, "digits"),
        "provenance": {"recipe": "none"},
    }

    def make(model: keras.Model, **options: object) -> BundleRequest:
        return BundleRequest(model=model, **{**standard, **options})

    return make


@pytest.fixture(scope="module")
def both(classifier: keras.Model, request_for: Request) -> Bundle:
    return build_bundle(request_for(classifier, forms=("staged", "fused")))


def test_public_names() -> None:
    assert sorted(request.__all__) == ["BundleRequest", "HeadFormat", "HeldOut"]
    assert draft.__all__ == ["draft_of"] and module.__all__ == ["build_bundle"]


def test_staged_and_fused_agree_with_each_other_and_with_keras(
    both: Bundle, classifier: keras.Model, digits: Splits
) -> None:
    assert verify(both).passed
    inputs = np.stack([digits.test[i][..., :1] for i in range(20)])
    for form in both.manifest.forms:
        with Classifier(both, form=form) as running:
            scores = np.stack([running.classify(digits.test[i]).scores for i in range(20)])
        np.testing.assert_allclose(scores, predict(classifier, inputs), atol=1e-4)


def test_the_manifest_says_what_was_measured(both: Bundle, classifier: keras.Model, digits: Splits) -> None:
    manifest = both.manifest
    assert (manifest.forms, manifest.default_form) == (("staged", "fused"), "staged")
    assert (manifest.labels, manifest.preprocess, manifest.provenance) == (digits.labels, GRAY_8, {"recipe": "none"})
    assert set(manifest.files) == {"classifier.tflite", "encoder.tflite", "prototypes.npy", "head.npz", "golden.npz"}
    measured = manifest.measured
    assert (measured.parameters, measured.macs) == (count_parameters(classifier), count_macs(classifier))
    assert (measured.images, measured.data) == (len(digits.test), "digits")
    assert measured.tflite_bytes == manifest.files["encoder.tflite"].size_bytes
    with Classifier(both) as running:
        hits = [running.classify(digits.test[i]).class_index == digits.test.targets[i] for i in range(len(digits.test))]
    assert measured.accuracy == np.mean(hits)
    assert len(manifest.interpreters) == 1
    assert MlpHead.from_bytes(both.read("head.npz")).outputs == 10


def test_the_classifier_alone_tells_other_tools_what_it_is(both: Bundle, digits: Splits) -> None:
    assert read_metadata(both.read("classifier.tflite")) == classifier_metadata("digits", digits.labels, GRAY_8)
    assert read_metadata(both.read("encoder.tflite")) is None


@pytest.fixture(scope="module")
def both_int8(classifier: keras.Model, request_for: Request) -> Bundle:
    return build_bundle(request_for(classifier, quantize=INT8, forms=("fused", "staged")))


def test_the_first_form_asked_for_is_the_default_and_all_stages_are_proven(both_int8: Bundle, both: Bundle) -> None:
    assert both_int8.manifest.default_form == "fused"
    assert both_int8.manifest.measured.tflite_bytes == both_int8.manifest.files["classifier.tflite"].size_bytes
    verification = verify(both_int8)
    assert verification.passed
    checks = {(check.form, check.stage) for check in verification.checks}
    assert checks == {(check.form, check.stage) for check in verify(both).checks}
    assert {stage for form, stage in checks if form == "staged"} == {"preprocess", "embed", "similarity", "scores"}


def test_int8_bundles_are_smaller_and_nearly_as_accurate(both_int8: Bundle, both: Bundle) -> None:
    for member in ("encoder.tflite", "classifier.tflite"):
        assert both_int8.manifest.files[member].size_bytes < 0.7 * both.manifest.files[member].size_bytes
    accuracy, reference = both_int8.manifest.measured.accuracy, both.manifest.measured.accuracy
    assert accuracy is not None and reference is not None
    assert accuracy > reference - 0.1


def test_int8_gives_the_same_scores_in_both_forms(both_int8: Bundle, digits: Splits) -> None:
    """After the encoder both compute in float32, so only its own quantization, made twice, may differ."""
    scores = []
    for form in both_int8.manifest.forms:
        with Classifier(both_int8, form=form) as running:
            scores.append(np.stack([running.classify(digits.test[i]).scores for i in range(20)]))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)


def test_a_head_that_is_no_plain_mlp_travels_as_a_model(
    classifier: keras.Model, request_for: Request, digits: Splits
) -> None:
    convolutions = tuple(layer.name for layer in classifier.layers if isinstance(layer, keras.layers.Conv2D))
    split = factorize(classifier, FactorizeConfig(energy=0.6, multiple=1, skip=(*convolutions, "embedding")))
    assert split.replaced
    bundle = build_bundle(request_for(split.model))
    assert bundle.manifest.models == ("encoder.tflite", "head.tflite")
    sizes = [bundle.manifest.files[name].size_bytes for name in bundle.manifest.models]
    assert bundle.manifest.measured.tflite_bytes == sum(sizes)
    with Classifier(bundle) as running:
        scores = running.classify(digits.test[0]).scores
    np.testing.assert_allclose(scores, predict(split.model, digits.test[0][None, ..., :1])[0], atol=1e-4)


@pytest.fixture(scope="module")
def literal(data: LearningData) -> keras.Model:
    """Digits as they are, compared with the mean of each class: an embedding that nothing was learnt for."""
    x, y = data.train.x, data.train.y
    pixels = x.reshape(len(x), -1) / np.float32(255)
    means = np.stack([pixels[y == label].mean(axis=0) for label in range(10)])
    learnt = train_mlp(similarity_features(pixels, means, "correlation"), y, 10)  # type: ignore[arg-type]
    image, compare = (
        keras.Input(x.shape[1:], dtype="uint8", name="image"),
        PrototypeSimilarity(range(10), "correlation"),
    )
    hidden = keras.layers.Dense(32, activation="relu")(compare(FlattenedImage(name="embedding")(image)))
    model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(hidden), name="literal")
    pairs = [array for pair in zip(learnt.kernels, learnt.biases, strict=True) for array in pair]
    model.set_weights([means, *pairs])
    return model


def test_an_image_that_is_its_own_embedding_needs_no_model(
    literal: keras.Model, request_for: Request, digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "export_tflite", None)  # nothing is exported
    monkeypatch.setenv("EDGE_SDK_INTERPRETER", "none of those known")  # and nothing loaded
    manifest = (bundle := build_bundle(request_for(literal, quantize=INT8))).manifest
    assert manifest.staged is not None and manifest.staged.encoder is None
    assert set(manifest.files) == {"prototypes.npy", "head.npz", "golden.npz"}
    assert (manifest.models, manifest.requires, manifest.measured.tflite_bytes) == ((), {}, 0)
    assert manifest.interpreters == (f"numpy {np.__version__}",)
    assert manifest.measured.accuracy is not None and manifest.measured.accuracy > 0.7
    assert verify(bundle).passed
    with Classifier(bundle) as running:
        scores = np.stack([running.classify(digits.test[i]).scores for i in range(20)])
    inputs = np.stack([digits.test[i][..., :1] for i in range(20)])
    np.testing.assert_allclose(scores, predict(literal, inputs), atol=1e-4)


def test_its_fused_form_and_both_forms_of_its_head_agree(
    literal: keras.Model, request_for: Request, digits: Splits
) -> None:
    bundle = build_bundle(request_for(literal, forms=("staged", "fused"), head=HeadFormat.TFLITE))
    assert bundle.manifest.models == ("classifier.tflite", "head.tflite")
    with_numpy = build_bundle(request_for(literal, head=HeadFormat.NUMPY))
    scores = []
    for each, form in ((bundle, "staged"), (bundle, "fused"), (with_numpy, "staged")):
        with Classifier(each, form=form) as running:
            scores.append(np.stack([running.classify(digits.test[i]).scores for i in range(20)]))
    np.testing.assert_allclose(scores[0], scores[2], atol=1e-5)
    np.testing.assert_allclose(scores[1], scores[2], atol=1e-4)


def test_a_head_with_other_layers_cannot_be_had_in_numpy(request_for: Request) -> None:
    image = keras.Input((8, 8, 1), dtype="uint8")
    features = PrototypeSimilarity(range(10))(FlattenedImage()(image))
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(10)(features)))
    with pytest.raises(
        ModelError, match=r"Received: InputLayer, Dense, Softmax\. Ask for a head as a \.tflite"
    ) as caught:
        build_bundle(request_for(model, head=HeadFormat.NUMPY))
    assert_one_line(caught.value)


def test_a_plain_classifier_is_fused_and_nothing_else(request_for: Request) -> None:
    model = plain_network(classes=10, side=8, channels=1)
    assert build_bundle(request_for(model)).manifest.forms == ("fused",)
    with pytest.raises(ModelError, match="staged form needs a classifier with a PrototypeSimilarity") as caught:
        build_bundle(request_for(model, forms=("staged",)))
    assert_one_line(caught.value)


def test_photographs_make_small_golden_vectors(request_for: Request) -> None:
    rng = np.random.default_rng(0)
    photographs = [rng.integers(0, 256, shape, np.uint8) for shape in ((480, 640, 3), (640, 200, 3), (50, 96, 3))]
    held_out = HeldOut(photographs, np.arange(3), "photographs")
    bundle = build_bundle(request_for(plain_network(classes=10, side=8, channels=1), held_out=held_out))
    frames = GoldenVectors.of(bundle).frames[:-1]
    assert [frame.shape for frame in frames] == [(72, 96, 3), (96, 30, 3), (50, 96, 3)]
    np.testing.assert_array_equal(frames[2], photographs[2])
    assert verify(bundle).passed


def test_progress_tells_of_every_held_out_frame(request_for: Request, digits: Splits) -> None:
    told: list[tuple[int, int]] = []
    build_bundle(
        request_for(plain_network(classes=10, side=8, channels=1)), lambda done, planned: told.append((done, planned))
    )
    assert told[-1] == (len(digits.test), len(digits.test))


def test_an_export_that_computes_something_else_is_refused(
    classifier: keras.Model, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export_other_weights(model: keras.Model) -> bytes:
        other = keras.models.clone_model(model)
        other.set_weights([value * 1.1 for value in model.get_weights()])
        return export_tflite(other)

    monkeypatch.setattr(draft, "export_tflite", export_other_weights)
    with pytest.raises(ProofError, match=r"Keras model's scores within 0\.001. Received: ") as caught:
        build_bundle(request_for(classifier))
    assert_one_line(caught.value)


def test_a_runtime_that_computes_something_else_is_refused(
    classifier: keras.Model, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the proof runs with another release of the interpreter than the golden vectors."""

    def verify_elsewhere(bundle: Bundle) -> object:
        verification = verify(bundle)
        checks = [dataclasses.replace(check, difference=1.0) for check in verification.checks if check.stage == "embed"]
        return dataclasses.replace(verification, checks=(*verification.checks[:1], *checks))

    monkeypatch.setattr(module, "verify", verify_elsewhere)
    with pytest.raises(ProofError, match="Received: staged embed differs by 1 with") as caught:
        build_bundle(request_for(classifier))
    assert_one_line(caught.value)


def test_fused_and_staged_that_disagree_are_refused(
    classifier: keras.Model, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fused model alone is calibrated with dark images, so that its activations are cut off."""

    def quantize_badly(
        model: bytes, config: QuantizeConfig, calibration: np.ndarray, *rest: list[str], **options: object
    ) -> bytes:
        return quantize(model, config, calibration // 8 if rest else calibration, *rest, **options)

    monkeypatch.setattr(draft, "quantize", quantize_badly)
    with pytest.raises(ProofError, match="Received: fused scores differs by") as caught:
        build_bundle(request_for(classifier, quantize=INT8, forms=("staged", "fused")))
    assert_one_line(caught.value)
