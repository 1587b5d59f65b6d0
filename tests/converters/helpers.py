"""Running and looking into .tflite files, small classifiers by kind, and recipes that do not take long."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from edge_sdk_converters.layers import PrototypeSimilarity
from edge_sdk_converters.recipe import Recipe, Step
from edge_sdk_runtime import Color, PreprocessSpec
from edge_sdk_runtime.interpreters import quiet
from tests.converters.networks import SIDE, randomize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "GRAY_8",
    "assert_one_line",
    "depthwise_network",
    "hurried",
    "input_and_output",
    "operators",
    "plain_network",
    "residual_network",
    "run_tflite",
    "staged_network",
    "weights_kept",
]

GRAY_8 = PreprocessSpec(8, 8, color=Color.GRAY)
"""What is done to digits."""


def run_tflite(content: bytes, batch: NDArray[np.generic]) -> NDArray[np.float32]:
    """The outputs of a .tflite file for inputs that it takes one at a time, `float32 [N, …]`."""
    interpreter = _loaded(content)
    into, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for each in batch:
        interpreter.set_tensor(into, each[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(out)[0])
    return np.stack(rows)


def operators(content: bytes) -> Counter[str]:
    """How often each operator occurs in a .tflite file; what an accelerator's delegate is called does not count."""
    names = Counter(str(details["op_name"]) for details in _loaded(content)._get_ops_details())
    del names["DELEGATE"]
    return names


def input_and_output(content: bytes) -> tuple[tuple[str, list[int]], tuple[str, list[int]]]:
    """Element type and shape of a file's input and of its output."""
    interpreter = _loaded(content)
    details = interpreter.get_input_details() + interpreter.get_output_details()
    first, last = ((each["dtype"].__name__, [int(side) for side in each["shape"]]) for each in details)
    return first, last


def plain_network(classes: int = 3, side: int = SIDE, channels: int = 3) -> keras.Model:
    """Scaling, convolution, batch normalisation, dense: `uint8 [batch, side, side, channels]` → probabilities."""
    image = keras.Input((side, side, channels), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return _random(image, layers.Dense(classes, activation="softmax")(x), "plain")


def residual_network() -> keras.Model:
    """The same with an addition that no folding may remove."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 255)(image)))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(layers.ReLU()(x)))
    x = layers.ReLU()(layers.Add()([x, y]))
    return _random(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)), "residual")


def depthwise_network() -> keras.Model:
    """The same with a depthwise and a pointwise convolution."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(image))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    x = layers.BatchNormalization()(layers.Conv2D(6, 1, use_bias=False)(layers.ReLU(6.0)(x)))
    return _random(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)), "depthwise")


def staged_network(measure: str = "cosine", head: tuple[keras.Layer, ...] | None = None) -> keras.Model:
    """Convolution, embedding of 5, four prototypes of three classes, and a head."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="stem")(layers.Rescaling(1 / 255)(image))
    x = layers.Dense(5, name="embedding")(layers.Flatten()(x))
    x = PrototypeSimilarity([0, 1, 1, 2], measure, name="similarity")(x)
    for layer in head or (layers.Dense(7, activation="relu"), layers.Dense(3, activation="softmax")):
        x = layer(x)
    return _random(image, x, "staged")


def hurried(recipe: Recipe) -> Recipe:
    """The recipe with one epoch in the place of every recovery."""

    def hurry(step: Step) -> Step:
        recover = step.recover and dataclasses.replace(step.recover, epochs=1, min_steps=0)
        return dataclasses.replace(step, recover=recover)

    return dataclasses.replace(recipe, steps=tuple(map(hurry, recipe.steps)))


@contextlib.contextmanager
def weights_kept(model: keras.Model) -> Iterator[None]:
    """Fails where the block changes a weight of the model."""
    before = [value.copy() for value in model.get_weights()]
    yield
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def assert_one_line(error: BaseException) -> None:
    """The message names the rule, what was received and the fix, in one line that a terminal shows."""
    message = str(error)
    assert "Received: " in message and "\n" not in message and len(message) < 500, message


def _random(image: keras.KerasTensor, output: keras.KerasTensor, name: str) -> keras.Model:
    model = keras.Model(image, output, name=name)
    randomize(model, np.random.default_rng(3))
    return model


def _loaded(content: bytes) -> Interpreter:
    with quiet.without_notices():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    return interpreter
