"""Small bundles for speed benchmarks: real layouts, random weights, since speed does not depend on what was learnt."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime import Bundle, Interpolation, PreprocessSpec, ResizeMode

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["photograph", "random_bundle"]


def photograph(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """A real photograph (scikit-learn's sample image) as a camera frame.

    Returns:
        `uint8 [height, width, 3]`, BGR.
    """
    import cv2
    from sklearn.datasets import load_sample_image

    image = load_sample_image("china.jpg")[:, :, ::-1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def random_bundle(
    side: int, interpolation: Interpolation, *, width: int = 16, classes: int = 10, seed: int = 0
) -> Bundle:
    """An int8 bundle with both forms of the SDK's own layout.

    Its models are made once for every way of shrinking, and so are its golden vectors, which are those of area averaging.

    Args:
        side: Model input side in pixels.
        interpolation: How frames shrink.
        width: Filters of the encoder's first stage.
        classes: Number of classes.
        seed: Of the weights.
    """
    bundle = _area_bundle(side, width, classes, seed)
    preprocess = dataclasses.replace(bundle.manifest.preprocess, interpolation=interpolation)
    return Bundle(dataclasses.replace(bundle.manifest, preprocess=preprocess), bundle.members())


@lru_cache(maxsize=4)
def _area_bundle(side: int, width: int, classes: int, seed: int) -> Bundle:
    import keras

    from edge_sdk.learn.encoder import build_encoder
    from edge_sdk.learn.head import build_head
    from edge_sdk_converters.graph import flatten
    from edge_sdk_converters.layers import PrototypeSimilarity
    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
    from edge_sdk_converters.request import BundleRequest, HeldOut
    from edge_sdk_converters.writer import build_bundle

    keras.utils.set_random_seed(seed)
    spec = PreprocessSpec(side, side, ResizeMode.STRETCH, Interpolation.AREA)
    encoder = build_encoder(spec, width=width)
    scores = build_head(classes, classes)(PrototypeSimilarity(list(range(classes)))(encoder.outputs[0]))
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (32, side, side, 3), dtype=np.uint8)
    request = BundleRequest(
        name=f"random-{side}",
        labels=tuple(f"class {i}" for i in range(classes)),
        preprocess=spec,
        model=flatten(keras.Model(encoder.inputs[0], scores)),
        quantize=QuantizeConfig(QuantizeMode.STATIC_INT8, 32),
        calibration=frames,
        held_out=HeldOut(list(frames), np.arange(32) % classes, "random pixels"),
        forms=("fused", "staged"),
    )
    return build_bundle(request)
