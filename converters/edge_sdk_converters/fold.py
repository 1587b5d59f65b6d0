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

from .graph import rebuild, trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Call, Graph

__all__ = ["Folded", "fold_batch_norms"]

_CHANNELS_LAST = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_LINEAR = (keras.layers.Dense, *_CHANNELS_LAST, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE)
_NOTHING = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise, keras.layers.Identity)
"""What does nothing to a value at inference."""


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
    that a dense layer follows scales that layer's inputs. Dropout in between does nothing at inference. What computes is the
    same up to rounding; what *trains* is not, since statistics of batches play no part any more.

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
    links = _Links(graph)
    kept = tuple((norm.name, _reason(links, norm)) for norm in _norms(graph))
    return Folded(rebuild(graph, lambda _: None), tuple(folded), kept)


@dataclass(frozen=True, eq=False)
class _Step:
    """A batch normalisation and the layer that takes it up, behind it or before it."""

    norm: keras.layers.BatchNormalization
    layer: keras.Layer
    behind: bool
    """Whether the layer comes behind the normalisation."""


class _Links:
    """Which calls make and read a tensor, seen through layers that do nothing at inference."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._outputs = {id(tensor) for tensor in graph.outputs}
        self._maker = {id(tensor): call for call in graph.calls for tensor in call.outputs}
        self._readers: dict[int, list[Call]] = {}
        for call in graph.calls:
            for tensor in call.inputs:
                self._readers.setdefault(id(tensor), []).append(call)

    def calls(self, layer: keras.Layer) -> list[Call]:
        return [call for call in self.graph.calls if call.layer is layer]

    def makers(self, layer: keras.Layer) -> set[keras.Operation | None]:
        """The layers whose outputs a layer reads; None among them for an input of the model."""
        return {self._made_by(tensor) for call in self.calls(layer) for tensor in call.inputs}

    def readers(self, layer: keras.Layer) -> set[keras.Operation | None]:
        """The layers that read a layer's outputs; None among them where the model gives one out."""
        return {reader for call in self.calls(layer) for tensor in call.outputs for reader in self._read_by(tensor)}

    def _made_by(self, tensor: keras.KerasTensor) -> keras.Operation | None:
        call = self._maker.get(id(tensor))
        if call is not None and isinstance(call.layer, _NOTHING):
            return self._made_by(call.inputs[0])
        return None if call is None else call.layer

    def _read_by(self, tensor: keras.KerasTensor) -> set[keras.Operation | None]:
        found: set[keras.Operation | None] = {None} if id(tensor) in self._outputs else set()
        for call in self._readers.get(id(tensor), []):
            found |= self._read_by(call.outputs[0]) if isinstance(call.layer, _NOTHING) else {call.layer}
        return found


def _foldable(graph: Graph) -> list[_Step]:
    """What can be folded at once: every layer takes up one normalisation at a time."""
    links = _Links(graph)
    steps: dict[int, _Step] = {}
    for norm in _norms(graph):
        step = _step(links, norm)
        if step is not None:
            steps.setdefault(id(step.layer), step)
    return list(steps.values())


def _norms(graph: Graph) -> Iterable[keras.layers.BatchNormalization]:
    return (layer for layer in graph.layers if isinstance(layer, keras.layers.BatchNormalization))


def _step(links: _Links, norm: keras.layers.BatchNormalization) -> _Step | None:
    if _unusual(links, norm):
        return None
    before, behind = links.makers(norm), links.readers(norm)
    maker, reader = _only(before), _only(behind)
    if _is_linear(maker) and links.readers(maker) == {norm} and maker.activation is keras.activations.linear:
        return _Step(norm, maker, behind=False)
    if isinstance(reader, keras.layers.Dense) and links.makers(reader) == {norm}:
        return _Step(norm, reader, behind=True)
    return None


def _only(layers: set[keras.Operation | None]) -> Any:
    return next(iter(layers)) if len(layers) == 1 else None


def _is_linear(layer: Any) -> bool:
    return isinstance(layer, _LINEAR) and getattr(layer, "data_format", "channels_last") == "channels_last"


def _unusual(links: _Links, norm: keras.layers.BatchNormalization) -> bool:
    """Whether the normalisation runs along another axis than the last, or on the statistics of each batch."""
    calls = links.calls(norm)
    rank = len(calls[0].inputs[0].shape)
    return norm.axis not in (-1, rank - 1) or any(call.kwargs.get("training") for call in calls)


def _reason(links: _Links, norm: keras.layers.BatchNormalization) -> str:
    if _unusual(links, norm):
        return "it runs along another axis than the channels, or on each batch's own statistics"
    maker = _only(links.makers(norm))
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
