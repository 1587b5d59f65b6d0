"""Networks that people use: MobileNetV2, ResNet-50 and EfficientNetB0 are pruned, factorized, exported, and still agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters.cost import count_parameters, layer_macs
from edge_sdk_converters.factorize.apply import factorize
from edge_sdk_converters.factorize.config import FactorizeConfig
from edge_sdk_converters.graph import trace
from edge_sdk_converters.prune.apply import prune
from edge_sdk_converters.prune.channels import analyze
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.prune.criteria.l1 import L1Norm
from edge_sdk_converters.prune.rebuild import mask
from edge_sdk_converters.prune.select import choose_units
from edge_sdk_converters.tflite import export_tflite
from tests.converters.helpers import run_tflite
from tests.converters.networks import call, randomize

if TYPE_CHECKING:
    from numpy.typing import NDArray

PUBLISHED_SIZE, SIZE = 224, 64
"""Height and width of the images that the published counts are for, and of those that are computed with."""
PRUNE = PruneConfig(fraction=0.3)


@dataclass(frozen=True)
class Network:
    """One of `keras.applications`.

    Attributes:
        name: As Keras calls it.
        brightest: The largest value of a pixel that it takes.
        macs: Multiply-accumulates of one image, as published.
        units: Channels that can be removed independently of each other, counted from the published architecture.
    """

    name: str
    brightest: float
    macs: float
    units: int


# What additions tie counts once per trunk; then what is inside the blocks; then the last convolution.
MOBILENET_TRUNKS, MOBILENET_EXPANDED = (
    (32, 16, 24, 32, 64, 96, 160, 320),
    (16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3),
)
EFFICIENTNET_TRUNKS, EFFICIENTNET_BLOCKS = (32, 16, 24, 40, 80, 112, 192, 320), (16, *[24] * 2, *[40] * 2, *[80] * 3)
NETWORKS = (
    Network("MobileNetV2", 1, 300e6, sum(MOBILENET_TRUNKS) + 6 * sum((*MOBILENET_EXPANDED, *[160] * 3)) + 1280),
    Network("ResNet50", 1, 3.86e9, 64 + 256 + 512 + 1024 + 2048 + 2 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512)),
    Network(
        "EfficientNetB0",
        255,
        390e6,
        sum(EFFICIENTNET_TRUNKS)
        + sum(6 * width + width // 4 for width in (*EFFICIENTNET_BLOCKS, *[112] * 3, *[192] * 4))
        + 32 // 4  # the first block has a gate and no expansion
        + 1280,
    ),
)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_pruned_factorized_and_exported_networks_agree(network: Network) -> None:
    published = trace(application(network, PUBLISHED_SIZE))
    assert sum(map(layer_macs, published.calls)) == pytest.approx(network.macs, rel=0.02)
    model, batch = built(network)
    expected = call(model, batch)
    graph = trace(model)

    found = analyze(graph)
    assert (found.count, found.frozen) == (network.units, (("predictions", "it produces the model's output"),))
    removed = choose_units(found, L1Norm().scores(found), PRUNE)
    pruned = prune(model, PRUNE).model
    assert_agree(call(pruned, batch), call(mask(found, removed), batch), 1e-5)
    assert count_parameters(pruned) < 0.6 * count_parameters(model)

    factorized = factorize(pruned, FactorizeConfig(energy=0.8, method="tucker"))
    assert len(factorized.replaced) > 10 and count_parameters(factorized.model) < 0.9 * count_parameters(pruned)
    assert_agree(run_tflite(export_tflite(factorized.model), batch), call(factorized.model, batch), 1e-4)
    np.testing.assert_array_equal(call(model, batch), expected)


def application(network: Network, size: int) -> keras.Model:
    options = {"weights": None, "input_shape": (size, size, 3), "classes": 10, "classifier_activation": None}
    model: keras.Model = getattr(keras.applications, network.name)(**options)
    return model


def built(network: Network) -> tuple[keras.Model, NDArray[np.float32]]:
    """The network with random weights, and two images that it tells apart."""
    model = application(network, SIZE)
    rng = np.random.default_rng(0)
    randomize(model, rng)
    noise = rng.uniform(0, 1, (2, SIZE, SIZE, 3)) * rng.uniform(0, 1, (2, 1, 1, 3))
    batch = (network.brightest * noise).astype(np.float32)
    settle(model, batch)
    return model, batch


def settle(model: keras.Model, batch: NDArray[np.float32]) -> None:
    """Give batch normalisations the statistics of a batch: with others, a deep network would forget its input."""
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(batch, training=True)


def assert_agree(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float) -> None:
    """Equal to a share of the largest output, where different images give different outputs."""
    scale = float(np.abs(expected).max())
    assert np.isfinite(scale) and np.abs(expected[0] - expected[1]).max() > 1e-3 * scale
    np.testing.assert_allclose(found, expected, atol=tolerance * scale, rtol=0)
