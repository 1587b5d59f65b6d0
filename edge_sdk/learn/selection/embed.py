"""What images are chosen by: the embedding, or the class scores, that a Keras model gives them, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_converters.source import adopt
from edge_sdk_converters.stages import has_stages, split_stages
from edge_sdk_converters.training import Examples, predict
from edge_sdk_runtime import Color, PreprocessSpec, ResizeMode

from ...data import prepare
from ...errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...image_sets import ImageSet

__all__ = ["Embedder", "embedder_of", "native_spec"]

_IMAGES_AT_ONCE = 2048
_TRIAL = 512
_LEAST = 1e-30
"""A probability that float32 has rounded to nothing."""


@dataclass(frozen=True, eq=False)
class Embedder:
    """Makes vectors of images.

    Attributes:
        model: `uint8 [batch, H, W, C]` → `float32 [batch, D]`.
        spec: What is done to every image before.
        what: What the vectors are, for a person.
        logarithms: Whether the model's outputs are probabilities, whose logarithms are taken.
    """

    model: keras.Model
    spec: PreprocessSpec
    what: str
    logarithms: bool = False

    def blocks(self, images: ImageSet, rows: range) -> Iterator[NDArray[np.float32]]:
        """Vectors of some of the images in order, few at a time, so that memory does not grow with their number.

        Args:
            images: The set.
            rows: Consecutive positions in it.

        Yields:
            `float32 [M, D]`.

        Raises:
            ImageReadError: A file was removed or damaged since it was loaded.
        """
        for start in range(rows.start, rows.stop, _IMAGES_AT_ONCE):
            some = np.arange(start, min(start + _IMAGES_AT_ONCE, rows.stop))
            vectors = predict(self.model, prepare(images.take(some), self.spec).x)
            yield np.log(np.maximum(vectors, _LEAST)) if self.logarithms else vectors


def embedder_of(model: keras.Model, spec: PreprocessSpec, trial: ImageSet, *, scores: bool = False) -> Embedder:
    """What a model knows of images.

    Args:
        model: A classifier of the SDK, any other Keras image classifier, or an encoder that takes uint8 images.
        spec: What is done to every image before.
        trial: Labelled images, to find out which pixel values another tool's classifier was trained on.
        scores: Class scores in the place of embeddings: logarithms of the probabilities.

    Returns:
        The encoder of a staged classifier; of another classifier what its last dense layer reads; an encoder as it is.

    Raises:
        ModelError: The model is no image classifier of these classes.
        DataError: Scores were asked of an encoder, or there is nothing to embed by.
    """
    if model.outputs[0].shape[-1] != len(trial.labels) and _takes_pixels(model) and len(model.outputs[0].shape) == 2:
        if scores:
            raise DataError(
                f"The margin needs a classifier of the data's {len(trial.labels)} classes. "
                f"Received: '{model.name}' with {model.outputs[0].shape[-1]} outputs. Pass the classifier."
            )
        return Embedder(model, spec, f"output of '{model.name}'")
    few = prepare(trial.take(np.arange(min(_TRIAL, len(trial)))), spec)
    classifier = adopt(model, Examples(few.x, few.y), len(trial.labels)).model
    if scores:
        return Embedder(classifier, spec, f"class scores of '{model.name}'", logarithms=True)
    if has_stages(classifier):
        return Embedder(split_stages(classifier).encoder, spec, f"encoder of '{model.name}'")
    return _last_features(classifier, spec)


def native_spec(model: keras.Model) -> PreprocessSpec:
    """Preprocessing for a model that comes without any: its size, the whole picture stretched to it.

    Raises:
        DataError: The model takes no images of one size.
    """
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise DataError(
            "A model to embed with must take images [batch, height, width, 1 or 3] of a fixed size. "
            f"Received: {list(shape)}. Build it with keras.Input(shape=(height, width, channels))."
        )
    color = Color.RGB if shape[3] == 3 else Color.GRAY
    return PreprocessSpec(shape[2], shape[1], ResizeMode.STRETCH, color=color)


def _takes_pixels(model: keras.Model) -> bool:
    return bool(keras.backend.standardize_dtype(model.inputs[0].dtype) == "uint8")


def _last_features(classifier: keras.Model, spec: PreprocessSpec) -> Embedder:
    dense = [layer for layer in classifier.layers if isinstance(layer, keras.layers.Dense)]
    if not dense or len(dense[-1].input.shape) != 2:
        raise DataError(
            "A classifier to embed with must end in a dense layer on a vector. "
            f"Received: '{classifier.name}' without one. Pass an encoder: a model from uint8 images to vectors."
        )
    name = dense[-1].name
    return Embedder(keras.Model(classifier.inputs[0], dense[-1].input), spec, f"what '{name}' reads")
