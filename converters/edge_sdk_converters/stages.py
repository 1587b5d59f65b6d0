"""A classifier with a `PrototypeSimilarity` layer, taken apart into encoder, prototypes and head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from edge_sdk_runtime import MlpHead, Similarity

from .errors import ModelError
from .graph import trace
from .layers import FlattenedImage, PrototypeSimilarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Stages", "has_stages", "layers_after_encoder", "numpy_head", "split_stages"]


@dataclass(frozen=True)
class Stages:
    """The parts of a staged classifier.

    Attributes:
        encoder: Image → embedding `[batch, D]`.
        prototypes: `float32 [P, D]`.
        prototype_labels: Class index of each prototype.
        similarity: How embeddings and prototypes are compared.
        head: Features `[batch, P]` → probabilities `[batch, classes]`, as a model.
        numpy_head: The same head in NumPy, or None where its layers are not a plain MLP.
    """

    encoder: keras.Model
    prototypes: NDArray[np.float32]
    prototype_labels: tuple[int, ...]
    similarity: Similarity
    head: keras.Model
    numpy_head: MlpHead | None

    @property
    def flattened(self) -> bool:
        """Whether the embedding is the image itself, by `FlattenedImage` alone, so that a device needs no encoder."""
        layers = [layer for layer in self.encoder.layers if not isinstance(layer, keras.layers.InputLayer)]
        return len(layers) == 1 and isinstance(layers[0], FlattenedImage)


def has_stages(model: keras.Model) -> bool:
    """Whether the model compares embeddings with prototypes, so that it can be taken apart."""
    return any(isinstance(layer, PrototypeSimilarity) for layer in model.layers)


def layers_after_encoder(model: keras.Model) -> tuple[str, ...]:
    """Names of the layers that stay in float32 whatever the encoder is quantized to; none where the model has no stages.

    Cosines of near classes differ by a few of int8's steps, and the head magnifies those differences; all of it together
    costs less than one convolution. So the fused form computes it in float32, as the staged form does.
    """
    if not has_stages(model):
        return ()
    encoder = {layer.name for layer in split_stages(model).encoder.layers}
    return tuple(layer.name for layer in model.layers if layer.name not in encoder)


def split_stages(model: keras.Model) -> Stages:
    """Take a classifier apart at its `PrototypeSimilarity` layer; the weights are copied.

    Args:
        model: A flat model with exactly one such layer.

    Raises:
        ModelError: It has none or several.
    """
    graph = trace(model)
    cuts = [call for call in graph.calls if isinstance(call.layer, PrototypeSimilarity)]
    if len(cuts) != 1:
        raise ModelError(
            f"A staged classifier must compare embeddings with prototypes once. Received: {len(cuts)} PrototypeSimilarity layers "
            f"in '{model.name}'. Use the fused form."
        )
    layer = cuts[0].layer
    encoder = keras.Model(graph.inputs[0], cuts[0].inputs[0], name="encoder")
    try:
        head = keras.Model(cuts[0].outputs[0], graph.outputs[0], name="head")
    except ValueError as error:  # Keras finds that what lies between is no network, or needs more than the features
        raise ModelError(
            "A staged classifier's scores must be computed from the similarity features and nothing else. "
            f"Received: '{model.name}', whose head is missing or reads the encoder too. Use the fused form."
        ) from error
    return Stages(
        encoder,
        np.asarray(layer.get_weights()[0], np.float32),
        tuple(layer.prototype_labels),
        layer.measure,
        head,
        numpy_head(head),
    )


def numpy_head(head: keras.Model) -> MlpHead | None:
    """A head as an MLP in NumPy, its weights copied; dropout does nothing here.

    Args:
        head: Features `[batch, P]` → probabilities `[batch, classes]`.

    Returns:
        None where it is anything but Dense layers with biases, ReLU between them and softmax at the end.
    """
    calls = [call for call in trace(head).calls if not isinstance(call.layer, keras.layers.Dropout)]
    if not calls:
        return None
    activations = [*["relu"] * (len(calls) - 1), "softmax"]
    for call, activation in zip(calls, activations, strict=True):
        dense = call.layer
        if (
            not isinstance(dense, keras.layers.Dense)
            or not dense.use_bias
            or keras.activations.serialize(dense.activation) != activation
        ):
            return None
    kernels, biases = zip(*(call.layer.get_weights() for call in calls), strict=True)
    return MlpHead(tuple(map(np.ascontiguousarray, kernels)), tuple(map(np.ascontiguousarray, biases)))
