"""An autoencoder gives back the images of its class."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import autoencoder as module
from edge_sdk.learn.autoencoder import AutoencoderConfig, reconstruct, train_autoencoder
from edge_sdk.learn.autoencoder_layouts import AutoencoderLayout
from edge_sdk.learn.train import Trained

LAYOUT = AutoencoderLayout((8,), (3,), 8)


def of_class(trained: Trained, label: int) -> np.ndarray:
    return trained.train.x[trained.train.y == label]


def test_public_names() -> None:
    names = ["Autoencoder", "AutoencoderConfig", "build_autoencoder", "reconstruct", "train_autoencoder"]
    assert sorted(module.__all__) == sorted(names)


def test_training_stops_when_the_output_is_close(trained: Trained) -> None:
    config = AutoencoderConfig(LAYOUT, 12, 1e-2, 16, tolerance=0.5)
    images = of_class(trained, 1)
    told: list[tuple[int, int]] = []
    one = train_autoencoder(images, config, validation=images[:3], progress=lambda done, of, _: told.append((done, of)))
    assert len(one.losses) == 1 and one.loss <= 0.5
    assert told == [(1, 12)]
    assert one.encoder.output_shape == (None, 8) and one.decoder.output_shape == (None, 8, 8, 1)
    assert reconstruct(one, images[:0]).shape == (0, 8, 8, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"uint8 \[N, height, width, 1 or 3\]"),
        (np.zeros((3, 8, 8, 1), np.float32), "Received: float32"),
        (np.zeros((0, 8, 8, 1), np.uint8), r"at least one\. Received: uint8 \[0, 8, 8, 1\]"),
        (np.zeros((1, 8, 8, 1), np.uint8), "at least two images"),
        (np.zeros((4, 9, 8, 1), np.uint8), "multiples of 2"),
    ],
)
def test_images_that_cannot_be_learnt_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_autoencoder(images, AutoencoderConfig(LAYOUT))


def test_validation_images_of_another_size_are_refused() -> None:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(DataError, match="Validation images must be"):
        train_autoencoder(images, AutoencoderConfig(LAYOUT), validation=images[:, :4])


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"tolerance": -1.0}, {"patience": -1}])
def test_impossible_configurations_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match="epochs must be at least 1"):
        AutoencoderConfig(LAYOUT, **wrong)  # type: ignore[arg-type]
