"""One encoder out of many: the codes of one autoencoder per class, side by side.

"Imageem" (2020) compares a new image with the embeddings of each class under that class's own autoencoder. Brought to unit
length and put side by side, the codes are one embedding, and prototypes that are zero outside their class's block make cosine
similarity the same comparison, divided by the square root of the number of classes. So the literal method is an encoder,
prototypes and a head like any other, and exports as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_converters.training import predict

from ..errors import DataError
from .autoencoder import Autoencoder, AutoencoderConfig, train_autoencoder
from .prototypes import PrototypeMethod, Prototypes, class_prototypes, in_blocks

if TYPE_CHECKING:
    from ..data import Prepared

__all__ = ["code_encoder", "code_prototypes", "train_autoencoders"]

Told = Callable[[str, int, int], None]


def train_autoencoders(
    train: Prepared, validation: Prepared, configs: Sequence[AutoencoderConfig], told: Told | None = None
) -> tuple[Autoencoder, ...]:
    """Train one autoencoder on the images of each class.

    Args:
        train: Images to learn from.
        validation: Images that decide when to stop.
        configs: One per class, in the order of the labels.
        told: Told what is being done, and how far.

    Raises:
        DataError: Their number is not that of the classes, or the images do not fit a layout.
    """
    if len(configs) != len(train.labels):
        raise DataError(
            f"There must be one autoencoder for each of {len(train.labels)} classes. Received: {len(configs)} configurations. "
            "Pass as many, equal ones if you like."
        )
    trained = []
    for label, config in enumerate(configs):
        own, held_out = (part.x[part.y == label] for part in (train, validation))
        progress = partial(_tell, told, f"autoencoder of {train.labels[label]}") if told else None
        name = f"class{label}"
        trained.append(
            train_autoencoder(own, config, validation=held_out if len(held_out) else None, name=name, progress=progress)
        )
    return tuple(trained)


def code_encoder(encoders: Sequence[keras.Model]) -> keras.Model:
    """The unit-length codes of several encoders side by side.

    Args:
        encoders: Each `uint8 [batch, H, W, C]` → `float32 [batch, D]`, all of one image size; they are shared, not copied.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, sum of D]`. A code of zeros stays zeros.

    Raises:
        DataError: There are fewer than two, or their inputs differ.
    """
    shapes = {tuple(encoder.inputs[0].shape[1:]) for encoder in encoders}
    if len(encoders) < 2 or len(shapes) != 1:
        raise DataError(
            "Codes side by side need two encoders or more with the same input. "
            f"Received: {len(encoders)} with inputs {sorted(shapes)}. Train one per class on images of one size."
        )
    image = keras.Input(shapes.pop(), dtype="uint8", name="image")
    codes = []
    for place, encoder in enumerate(encoders):
        own = keras.Model(encoder.inputs[0], encoder.outputs[0], name=f"encoder{place}")  # names must differ
        codes.append(keras.layers.UnitNormalization(name=f"unit{place}")(own(image)))
    return keras.Model(image, keras.layers.Concatenate(name="embedding")(codes), name="encoder")


def code_prototypes(
    encoders: Sequence[keras.Model],
    train: Prepared,
    per_class: int = 1,
    seed: int = 0,
    method: PrototypeMethod | None = None,
) -> Prototypes:
    """Prototypes of each class under its own encoder, zero outside its block, for cosine similarity.

    Args:
        encoders: One per class, in the order of the labels.
        train: The images.
        per_class: Prototypes per class.
        seed: Of k-means and k-medoids.
        method: How they are made; where None, the mean for one and k-means for more.

    Returns:
        Vectors as wide as what `code_encoder` gives. Samples of medoids count the class's own images.

    Raises:
        DataError: As `class_prototypes` says.
    """
    parts = []
    for label, encoder in enumerate(encoders):
        images = train.x[train.y == label]
        codes = predict(encoder, images) if len(images) else np.empty((0, encoder.output_shape[-1]), np.float32)
        parts.append(class_prototypes(codes, label, per_class, seed, method=method))
    return in_blocks(parts)


def _tell(told: Told, what: str, done: int, planned: int, figures: dict[str, float]) -> None:
    del figures
    told(what, done, planned)
