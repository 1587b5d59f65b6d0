"""The autoencoder for choosing samples: the published sizes, and codes that suffice to draw the image again."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import embedding_autoencoder as module
from edge_sdk.learn.embedding_autoencoder import (
    EmbeddingAutoencoderConfig,
    build_embedding_autoencoder,
    train_embedding_autoencoder,
)
from tests.converters.networks import call


def test_public_names() -> None:
    assert len(module.__all__) == 4 and "EmbeddingAutoencoder" in module.__all__


def test_the_published_sizes() -> None:
    built = build_embedding_autoencoder((32, 32, 3))
    assert built.encoder.input_shape == (None, 32, 32, 3) and built.encoder.output_shape == (None, 216)
    assert built.decoder.output_shape == (None, 24, 24, 3) and built.history is None


def test_the_encoder_looks_at_the_middle_alone() -> None:
    encoder = build_embedding_autoencoder((13, 10, 1), EmbeddingAutoencoderConfig(8, (2, 2), 3)).encoder
    image = np.random.default_rng(0).integers(0, 256, (1, 13, 10, 1), dtype=np.uint8)
    other = 255 - image
    other[:, 2:10, 1:9] = image[:, 2:10, 1:9]
    codes = call(encoder, image)
    np.testing.assert_array_equal(codes, call(encoder, other))
    assert codes.shape == (1, 3) and (codes != call(encoder, 255 - image)).any()


def test_it_learns_to_draw_what_it_has_seen_and_the_seed_decides_how() -> None:
    ramps = np.linspace(0, 1, 10)[:, None] * np.ones(10)
    ramps = np.stack([ramps, ramps[::-1], ramps.T, ramps.T[::-1]] * 8)
    images = (ramps * 255).astype(np.uint8)[..., None]
    config = EmbeddingAutoencoderConfig(8, (4, 4), 4, steps=100, batch_size=8, flip=False)
    told: list[tuple[int, int]] = []
    trained = train_embedding_autoencoder(images, config, lambda done, planned: told.append((done, planned)))
    assert told == [(50, 100), (100, 100)]
    drawn = call(trained.decoder, call(trained.encoder, images))
    error = np.square(drawn - images[:, 1:9, 1:9] / 255).mean()
    assert error < 0.5 * np.var(images / 255)
    assert trained.history is not None and trained.history.second_steps == 100


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"24×24\. Received: 20×28"):
        build_embedding_autoencoder((28, 20, 3))
    for options in ({"side": 20}, {"side": 0}, {"filters": (0, 4)}, {"code": 0}):
        with pytest.raises(DataError, match="multiple of 8"):
            EmbeddingAutoencoderConfig(**options)  # type: ignore[arg-type]
