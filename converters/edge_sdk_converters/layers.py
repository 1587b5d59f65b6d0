"""Keras layers of this SDK that a saved model may hold."""

from __future__ import annotations

import math
from typing import Any

import keras

from edge_sdk_runtime.similarity import EPSILON, Similarity

from .errors import ModelError

__all__ = ["FlattenedImage", "PrototypeSimilarity"]


@keras.saving.register_keras_serializable(package="edge_sdk")
class PrototypeSimilarity(keras.layers.Layer):
    """Similarities of an embedding to every prototype, as `edge_sdk_runtime.similarity` computes them on the device.

    The prototypes are weights, so that fine-tuning moves them together with the encoder and the head.

    Args:
        prototype_labels: Class index of each of the P prototypes.
        measure: `"cosine"`, `"dot"`, `"euclidean"` or `"correlation"`.
        **kwargs: What every Keras layer takes.

    Input: `float32 [batch, D]`. Output: `float32 [batch, P]`.
    """

    def __init__(self, prototype_labels: list[int], measure: str = "cosine", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prototype_labels = [int(label) for label in prototype_labels]
        self.measure = Similarity(measure)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the `[P, D]` table."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ModelError(
                f"Embeddings must be [batch, D] with a fixed D. Received: {list(input_shape)}. End the encoder with a Dense layer."
            )
        self.prototypes = self.add_weight(
            name="prototypes", shape=(len(self.prototype_labels), input_shape[-1]), initializer="glorot_uniform"
        )

    def call(self, inputs: Any) -> Any:
        """Compare every embedding of a batch with every prototype."""
        ops = keras.ops
        if self.measure is Similarity.DOT:
            return ops.matmul(inputs, ops.transpose(self.prototypes))
        if self.measure is Similarity.COSINE:
            return ops.matmul(_normalized(inputs), ops.transpose(_normalized(self.prototypes)))
        if self.measure is Similarity.CORRELATION:
            return ops.matmul(_normalized(_centred(inputs)), ops.transpose(_normalized(_centred(self.prototypes))))
        # Not |e|² - 2 e·p + |p|²: that cancels where an embedding is close to its prototype, which is where it matters.
        differences = ops.expand_dims(inputs, 1) - ops.expand_dims(self.prototypes, 0)
        # The gradient of a square root at zero is infinite; EPSILON keeps an embedding that meets its prototype learnable.
        return 1.0 / (1.0 + ops.sqrt(ops.maximum(ops.sum(ops.square(differences), axis=-1), EPSILON)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """`(batch, P)`."""
        return (input_shape[0], len(self.prototype_labels))

    def macs(self, input_shape: tuple[int | None, ...], output_shape: tuple[int | None, ...]) -> int:
        """Multiply-accumulates for one embedding: P · D."""
        return int(output_shape[-1] or 0) * int(input_shape[-1] or 0)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "prototype_labels": self.prototype_labels, "measure": self.measure.value}


@keras.saving.register_keras_serializable(package="edge_sdk")
class FlattenedImage(keras.layers.Layer):
    """An image as its own embedding: rows one after the other, every value divided by 255.

    This is the input of the similarity in Choudhury et al., "Imageem" (2020), section 3.4. A classifier with nothing else before
    its `PrototypeSimilarity` becomes a staged bundle without an encoder: the device needs no model for it.

    Input: `uint8 [batch, H, W, C]`. Output: `float32 [batch, H · W · C]`, in the order H, W, C.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Refuse what is no batch of images of one size."""
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ModelError(
                f"Images must be [batch, H, W, C] with fixed sides. Received: {list(input_shape)}. "
                "Begin the model with keras.Input((height, width, channels), dtype='uint8')."
            )

    def call(self, inputs: Any) -> Any:
        """Flatten and scale a batch."""
        ops = keras.ops
        return ops.reshape(ops.cast(inputs, "float32") * (1 / 255), (-1, math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """`(batch, H · W · C)`."""
        return (input_shape[0], math.prod(side or 0 for side in input_shape[1:]))


def _normalized(vectors: Any) -> Any:
    return vectors * keras.ops.rsqrt(
        keras.ops.maximum(keras.ops.sum(keras.ops.square(vectors), axis=-1, keepdims=True), EPSILON)
    )


def _centred(vectors: Any) -> Any:
    """Rows with their means taken away; zeros in the place of what rounding leaves of a constant row."""
    ops = keras.ops
    centred = vectors - ops.mean(vectors, axis=-1, keepdims=True)
    centred = centred - ops.mean(centred, axis=-1, keepdims=True)  # the mean of many float32 numbers is rounded itself
    left, whole = (ops.sum(ops.square(each), axis=-1, keepdims=True) for each in (centred, vectors))
    return centred * ops.cast(left > EPSILON * whole, centred.dtype)
