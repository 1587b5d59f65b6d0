"""Layouts are those published, or fit the images at hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import DataError
from edge_sdk.learn import autoencoder_layouts as module
from edge_sdk.learn.autoencoder import build_autoencoder
from edge_sdk.learn.autoencoder_layouts import PUBLISHED, AutoencoderLayout, layout_for, layout_named
from edge_sdk_runtime import Color, PreprocessSpec

CIFAR = PreprocessSpec(32, 32)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["AutoencoderLayout", "PUBLISHED", "layout_for", "layout_named"]


def test_published_layouts_are_the_papers() -> None:
    first, second, many = (PUBLISHED[f"imageem-{name}"] for name in ("binary-1", "binary-2", "multiclass"))
    assert (first.filters, first.kernels, first.embedding) == ((32, 64, 64, 64), (3, 5, 5, 5), 1000)
    assert first.upwards == ((64, 3, 2), (64, 5, 2), (64, 5, 2), (32, 5, 2))
    assert (second.filters, second.kernels, second.embedding) == ((32, 64, 64), (3, 5, 5), 1000)
    assert second.upwards == ((64, 3, 2), (64, 5, 2), (32, 5, 2))
    assert (many.filters, many.kernels, many.embedding) == ((64,) * 6 + (128,) * 4, (3,) * 8 + (5,) * 2, 5000)
    assert [filters for filters, _, _ in many.upwards] == [128] * 4 + [64] * 6
    assert [kernel for _, kernel, _ in many.upwards] == [5] * 2 + [3] * 8
    assert [stride for _, _, stride in many.upwards] == [1, 1, 2, 1, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_end_as_published(name: str) -> None:
    encoder, decoder = build_autoencoder(CIFAR, PUBLISHED[name])
    assert encoder.output_shape == (None, PUBLISHED[name].embedding)
    assert decoder.output_shape == (None, 32, 32, 3)
    assert encoder.get_layer("code").activation.__name__ == "linear"
    assert {layer.activation.__name__ for layer in encoder.layers if layer.name.startswith("conv")} == {"relu"}
    assert decoder.layers[-1].activation.__name__ == "linear"
    assert encoder.get_layer("flat").input.shape[1:3] == ((4, 4) if name.endswith("2") else (2, 2))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(width=st.integers(1, 256), height=st.integers(1, 256), color=st.sampled_from(Color))
def test_a_free_layout_fits_every_size(width: int, height: int, color: Color) -> None:
    spec = PreprocessSpec(width, height, color=color)
    layout = layout_for(spec, 7)
    layout.require(spec)
    assert layout.embedding == 7 and layout_named("auto", spec, 7) == layout
    left = min(width, height) / 2 ** sum(layout.halved)
    assert left >= 4 or not any(layout.halved)


def test_sizes_that_the_poolings_do_not_halve_are_refused() -> None:
    with pytest.raises(DataError, match=r"multiples of 16, since the layout halves them 4 times\. Received: 28 × 28"):
        layout_named("imageem-binary-1", PreprocessSpec(28, 28))


def test_unknown_names_are_refused_with_those_known() -> None:
    with pytest.raises(
        DataError, match=r"auto, imageem-binary-1, imageem-binary-2, imageem-multiclass\. Received: 'cat'"
    ):
        layout_named("cat", CIFAR)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernels": (3,)}, "one number for each"),
        ({"decoder_filters": (4,)}, "decoder_filters must be one number"),
        ({"embedding": 0}, "at least 1"),
        ({"kernels": (3, 0)}, "at least 1"),
        ({"pooled": (3,)}, "from 1 to 2"),
        ({"slope": 1.0}, "below 1"),
    ],
)
def test_impossible_layouts_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        AutoencoderLayout(**{"filters": (4, 8), "kernels": (3, 3), "embedding": 5, **arguments})  # type: ignore[arg-type]
