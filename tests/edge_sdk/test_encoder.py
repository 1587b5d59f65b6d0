"""The encoder fits its input."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import encoder as module
from edge_sdk.learn.encoder import build_encoder, flattened_encoder
from edge_sdk_converters.cost import count_macs, count_parameters
from edge_sdk_runtime import Color, PreprocessSpec


def test_public_names() -> None:
    assert sorted(module.__all__) == ["MOMENTUM", "build_encoder", "flattened_encoder"]


@pytest.mark.parametrize(("side", "last"), [(8, 4), (28, 7), (32, 8), (96, 6), (224, 7)])
@pytest.mark.parametrize("color", Color)
def test_the_last_feature_map_is_small_whatever_the_input(side: int, last: int, color: Color) -> None:
    spec = PreprocessSpec(side, side, color=color)
    encoder = build_encoder(spec, embedding=16, width=4)
    assert encoder.input_shape == (None, *spec.shape)
    assert encoder.inputs[0].dtype == "uint8"
    assert encoder.get_layer("pool").input.shape[1:3] == (last, last)
    assert encoder.output_shape == (None, 16)


def test_sides_may_differ() -> None:
    encoder = build_encoder(PreprocessSpec(64, 20), embedding=5, width=4)
    embedding = encoder(np.zeros((2, 20, 64, 3), np.uint8))
    assert tuple(embedding.shape) == (2, 5)
    assert np.isfinite(keras.ops.convert_to_numpy(embedding)).all()


def test_at_32_pixels_it_is_the_resnet_8_of_mlperf_tiny() -> None:
    """78 thousand parameters and 12.5 million multiply-accumulates there, for 10 outputs."""
    encoder = build_encoder(PreprocessSpec(32, 32), embedding=10, width=16)
    assert count_parameters(encoder) == pytest.approx(78_000, rel=0.02)
    assert count_macs(encoder) == pytest.approx(12.5e6, rel=0.02)


def test_an_image_may_be_its_own_embedding() -> None:
    encoder = flattened_encoder(PreprocessSpec(4, 3, color=Color.GRAY))
    assert (encoder.input_shape, encoder.output_shape) == ((None, 3, 4, 1), (None, 12))
    assert encoder.count_params() == 0
    ramp = np.arange(0, 240, 20, dtype=np.uint8).reshape(1, 3, 4, 1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(encoder(ramp))[0], np.arange(0, 240, 20) / 255, atol=1e-7)


@pytest.mark.parametrize("sizes", [{"embedding": 1}, {"width": 3}])
def test_too_narrow_encoders_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(DataError, match="at least 2 and width at least 4"):
        build_encoder(PreprocessSpec(8, 8), **sizes)
