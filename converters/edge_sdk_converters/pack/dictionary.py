"""`python -m edge_sdk_converters.pack.dictionary FOLDER`: make the dictionaries that skeletons and gaps are coded with.

One holds the skeletons of networks of every common kind of layer, in float32 and int8; the other, gaps as they are between weights
that are zero more often here than there. Those that the runtime ships are part of the packed format: others would be dictionaries 2,
of another version of the format.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from ..layers import PrototypeSimilarity
from ..quantize import QuantizeConfig, QuantizeMode, quantize
from ..tflite import export_tflite
from .forms import gap_symbols
from .model import SHORTEST_RUN
from .runs import find_runs
from .streams import lzma_stream, trimmed

__all__ = ["gaps_dictionary", "skeleton_of", "skeletons_dictionary"]

_SKELETON_PROPERTIES = (0, 2, 2)
"""lc, lp, pb: flatbuffers are words of four bytes, so a literal's place in its word tells more than the byte before."""

_MEAN_GAPS = (80, 40, 20, 10)
_GAPS = 500
"""Of each mean: as many as it takes to learn from, and no more than a stream may go its own way from."""


def skeletons_dictionary() -> bytes:
    """The skeletons of all sample networks, as the file that the runtime ships."""
    return _file(b"".join(map(skeleton_of, _samples())), _SKELETON_PROPERTIES)


def gaps_dictionary() -> bytes:
    """Geometric gaps whose means are spread log-normally, as the file that the runtime ships."""
    rng = np.random.default_rng(0)
    means = np.repeat(_MEAN_GAPS, _GAPS) * rng.lognormal(-0.18, 0.6, len(_MEAN_GAPS) * _GAPS)
    return _file(gap_symbols(rng.geometric(1 / (means + 1)) - 1)[0].tobytes(), (0, 0, 0))


def _file(plain: bytes, properties: tuple[int, int, int]) -> bytes:
    coded = trimmed(lzma_stream(plain, properties), plain, properties)
    return len(plain).to_bytes(4, "little") + bytes(properties) + coded


def skeleton_of(tflite: bytes) -> bytes:
    """A .tflite file without its tensors."""
    parts, end = [], 0
    for run in find_runs(tflite, SHORTEST_RUN):
        parts.append(tflite[end : run.offset])
        end = run.offset + run.size_bytes
    return b"".join([*parts, tflite[end:]])


def _samples() -> Iterator[bytes]:
    """Files in float32 after those in int8: what is near is referred to in fewer bits, and small files are mostly float32."""
    models = [_scattered(build) for build in (_mobile, _convolutional, _residual, _normalised, _dense)]
    for model, mode in (
        (models[0], QuantizeMode.STATIC_INT8),
        (models[1], QuantizeMode.STATIC_INT8),
        (models[1], QuantizeMode.DYNAMIC_INT8),
    ):
        images = np.random.default_rng(0).integers(0, 256, (8, *model.inputs[0].shape[1:]), np.uint8)
        yield quantize(export_tflite(model), QuantizeConfig(mode), images)
    yield from map(export_tflite, models)


def _scattered(build: Callable[[], keras.Model]) -> keras.Model:
    """A model under its layers' first names, no two weights alike: without biases it would be exported as another network."""
    keras.utils.clear_session()
    model = build()
    rng = np.random.default_rng(0)
    model.set_weights([value + rng.uniform(0.1, 0.2, value.shape) for value in model.get_weights()])
    return model


def _image(
    side: int, channels: int, scale: float = 1 / 255, offset: float = 0.0
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    image = keras.Input((side, side, channels), dtype="uint8")
    return image, keras.layers.Rescaling(scale, offset)(image)


def _dense() -> keras.Model:
    image, x = _image(8, 1)
    x = keras.layers.Flatten()(x)
    for units in (64, 32):
        x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))


def _convolutional() -> keras.Model:
    image, x = _image(32, 3)
    for filters in (8, 16):
        x = keras.layers.MaxPooling2D()(keras.layers.Conv2D(filters, 3, activation="relu")(x))
    x = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))


def _normalised() -> keras.Model:
    image, x = _image(28, 1)
    for filters in (8, 16, 32):
        for _ in range(2):
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))


def _mobile() -> keras.Model:
    image, x = _image(96, 3, 1 / 127.5, -1.0)
    x = keras.layers.ReLU(6.0)(keras.layers.Conv2D(8, 3, 2, padding="same")(x))
    for filters, stride in ((16, 2), (16, 1), (32, 2)):
        y = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
        y = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(y))
        y = keras.layers.BatchNormalization()(keras.layers.Conv2D(filters, 1, use_bias=False)(y))
        x = keras.layers.Add()([x, y]) if stride == 1 else y
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(5, activation="softmax")(x))


def _residual() -> keras.Model:
    image, x = _image(32, 3)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    for filters in (8, 16):
        y = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        y = keras.layers.Conv2D(filters, 3, padding="same")(y)
        x = keras.layers.ReLU()(keras.layers.Add()([keras.layers.Conv2D(filters, 1, 2)(x), y]))
    x = keras.layers.Dense(64, name="embedding")(keras.layers.GlobalAveragePooling2D()(x))
    x = keras.layers.Dense(32, activation="relu")(PrototypeSimilarity(list(range(10)))(x))
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))


if __name__ == "__main__":
    for name, make in (("skeletons", skeletons_dictionary), ("gaps", gaps_dictionary)):
        Path(sys.argv[1], f"{name}_1.bin").write_bytes(make())
