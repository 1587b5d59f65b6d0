"""The literal form of the paper: one autoencoder per class, their codes side by side, a staged classifier like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.image_sets import ImageSet, Splits
from edge_sdk.learn import code_encoder as module
from edge_sdk.learn.autoencoder import AutoencoderConfig, build_autoencoder, reconstruct
from edge_sdk.learn.autoencoder_layouts import layout_for
from edge_sdk.learn.code_encoder import code_encoder, code_prototypes, train_autoencoders
from edge_sdk.learn.kinds import EncoderKind
from edge_sdk.learn.train import TrainConfig, Trained, train_classifier
from edge_sdk.report.reconstructions import reconstruct_each, write_reconstructions
from edge_sdk_converters.graph import flatten
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
from edge_sdk_converters.request import BundleRequest, HeldOut
from edge_sdk_converters.stages import split_stages
from edge_sdk_converters.training import predict
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import PreprocessSpec, Similarity, similarity_features


def of_two(images: ImageSet) -> ImageSet:
    some = images.take(np.flatnonzero(images.targets < 2))
    return dataclasses.replace(some, labels=images.labels[:2])


@pytest.fixture(scope="module")
def ones_and_zeros(digits: Splits) -> Splits:
    parts = {name: of_two(getattr(digits, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(digits, **parts)


@pytest.fixture(scope="module")
def learnt(ones_and_zeros: Splits) -> Trained:
    config = TrainConfig(epochs=8, embedding=6, encoder=EncoderKind.AUTOENCODER, prototypes=2)
    assert ones_and_zeros.spec is not None
    return train_classifier(ones_and_zeros, ones_and_zeros.spec, config)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["code_encoder", "code_prototypes", "train_autoencoders"]


def test_features_are_similarities_under_each_class_s_own_encoder(learnt: Trained) -> None:
    encoders = [each.encoder for each in learnt.autoencoders]
    prototypes = code_prototypes(encoders, learnt.train, 2)
    assert prototypes.vectors.shape == (4, 12) and prototypes.labels == (0, 0, 1, 1)
    together = predict(code_encoder(encoders), learnt.validation.x)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), np.sqrt(2), rtol=1e-4)
    features = similarity_features(together, prototypes.vectors, Similarity.COSINE)
    for label, encoder in enumerate(encoders):
        block = prototypes.vectors[2 * label : 2 * label + 2, 6 * label : 6 * label + 6]
        own = similarity_features(predict(encoder, learnt.validation.x), block, Similarity.COSINE)
        np.testing.assert_allclose(features[:, 2 * label : 2 * label + 2], own / np.sqrt(2), atol=1e-5)

    stages = split_stages(flatten(learnt.model))
    np.testing.assert_allclose(stages.prototypes, prototypes.vectors, atol=1e-6)
    assert (
        stages.numpy_head is not None
    )  # it learnt from features of mean 0 and deviation 1, and takes them as they are
    np.testing.assert_allclose(stages.numpy_head(features), predict(learnt.model, learnt.validation.x), atol=1e-4)


def test_reconstructions_come_close(learnt: Trained) -> None:
    """Closer than the mean image of the class would be, to images that were not learnt from."""
    for label, autoencoder in enumerate(learnt.autoencoders):
        images = learnt.validation.x[learnt.validation.y == label]
        mean = learnt.train.x[learnt.train.y == label].mean(axis=0)
        returned = reconstruct(autoencoder, images)
        assert returned.shape == images.shape and returned.dtype == np.uint8
        errors = [np.square((images.astype(np.float32) - guess) / 255).mean() for guess in (returned, mean)]
        assert errors[0] < errors[1]
        assert autoencoder.loss == min(autoencoder.losses) < autoencoder.losses[0]


def test_it_becomes_a_staged_bundle(learnt: Trained, ones_and_zeros: Splits) -> None:
    test = ones_and_zeros.test
    request = BundleRequest(
        name="codes",
        labels=learnt.card.labels,
        preprocess=learnt.card.preprocess,
        model=flatten(learnt.model),
        quantize=QuantizeConfig(QuantizeMode.FLOAT32),
        calibration=learnt.train.x,
        held_out=HeldOut(test, test.targets, "digits"),
    )
    manifest = build_bundle(request).manifest
    assert manifest.staged is not None and manifest.staged.encoder == "encoder.tflite"
    assert manifest.staged.prototype_labels == (0, 0, 1, 1)
    assert manifest.measured.accuracy is not None and manifest.measured.accuracy > 0.8


def test_a_page_shows_what_comes_back(learnt: Trained, tmp_path: Path) -> None:
    found = reconstruct_each(learnt.autoencoders, learnt.validation, shown=3)
    assert [(each.label, len(each.originals), len(each.losses)) for each in found] == [
        ("0", 3, len(found[0].losses)),
        ("1", 3, len(found[1].losses)),
    ]
    write_reconstructions(tmp_path / "page.html", found, title="Digits")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("data:image/png;base64") == 12


def test_encoders_that_do_not_fit_together_are_refused() -> None:
    small, large = (
        build_autoencoder(spec, layout_for(spec, 4, 4))[0] for spec in (PreprocessSpec(8, 8), PreprocessSpec(16, 16))
    )
    for encoders in ([small], [small, large], []):
        with pytest.raises(DataError, match="two encoders or more with the same input"):
            code_encoder(encoders)
    assert isinstance(code_encoder([small, small]), keras.Model)


def test_every_class_needs_an_autoencoder(trained: Trained) -> None:
    config = AutoencoderConfig(layout_for(PreprocessSpec(8, 8), 4))
    with pytest.raises(DataError, match=r"each of 10 classes\. Received: 2"):
        train_autoencoders(trained.train, trained.validation, [config] * 2)
