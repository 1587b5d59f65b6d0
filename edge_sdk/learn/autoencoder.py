"""Convolutional autoencoders: an encoder from pixels to a code, learnt from one class by giving its images back.

Choudhury, Mehrotra, Vanusha, "Imageem" (2020): one autoencoder per class, input and target the same image; the code, a dense
vector without activation, represents the object. `autoencoder_layouts` has the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edge_sdk_converters.training import Examples, FitConfig, Progress, fit, predict
from edge_sdk_runtime.preprocess import Color, PreprocessSpec

from ..errors import DataError
from .autoencoder_layouts import AutoencoderLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Autoencoder", "AutoencoderConfig", "build_autoencoder", "reconstruct", "train_autoencoder"]

_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class AutoencoderConfig:
    """How an autoencoder is trained.

    Attributes:
        layout: Its shape.
        epochs: Most passes over the images; few images are shown several times a pass.
        learning_rate: Adam's, at the start.
        batch_size: Images per step.
        tolerance: Mean squared error of held-out images, pixels from 0 to 1, at which the output is close enough and training
            stops: 0.001 is an error of 8 grey levels. 0 never stops for that.
        patience: Epochs without a better held-out error after which training stops; 0 never stops for that.
        seed: Of weights, order and of what is held out.
    """

    layout: AutoencoderLayout
    epochs: int = 30
    learning_rate: float = 1e-3
    batch_size: int = 64
    tolerance: float = 1e-3
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.tolerance < 0 or self.patience < 0:
            raise DataError(
                "epochs must be at least 1, tolerance and patience at least 0. "
                f"Received: {self.epochs}, {self.tolerance} and {self.patience}. Choose such numbers."
            )


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A trained autoencoder.

    Attributes:
        encoder: `uint8 [batch, H, W, C]` → code `float32 [batch, D]`.
        decoder: Code → pixels from 0 to 1, `float32 [batch, H, W, C]`, not cut off.
        losses: Mean squared error of the held-out images after each epoch, pixels from 0 to 1.
    """

    encoder: keras.Model
    decoder: keras.Model
    losses: tuple[float, ...] = field(repr=False)

    @property
    def loss(self) -> float:
        """The smallest held-out error, which the weights kept belong to."""
        return min(self.losses)


