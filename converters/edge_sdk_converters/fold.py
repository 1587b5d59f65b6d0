"""Batch normalisations folded into the kernels beside them, before a pass gives those kernels values that have to last.

The TFLite converter folds them too, but after every pass has run: it scales each channel of a kernel by a factor of its own,
and weights that shared a value no longer do. A network that is folded first has nothing left that the converter could scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .errors import ModelError
from .graph import rebuild, trace
from .links import Links
from .source import is_opaque, leaves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Graph
    from .links import Kinds

__all__ = ["Folded", "fold_batch_norms", "fold_pooled_norms"]

_CHANNELS_LAST = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_LINEAR = (keras.layers.Dense, *_CHANNELS_LAST, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE)
_NOTHING = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise, keras.layers.Identity)
"""What does nothing to a value at inference."""
_AVERAGES = (
    *(keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D),
    *(keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D),
)
_MAXIMA = (
    *(keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D),
    *(keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D, keras.layers.GlobalMaxPooling3D),
)


@dataclass(frozen=True)
class Folded:
    """What folding did.

    Attributes:
        model: The network without the batch normalisations that were folded, built but not compiled.
        folded: Names of those that are gone.
        kept: Names of the others, each with the reason.
    """

    model: keras.Model
    folded: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


def fold_batch_norms(model: keras.Model) -> Folded:
    """Take batch normalisations out of a network by changing the weights of the layers beside them.

    One that follows a dense layer or a convolution of any kind without an activation scales that layer's output channels; one
    that a dense layer follows scales that layer's inputs. Dropout in between does nothing at inference. Pooling in between is no
    obstacle: an average scaled is the average of what is scaled, and so is a maximum where no scale is negative. What computes is
    the same up to rounding; what *trains* is not, since statistics of batches play no part any more.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
    (arXiv 1712.05877), section 3.2.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched.

    Returns:
        The network, flat, and what became of its batch normalisations.

    Raises:
        ModelError: The model has no functional graph.
    """
    folded: list[str] = []
    graph = trace(model)
    while steps := _foldable(graph):
        folded += [step.norm.name for step in steps]
        graph = trace(_fold(graph, steps))
    links = Links(graph)
    kept = tuple((norm.name, _reason(links, norm)) for norm in _norms(graph))
    return Folded(rebuild(graph, lambda _: None), tuple(folded), kept)


def fold_pooled_norms(model: keras.Model) -> keras.Model:
    """Fold the batch normalisations that pooling parts from the layer beside them, as `fold_batch_norms` does, and no others.

    The TFLite converter folds the others. Of these it would leave a multiplication and an addition.

    Args:
        model: Any model. It stays untouched.

    Returns:
        The network, flat; the model itself where there is nothing to fold, or no graph to be looked at.
    """
    if is_opaque(model) or not any(isinstance(layer, keras.layers.BatchNormalization) for layer in leaves(model)):
        return model
    try:
        graph = trace(model)
    except ModelError:
        return model  # subclassed: the converter sees what it computes, and nobody what it is made of
    found = model
    while steps := [step for step in _foldable(graph) if step.pooled]:
        found = _fold(graph, steps)
        graph = trace(found)
    return found


@dataclass(frozen=True, eq=False)
class _Step:
    """A batch normalisation and the layer that takes it up, behind it or before it."""

    norm: keras.layers.BatchNormalization
    layer: keras.Layer
    behind: bool
    """Whether the layer comes behind the normalisation."""
    pooled: bool
    """Whether there is pooling between them."""


def _foldable(graph: Graph) -> list[_Step]:
    """What can be folded at once: every layer takes up one normalisation at a time."""
    links = Links(graph)
    steps: dict[int, _Step] = {}
    for norm in _norms(graph):
        step = _step(links, norm)
        if step is not None:
            steps.setdefault(id(step.layer), step)
    return list(steps.values())


def _norms(graph: Graph) -> Iterable[keras.layers.BatchNormalization]:
    return (layer for layer in graph.layers if isinstance(layer, keras.layers.BatchNormalization))


def _step(links: Links, norm: keras.layers.BatchNormalization) -> _Step | None:
    if _unusual(links, norm):
        return None
    return _beside(links, norm, _NOTHING) or _beside(links, norm, _NOTHING + _pools(norm))


def _beside(links: Links, norm: keras.layers.BatchNormalization, through: Kinds) -> _Step | None:
    """The layer that can take a normalisation up, seen through layers of some kinds."""
    maker, reader = _only(links.makers(norm, through)), _only(links.readers(norm, through))
    pooled = through != _NOTHING
    if _is_linear(maker) and links.readers(maker, through) == {norm} and maker.activation is keras.activations.linear:
        return _Step(norm, maker, behind=False, pooled=pooled)
    if isinstance(reader, keras.layers.Dense) and links.makers(reader, through) == {norm}:
        return _Step(norm, reader, behind=True, pooled=pooled)
    return None


def _pools(norm: keras.layers.BatchNormalization) -> Kinds:
    """Pooling that gives the same before a normalisation as behind it."""
    return _AVERAGES if _has_negative(norm) else _AVERAGES + _MAXIMA


def _has_negative(norm: keras.layers.BatchNormalization) -> bool:
    """Whether it turns what was largest into what is smallest, in one channel at least."""
    return bool((_affine(norm)[0] < 0).any())


def _only(layers: set[keras.Operation | None]) -> Any:
    return next(iter(layers)) if len(layers) == 1 else None


def _is_linear(layer: Any) -> bool:
    return isinstance(layer, _LINEAR) and getattr(layer, "data_format", "channels_last") == "channels_last"


def _unusual(links: Links, norm: keras.layers.BatchNormalization) -> bool:
    """Whether the normalisation runs along another axis than the last, or on the statistics of each batch."""
    calls = links.calls(norm)
    rank = len(calls[0].inputs[0].shape)
    return norm.axis not in (-1, rank - 1) or any(call.kwargs.get("training") for call in calls)


def _reason(links: Links, norm: keras.layers.BatchNormalization) -> str:
    if _unusual(links, norm):
        return "it runs along another axis than the channels, or on each batch's own statistics"
    maker = _only(links.makers(norm, _NOTHING))
    if isinstance(maker, _MAXIMA) and _has_negative(norm):
        return f"a scale is negative, and {maker.name} finds maxima"
    if not _is_linear(maker):
        return "no dense layer or convolution makes its input"
    if maker.activation is not keras.activations.linear:
        return f"{maker.name} has an activation of its own"
    return f"{maker.name} is used elsewhere too"


def _fold(graph: Graph, steps: Sequence[_Step]) -> keras.Model:
    """The network without some normalisations."""
    gone = {id(step.norm) for step in steps}
    changed = {id(step.layer) for step in steps}

    def replace(layer: keras.Operation) -> Sequence[keras.Layer] | None:
        if id(layer) in gone:
            return []
        return [_biased(layer)] if id(layer) in changed else None

    model = rebuild(graph, replace)
    for step in steps:
        change = _scaled_inputs if step.behind else _scaled_outputs
        model.get_layer(step.layer.name).set_weights(change(step.layer, *_affine(step.norm)))
    return model


def _biased(layer: keras.Operation) -> keras.Layer:
    """The same layer with a bias, and without weights yet."""
    return type(layer).from_config({**layer.get_config(), "use_bias": True})


def _affine(norm: keras.layers.BatchNormalization) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A normalisation at inference as scale · x + offset, each `float64 [channels]`."""
    mean, variance = (np.asarray(each.numpy(), np.float64) for each in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    scale = scale * np.asarray(norm.gamma.numpy(), np.float64) if norm.scale else scale
    offset = np.asarray(norm.beta.numpy(), np.float64) if norm.center else np.zeros_like(mean)
    return scale, offset - mean * scale


def _scaled_outputs(
    layer: keras.Layer, scale: NDArray[np.float64], offset: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """Weights of a layer that makes what is normalised: output channels of its last kernel, and its bias."""
    *others, kernel, bias = _with_bias(layer, len(scale))
    if isinstance(layer, _TRANSPOSED):
        scaled = kernel * scale[:, None]
    elif isinstance(layer, _DEPTHWISE):
        scaled = kernel * scale.reshape(kernel.shape[-2:])
    else:
        scaled = kernel * scale
    return [each.astype(np.float32) for each in (*others, scaled, bias * scale + offset)]


def _scaled_inputs(
    layer: keras.layers.Dense, scale: NDArray[np.float64], offset: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """Weights of a dense layer that reads what is normalised."""
    kernel, bias = _with_bias(layer, layer.units)
    return [(kernel * scale[:, None]).astype(np.float32), (bias + offset @ kernel).astype(np.float32)]


def _with_bias(layer: keras.Layer, channels: int) -> list[NDArray[np.float64]]:
    values = [np.asarray(value, np.float64) for value in layer.get_weights()]
    return values if layer.use_bias else [*values, np.zeros(channels)]
