"""Small random networks for property tests, of every kind of block that classifiers and autoencoders are made of."""

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

__all__ = ["BLOCKS", "SIDE", "call", "images", "random_network", "randomize", "saved_and_loaded"]

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
        if isinstance(layer, keras.Model):
            randomize(layer, rng)
        elif layer.weights:
            values = zip(layer.weights, layer.get_weights(), strict=True)
            layer.set_weights([_random_weight(layer, weight.name, value, rng) for weight, value in values])


def images(count: int = 2, seed: int = 0, shape: tuple[int, int, int] = (SIDE, SIDE, 3)) -> NDArray[np.uint8]:
    """Random `uint8 [count, height, width, channels]` images."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def call(model: keras.Model, batch: NDArray[np.generic]) -> NDArray[np.float32]:
    """The output of a model as an array, without the set-up of `predict`.

    Keras 3.15's image layers, such as Resizing, take training for the default and hand it on to what follows them.
    """
    return np.asarray(keras.ops.convert_to_numpy(model(batch, training=False)))


def saved_and_loaded(model: keras.Model) -> keras.Model:
    """What a `.keras` file makes of a model."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15 on NumPy 2.4
        model.save(Path(folder) / "model.keras")
        return keras.models.load_model(Path(folder) / "model.keras")


def _random_weight(
    layer: keras.Layer, name: str, value: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    if name in ("moving_variance", "variance", "gamma"):
        return rng.uniform(0.5, 2.0, value.shape).astype(np.float32)
    per_channel = isinstance(layer, layers.DepthwiseConv2D) or name == "depthwise_kernel"
    fan_in = max(1, value[..., 0, 0].size if per_channel else value[..., 0].size) if "kernel" in name else 4
    return rng.normal(0, 1 / np.sqrt(fan_in), value.shape).astype(np.float32)


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


def _bottleneck(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Narrow, 3×3 with a stride, wide again, added to a projection of the input, as in ResNet-50."""
    width, strides = int(rng.integers(8, 12)), int(rng.integers(1, 3))
    y = _chain(layers.Conv2D(5, 1, strides=strides, name=f"{name}_narrow")(x), rng, f"{name}_a")
    y = layers.BatchNormalization()(layers.Conv2D(width, 1, name=f"{name}_wide")(y))
    shortcut = layers.BatchNormalization()(layers.Conv2D(width, 1, strides=strides, name=f"{name}_shortcut")(x))
    return layers.ReLU()(layers.Add()([shortcut, y]))


def _positions(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Flat, dense, and an image again, as in the middle of an autoencoder."""
    x = layers.Dense(int(rng.integers(6, 10)), activation="relu", name=f"{name}_code")(layers.Flatten()(x))
    return layers.Reshape((4, 4, 5))(layers.Dense(4 * 4 * 5, name=name)(x))


def _rows(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Every row of pixels one vector, and pixels again."""
    _, height, width, channels = x.shape
    x = layers.Dense(width * 5, name=name)(layers.Reshape((height, width * channels))(x))
    return layers.Permute((2, 1, 3))(keras.ops.reshape(x, (-1, height, width, 5)))


def _nested_twice(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """A functional model with two branches, used twice: the second time on its own output."""
    image = keras.Input(x.shape[1:])
    y = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu", name=f"{name}_a")(image)
    gate = layers.Dense(x.shape[-1], activation="sigmoid", name=f"{name}_b")(layers.GlobalMaxPooling2D()(image))
    inner = keras.Model(image, layers.Multiply()([y, gate]), name=name)
    return layers.Average()([inner(inner(x)), x])


def _transposed(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Down, and up again by two transposed convolutions in a row."""
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2DTranspose(7, 3, strides=2, use_bias=False, name=f"{name}_a")(x)
    return layers.Conv2DTranspose(int(rng.integers(5, 9)), 2, activation=layers.LeakyReLU(0.2), name=f"{name}_b")(x)


def _branches_depthwise(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Two branches side by side through one depthwise convolution, the larger image cropped."""
    small = layers.Cropping2D(1)(layers.UpSampling2D()(layers.Conv2D(6, 1, name=f"{name}_a")(x)))
    large = layers.ZeroPadding2D(1)(layers.Resizing(*small.shape[1:3])(_chain(x, rng, f"{name}_b")))
    x = layers.Concatenate()([layers.ZeroPadding2D(1)(small), large])
    return layers.Conv2D(8, 1, name=f"{name}_c")(layers.DepthwiseConv2D(3, strides=2, name=name)(x))


def _groups(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Group normalisation in four groups of two, and one group per channel."""
    x = layers.GroupNormalization(4, name=f"{name}_four")(layers.Conv2D(8, 3, padding="same", name=name)(x))
    x = layers.Conv2D(6, 1, name=f"{name}_b")(_activation(rng)(x))
    return layers.GroupNormalization(-1, scale=False, center=bool(rng.random() < 0.5), name=f"{name}_one")(x)


def _operations(x: keras.KerasTensor, rng: np.random.Generator, name: str) -> keras.KerasTensor:
    """Operators and `keras.ops` where others use layers: hard swish, a gate, a shortcut of every second pixel."""
    x = layers.Conv2D(7, 3, padding="same", name=name)(x)
    x = x * (keras.ops.relu6(x + 3.0) / 6.0)
    gate = keras.ops.mean(keras.ops.square(x), axis=(1, 2), keepdims=True)
    gate = keras.ops.sigmoid(layers.Conv2D(7, 1, name=f"{name}_gate")(gate))
    x = keras.ops.pad(keras.ops.clip(x * gate, -4.0, 4.0), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = layers.Conv2D(7, 1, strides=2, name=f"{name}_half")(x)
    weights = keras.ops.expand_dims(keras.ops.expand_dims(keras.ops.max(y, axis=(1, 2)), 1), 1)
    return keras.ops.concatenate([x[:, ::2, ::2], 1.0 - y * weights], axis=-1)


BLOCKS = (
    *(_chain, _residual, _branches, _depthwise, _separable, _shared, _gate, _nested, _unknown),
    *(_bottleneck, _positions, _rows, _nested_twice, _transposed, _branches_depthwise, _groups, _operations),
)
"""Every kind of block: takes a tensor `[batch, height, width, channels]`, a generator and a name, returns such a tensor."""