def build_autoencoder(
    spec: PreprocessSpec, layout: AutoencoderLayout, name: str = "autoencoder"
) -> tuple[keras.Model, keras.Model]:
    """An untrained encoder and its decoder.

    Args:
        spec: Gives the images' shape.
        layout: Filters, kernels, poolings and width of the code.
        name: What the two models' names begin with.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, D]`, and `float32 [batch, D]` → `float32 [batch, H, W, C]`.

    Raises:
        DataError: The poolings do not halve the sides exactly.
    """
    layout.require(spec)
    image = keras.Input(spec.shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(image)
    rows = zip(layout.filters, layout.kernels, layout.halved, strict=True)
    for place, (filters, kernel, halved) in enumerate(rows, 1):
        x = keras.layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv{place}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{place}")(x) if halved else x
    code = keras.layers.Dense(layout.embedding, name="code")(keras.layers.Flatten(name="flat")(x))
    encoder = keras.Model(image, code, name=f"{name}_encoder")
    return encoder, _decoder(spec, layout, tuple(x.shape[1:]), f"{name}_decoder")


def train_autoencoder(
    images: NDArray[np.uint8],
    config: AutoencoderConfig,
    *,
    validation: NDArray[np.uint8] | None = None,
    name: str = "autoencoder",
    progress: Progress | None = None,
) -> Autoencoder:
    """Train an autoencoder on the images of one class. Keras's random state is set from the seed.

    Args:
        images: `uint8 [N, H, W, C]`, RGB or grey.
        config: Layout, epochs and when to stop.
        validation: `uint8 [M, H, W, C]`, decides when to stop and which weights are kept; a tenth of the images where None.
        name: What the two models' names begin with.
        progress: Told after every epoch.

    Raises:
        DataError: The images are no such array, fewer than two where some must be held out, or do not fit the layout.
    """
    spec = _spec_of(images)
    learnt, held_out = (images, validation) if validation is not None else _held_out(images, config.seed)
    if len(held_out) == 0 or held_out.shape[1:] != images.shape[1:]:
        raise DataError(
            f"Validation images must be uint8 [M, {spec.height}, {spec.width}, {spec.shape[2]}], at least one. "
            f"Received: {list(held_out.shape)}. Preprocess them as the training images."
        )
    keras.utils.set_random_seed(config.seed)
    encoder, decoder = build_autoencoder(spec, config.layout, name)
    model = keras.Model(encoder.inputs[0], decoder(encoder.outputs[0]), name=name)
    watch = _Watch(config.tolerance)
    fit(
        model,
        _unlabelled(learnt),
        _unlabelled(held_out),
        FitConfig(config.epochs, config.learning_rate, config.batch_size, config.patience, config.seed),
        loss=_reconstruction_loss,
        targets=lambda x, _: x,
        progress=progress,
        callbacks=[watch],
    )
    return Autoencoder(encoder, decoder, tuple(watch.losses))


def reconstruct(autoencoder: Autoencoder, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images as they come back out of their codes.

    Args:
        autoencoder: A trained one.
        images: `uint8 [N, H, W, C]`.

    Returns:
        `uint8 [N, H, W, C]`.
    """
    if len(images) == 0:
        return images.copy()
    pixels = predict(autoencoder.decoder, predict(autoencoder.encoder, images))
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)


def _decoder(spec: PreprocessSpec, layout: AutoencoderLayout, shape: tuple[int, ...], name: str) -> keras.Model:
    """Dense to the encoder's last feature map, then upwards."""
    code = keras.Input((layout.embedding,), name="code")
    x = keras.layers.Dense(int(np.prod(shape)), name="spread")(code)
    x = keras.layers.Reshape(shape, name="map")(x)
    for place, (filters, kernel, stride) in enumerate(layout.upwards, 1):
        x = keras.layers.Conv2DTranspose(filters, kernel, stride, padding="same", name=f"up{place}")(x)
        x = keras.layers.LeakyReLU(layout.slope, name=f"leaky{place}")(x)
    last = layout.upwards[-1][1]
    return keras.Model(
        code, keras.layers.Conv2DTranspose(spec.shape[2], last, padding="same", name="pixels")(x), name=name
    )


def _reconstruction_loss(images: Any, pixels: Any) -> Any:
    """Mean squared error per image, `[batch]`, the images' pixels brought to 0..1."""
    wanted = keras.ops.cast(images, "float32") / 255.0
    return keras.ops.mean(keras.ops.square(wanted - keras.ops.cast(pixels, "float32")), axis=(1, 2, 3))


def _spec_of(images: NDArray[np.uint8]) -> PreprocessSpec:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise DataError(
            "Images of a class must be uint8 [N, height, width, 1 or 3], at least one. "
            f"Received: {images.dtype} {list(images.shape)}. Make them with prepare()."
        )
    _, height, width, channels = images.shape
    return PreprocessSpec(width, height, color=Color.RGB if channels == 3 else Color.GRAY)


def _held_out(images: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if len(images) < 2:
        raise DataError(
            "A class must have at least two images, one of them to stop by. Received: 1. Add images, or pass validation=."
        )
    order = np.random.default_rng(seed).permutation(len(images))
    count = max(1, round(_VALIDATION_SHARE * len(images)))
    return images[np.sort(order[count:])], images[np.sort(order[:count])]


def _unlabelled(images: NDArray[np.uint8]) -> Examples:
    return Examples(images, np.zeros(len(images), np.int64))


class _Watch(keras.callbacks.Callback):
    """Notes the held-out error of every epoch, and stops when it is small enough."""

    def __init__(self, tolerance: float) -> None:
        super().__init__()
        self._tolerance = tolerance
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del epoch
        self.losses.append(float((logs or {})["val_loss"]))
        if self.losses[-1] <= self._tolerance:
            self.model.stop_training = True
