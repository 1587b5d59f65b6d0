"""Moments are those of the patches that a layer sees, over all of its calls."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.factorize import moments as module
from edge_sdk_converters.factorize.moments import Moments, collect_moments, is_matrix, sample_patches
from edge_sdk_converters.graph import trace
from tests.converters.factorize.products import OPTIONS, batch_for, layer_for, through
from tests.converters.helpers import assert_one_line


def test_public_names() -> None:
    assert sorted(module.__all__) == ["LARGEST_PATCH", "Moments", "collect_moments", "is_matrix", "sample_patches"]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(kind=st.sampled_from(["dense", "pointwise", "conv"]), seed=st.integers(0, 99), options=st.sampled_from(OPTIONS))
def test_a_patch_times_the_kernel_is_the_output(kind: str, seed: int, options: dict[str, Any]) -> None:
    linear = {key: value for key, value in options.items() if key != "activation"}
    layer, batch = layer_for(kind, seed, 3, 4, linear), batch_for(seed, 3, 2)
    patches = sample_patches(layer, batch, 10**6, np.random.default_rng(0))
    kernel, *bias = layer.get_weights()
    expected = through([layer], batch)
    got = (patches @ kernel.reshape(-1, 4) + (bias[0] if bias else 0)).reshape(expected.shape)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_samples_are_different_positions_of_every_image() -> None:
    layer = layer_for("conv", 0, 3, 4, {"padding": "same"})
    batch = np.arange(2 * 7 * 6 * 3, dtype=np.float32).reshape(2, 7, 6, 3) + 1
    patches = sample_patches(layer, batch, 5, np.random.default_rng(1))
    assert patches.shape == (10, 18) and len(np.unique(patches, axis=0)) == 10
    again = sample_patches(layer, batch, 5, np.random.default_rng(1))
    np.testing.assert_array_equal(patches, again)


def test_moments_of_two_sets_join_to_those_of_both() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 4))
    joined, whole = Moments.of(rows[:2]).joined(Moments.of(rows[2:])), Moments.of(rows)
    assert joined.count == whole.count == 9
    np.testing.assert_allclose(joined.second, whole.second)
    np.testing.assert_allclose(joined.covariance(centred=True), np.cov(rows.T, bias=True), atol=1e-12)
    np.testing.assert_allclose(joined.covariance(centred=False), rows.T @ rows / 9)


def shared_model() -> keras.Model:
    """One convolution that sees the image and its own output, and a dense layer behind."""
    image = keras.Input((6, 6, 2), dtype="uint8")
    convolution = layers.Conv2D(2, 3, padding="same", name="shared")
    x = layers.Rescaling(1 / 255)(image)
    x = convolution(layers.ReLU()(convolution(x)))
    return keras.Model(image, layers.Dense(3, name="dense")(layers.Flatten()(x)))


def test_all_calls_of_a_shared_layer_count_and_matrices_give_their_outputs() -> None:
    keras.utils.set_random_seed(0)
    graph = trace(shared_model())
    pixels = np.random.default_rng(0).integers(
        0, 256, (70, 6, 6, 2), np.uint8
    )  # two batches, more positions than are needed
    shared, dense = (next(layer for layer in graph.layers if layer.name == name) for name in ("shared", "dense"))
    moments = collect_moments(graph, [shared, dense], pixels)
    first = pixels.astype(np.float32) / 255
    second = np.maximum(through([shared], first), 0)
    rng = np.random.default_rng(0)
    rows = np.concatenate([sample_patches(shared, each, 36, rng) for each in (first, second)])
    assert moments[id(shared)].count == 70 * 2 * 30 >= 4096
    np.testing.assert_allclose(moments[id(shared)].second, rows.T @ rows / len(rows), atol=0.03)
    outputs = through([shared], second).reshape(70, -1) @ dense.get_weights()[0]
    np.testing.assert_allclose(moments[id(dense)].mean, outputs.mean(axis=0), atol=1e-5)
    assert is_matrix(dense) and not is_matrix(shared)


def test_patches_are_sampled_where_there_are_many() -> None:
    image = keras.Input((32, 32, 1))
    graph = trace(keras.Model(image, layers.Conv2D(2, 3, name="conv")(image)))
    pixels = np.random.default_rng(0).normal(size=(30, 32, 32, 1)).astype(np.float32)
    one, same = (collect_moments(graph, graph.layers, pixels, seed=3)[id(graph.layers[0])] for _ in range(2))
    assert 4096 <= one.count < 4500 < 30 * 900
    np.testing.assert_array_equal(one.second, same.second)
    np.testing.assert_allclose(one.second, np.eye(9), atol=0.15)


@pytest.mark.parametrize("shape", [(2, 8, 8, 2), (2, 6, 6, 1), (6, 6, 2), (0, 6, 6, 2)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    graph = trace(shared_model())
    with pytest.raises(ModelError, match=r"Calibration images must have the size.*6, 6, 2.*Received: ") as caught:
        collect_moments(graph, graph.layers[1:2], np.zeros(shape, np.uint8))
    assert_one_line(caught.value)
