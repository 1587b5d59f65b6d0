"""Small random networks for property tests: chains, additions, concatenations, depthwise blocks, shared layers."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["SIDE", "call", "images", "random_network", "randomize", "saved_and_loaded"]

SIDE = 6
"""Height and width of the images that the networks take."""


def random_network(seed: int) -> keras.Model:
    """A classifier of three classes made of two or three random blocks, with random weights and statistics.

    It returns logits: a softmax would hide differences.
    """
    rng = np.random.default_rng(seed)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = _activation(rng)(layers.Conv2D(int(rng.integers(5, 12)), 3, padding="same", name="stem")(x))
    for index in range(int(rng.integers(2, 4))):
        block = BLOCKS[int(rng.integers(len(BLOCKS)))]
        x = block(x, rng, f"block{index}")
    x = layers.Flatten()(x) if rng.random() < 0.5 else layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(int(rng.integers(6, 10)), activation="relu", name="hidden")(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(x), name=f"random_{seed}")
    randomize(model, rng)
    return model


def randomize(model: keras.Model, rng: np.random.Generator) -> None:
    """Give every weight a random value, of a size that keeps the values in a network near 1."""
    for layer in model.layers:
        if isinstance(layer, (keras.Model, layers.Layer)) and layer.weights:
            layer.set_weights([_random_weight(path, weight, rng) for path, weight in _named_weights(layer)])


def images(count: int = 2, seed: int = 0, shape: tuple[int, int, int] = (SIDE, SIDE, 3)) -> NDArray[np.uint8]:
    """Random `uint8 [count, height, width, channels]` images."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def call(model: keras.Model, batch: NDArray[np.generic]) -> NDArray[np.float32]:
    """The output of a model as an array, without the set-up of `predict`."""
    return np.asarray(keras.ops.convert_to_numpy(model(batch)))


def saved_and_loaded(model: keras.Model) -> keras.Model:
    """What a `.keras` file makes of a model."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15 on NumPy 2.4
        model.save(Path(folder) / "model.keras")
        return keras.models.load_model(Path(folder) / "model.keras")


def _named_weights(layer: keras.Layer) -> list[tuple[str, NDArray[np.float32]]]:
    return [(weight.path, value) for weight, value in zip(layer.weights, layer.get_weights(), strict=True)]


def _random_weight(path: str, weight: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    name = path.rsplit("/", 1)[-1]
    if name in ("moving_variance", "gamma"):
        return rng.uniform(0.5, 2.0, weight.shape).astype(np.float32)
    fan_in = max(1, weight[..., 0].size) if "kernel" in name else 4
    return rng.normal(0, 1 / np.sqrt(fan_in), weight.shape).astype(np.float32)


def _activation(rng: np.random.Generator) -> keras.Layer:
    kinds: list[Callable[[], keras.Layer]] = [
        layers.ReLU,
        layers.LeakyReLU,
        lambda: layers.PReLU(shared_axes=[1, 2]),
        lambda: layers.Activation("sigmoid"),
    ]
    return kinds[int(rng.integers(len(kinds)))]()


def _chain(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Convolution, batch normalisation, activation."""
    x = layers.Conv2D(int(rng.integers(5, 12)), 3, padding="same", use_bias=bool(rng.random() < 0.5), name=name)(x)
    return _activation(rng)(layers.BatchNormalization(scale=bool(rng.random() < 0.8))(x))


def _residual(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """The input plus two convolutions of it, by a layer or by an operator."""
    y = _chain(x, rng, f"{name}_a")
    y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_b")(y)
    return layers.Add()([x, y]) if rng.random() < 0.5 else keras.ops.relu(x + y * 0.5)


def _branches(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Two branches side by side and the input beside them."""
    return layers.Concatenate()([_chain(x, rng, f"{name}_a"), x, _chain(x, rng, f"{name}_b")])


def _depthwise(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Depthwise with a multiplier, then pointwise."""
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=int(rng.integers(1, 3)), name=name)(x)
    return layers.Conv2D(int(rng.integers(5, 10)), 1, name=f"{name}_point")(layers.BatchNormalization()(x))


def _separable(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Separable, down, and up again by a transposed convolution."""
    x = layers.SeparableConv2D(7, 3, padding="same", depth_multiplier=2, activation="relu", name=name)(x)
    x = layers.MaxPooling2D()(x)
    return layers.Conv2DTranspose(int(rng.integers(5, 9)), 3, strides=2, padding="same", name=f"{name}_up")(x)


def _shared(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """One convolution and one normalisation, used twice."""
    convolution = layers.Conv2D(x.shape[-1], 3, padding="same", name=name)
    norm = layers.BatchNormalization()
    return layers.Maximum()([norm(convolution(x)), norm(convolution(_activation(rng)(convolution(x))))])


def _gate(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Squeeze and excite."""
    weights = layers.GlobalAveragePooling2D(keepdims=bool(rng.random() < 0.5))(x)
    weights = layers.Reshape((1, 1, x.shape[-1]))(weights)
    weights = layers.Conv2D(5, 1, activation="relu", name=f"{name}_squeeze")(weights)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_excite")(weights)])


def _nested(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """A sequential model within the model."""
    inner = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.Conv2D(8, 3, padding="same", name="inner"), layers.BatchNormalization()],
        name=name,
    )
    return inner(x, training=False)


def _unknown(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """A layer that looks at all channels."""
    return layers.LayerNormalization(name=name)(_chain(x, rng, f"{name}_a"))


BLOCKS = (_chain, _residual, _branches, _depthwise, _separable, _shared, _gate, _nested, _unknown)
