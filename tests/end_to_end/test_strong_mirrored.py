"""The encoder of the ImageEm benchmarks: what half of is learnt is exported as one ordinary network, for which left is as right."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from benchmarks.strong_layers import MirroredNorm
from benchmarks.strong_mirrored import Layout, mirrored, mirrored_again, plain

_LAYOUT = Layout(4, (4, 6, 8))


@pytest.fixture(scope="module")
def networks() -> tuple[keras.Model, keras.Model]:
    learnt, rng = mirrored(_LAYOUT), np.random.default_rng(0)
    for weight in learnt.weights:
        positive = weight.path.endswith(("gamma", "moving_variance"))
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0, 0.3, weight.shape))
    return learnt, plain(learnt, _LAYOUT)


def test_the_ordinary_network_computes_what_has_been_learnt(networks: tuple[keras.Model, keras.Model]) -> None:
    learnt, ordinary = (_embeddings(network, _images()) for network in networks)
    assert np.ptp(learnt) > 1
    np.testing.assert_allclose(ordinary, learnt, rtol=1e-4, atol=1e-4 * np.abs(learnt).max())


def test_a_mirrored_image_has_the_same_embedding_and_another_image_has_not(
    networks: tuple[keras.Model, keras.Model],
) -> None:
    images = _images()
    found, other = (_embeddings(networks[1], each) for each in (images, images[:, :, ::-1]))
    np.testing.assert_allclose(other, found, rtol=1e-4, atol=1e-4 * np.abs(found).max())
    turned = _embeddings(networks[1], images[:, ::-1])
    assert np.abs(turned - found).max() > 0.01 * np.abs(found).max()


def test_an_exported_network_learns_on_from_where_it_was(networks: tuple[keras.Model, keras.Model]) -> None:
    again = mirrored_again(networks[1], _LAYOUT)
    for weight, learnt in zip(again.weights, networks[0].weights, strict=True):
        np.testing.assert_allclose(weight, learnt, rtol=1e-6)


def test_normalisation_in_training_is_by_the_batch_and_its_running_statistics_follow() -> None:
    norm, values = MirroredNorm(momentum=0.5), np.random.default_rng(2).normal(3, 2, (8, 5, 5, 4)).astype("float32")
    found = np.asarray(norm(values, training=True))
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(found.std((0, 1, 2)), 1, atol=1e-3)
    both = values.mean((0, 1, 2)).reshape(2, 2).mean(0)
    np.testing.assert_allclose(norm.moving_mean, both / 2, rtol=1e-4)
    spread = values.var((0, 1, 2), ddof=1).reshape(2, 2).mean(0)
    np.testing.assert_allclose(norm.moving_variance, (1 + spread) / 2, rtol=1e-4)


def _images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), np.uint8)


def _embeddings(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(network(np.ascontiguousarray(images), training=False))
