"""The autoencoder whose code chooses samples: every image becomes 216 numbers that suffice to draw its middle again.

After "Faster Training by Selecting Samples Using Embeddings": 5×5 convolutions with batch normalisation, each followed by 3×3 max
pooling with stride 2, bring a 24×24 piece of an image to 3×3×24 = 216 activations; three 5×5 transposed convolutions with stride 2
bring it back. It learns by stochastic gradient descent with momentum, learning rate 0.1, squared error. It needs no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edge_sdk_converters.training import Examples

from ..errors import DataError
from .crops import check_side, random_crops
from .two_phase import History, Look, TwoPhase, two_phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "EmbeddingAutoencoder",
    "EmbeddingAutoencoderConfig",
    "build_embedding_autoencoder",
    "train_embedding_autoencoder",
]

_POOLINGS = 3


@dataclass(frozen=True)
class EmbeddingAutoencoderConfig:
    """Layout and training.

    Attributes:
        side: Of the piece of an image that is encoded, in pixels; a multiple of 8.
        filters: Of the first two convolutions; the decoder has them in reverse.
        code: Channels of the code, so that it has code · (side / 8)² activations.
        steps: Optimisation steps.
        batch_size: Images per step.
        learning_rate: At the start; it falls to zero along a cosine.
        flip: Whether mirrored images are learnt from too.
        seed: Of weights, order and pieces.
    """

    side: int = 24
    filters: tuple[int, int] = (32, 64)
    code: int = 24
    steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 0.1
    flip: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.side < 8 or self.side % 2**_POOLINGS or min(*self.filters, self.code) < 1:
            raise DataError(
                "side must be a multiple of 8, filters and code at least 1. "
                f"Received: side={self.side}, filters={self.filters}, code={self.code}. The usual ones are 24, (32, 64) and 24."
            )


@dataclass(frozen=True, eq=False)
class EmbeddingAutoencoder:
    """Both halves.

    Attributes:
        encoder: `uint8 [batch, height, width, channels]` → `float32 [batch, code · (side / 8)²]`; looks at the middle.
        decoder: `float32 [batch, code · (side / 8)²]` → the middle again, `float32 [batch, side, side, channels]`, 0 to 1.
        history: How training went; None before.
    """

    encoder: keras.Model
    decoder: keras.Model
    history: History | None = None


def build_embedding_autoencoder(
    shape: tuple[int, int, int], config: EmbeddingAutoencoderConfig | None = None
) -> EmbeddingAutoencoder:
    """Both halves, untrained.

    Args:
        shape: Of the images: height, width, channels.
        config: Layout; that of the paper where None.

    Raises:
        DataError: The images are smaller than the piece that is encoded.
    """
    config = config or EmbeddingAutoencoderConfig()
    check_side(shape, config.side)
    keras.utils.set_random_seed(config.seed)
    core, decoder = _encoder(shape[2], config), _decoder(shape[2], config)
    image = keras.Input(shape, dtype="uint8", name="image")
    rows, columns = shape[0] - config.side, shape[1] - config.side
    edges = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    middle = keras.layers.Cropping2D(edges, name="middle")(image)
    return EmbeddingAutoencoder(keras.Model(image, core(middle), name="encoder"), decoder)


def train_embedding_autoencoder(
    images: NDArray[np.uint8],
    config: EmbeddingAutoencoderConfig | None = None,
    told: Callable[[int, int], None] | None = None,
) -> EmbeddingAutoencoder:
    """Train on random pieces of images.

    Args:
        images: `uint8 [N, height, width, channels]`.
        config: Layout and training; those of the paper where None.
        told: Told how many steps are done, and planned.

    Raises:
        DataError: The images are smaller than the piece that is encoded, or training diverged.
    """
    config = config or EmbeddingAutoencoderConfig()
    untrained = build_embedding_autoencoder(images.shape[1:], config)
    core = untrained.encoder.layers[-1]
    model = keras.Model(core.inputs[0], untrained.decoder(core.outputs[0]), name="autoencoder")

    def pieces(x: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        return random_crops(x, config.side, rng, flip=config.flip)

    def report(look: Look) -> None:
        if told is not None:
            told(look.step, config.steps)

    history = two_phase(
        model,
        Examples(images, np.zeros(len(images), np.int64)),
        np.arange(len(images)),
        TwoPhase(config.steps, first_share=0, batch_size=config.batch_size, look_every=50, seed=config.seed),
        optimizer=keras.optimizers.SGD(config.learning_rate, momentum=0.9),
        loss=keras.losses.MeanSquaredError(),
        targets=_scaled,
        augment=pieces,
        progress=report,
    )
    return EmbeddingAutoencoder(untrained.encoder, untrained.decoder, history)


def _scaled(x: NDArray[Any], y: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the decoder should draw: the piece itself, 0 to 1."""
    del y
    scaled: NDArray[np.float32] = x.astype(np.float32) / np.float32(255)
    return scaled


def _encoder(channels: int, config: EmbeddingAutoencoderConfig) -> keras.Model:
    piece = keras.Input((config.side, config.side, channels), dtype="uint8", name="piece")
    x = keras.layers.Rescaling(1 / 127.5, -1.0, name="scaling")(piece)
    for stage, filters in enumerate((*config.filters, config.code), 1):
        x = keras.layers.Conv2D(filters, 5, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = keras.layers.ReLU(name=f"relu{stage}")(x)
        x = keras.layers.MaxPooling2D(3, 2, padding="same", name=f"pool{stage}")(x)
    return keras.Model(piece, keras.layers.Flatten(name="code")(x), name="piece_encoder")


def _decoder(channels: int, config: EmbeddingAutoencoderConfig) -> keras.Model:
    side = config.side // 2**_POOLINGS
    code = keras.Input((config.code * side * side,), name="code")
    x = keras.layers.Reshape((side, side, config.code), name="map")(code)
    for stage, filters in enumerate(reversed(config.filters), 1):
        x = keras.layers.Conv2DTranspose(filters, 5, 2, padding="same", activation="relu", name=f"deconv{stage}")(x)
    x = keras.layers.Conv2DTranspose(channels, 5, 2, padding="same", name=f"deconv{_POOLINGS}")(x)
    return keras.Model(code, x, name="decoder")
