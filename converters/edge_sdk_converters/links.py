"""Which layers a layer of a graph reads from, and which read from it, seen through layers that do not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from .graph import Call, Graph

__all__ = ["Kinds", "Links"]

Kinds = tuple[type[keras.Layer], ...]
"""Of layers that are seen through; those that move channels to another axis than the last never are."""


class Links:
    """Which layers make and read what the layers of a graph read and make.

    Args:
        graph: What `trace` returned.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._outputs = {id(tensor) for tensor in graph.outputs}
        self._maker = {id(tensor): call for call in graph.calls for tensor in call.outputs}
        self._readers: dict[int, list[Call]] = {}
        for call in graph.calls:
            for tensor in call.inputs:
                self._readers.setdefault(id(tensor), []).append(call)

    def calls(self, layer: keras.Layer) -> list[Call]:
        """Every use of a layer, in execution order."""
        return [call for call in self.graph.calls if call.layer is layer]

    def makers(self, layer: keras.Layer, through: Kinds) -> set[keras.Operation | None]:
        """The layers whose outputs a layer reads; None among them for an input of the model."""
        return {self._made_by(tensor, through) for call in self.calls(layer) for tensor in call.inputs}

    def readers(self, layer: keras.Layer, through: Kinds) -> set[keras.Operation | None]:
        """The layers that read a layer's outputs; None among them where the model gives one out."""
        tensors = (tensor for call in self.calls(layer) for tensor in call.outputs)
        return {reader for tensor in tensors for reader in self._read_by(tensor, through)}

    def _made_by(self, tensor: keras.KerasTensor, through: Kinds) -> keras.Operation | None:
        call = self._maker.get(id(tensor))
        if call is not None and _is_any(call.layer, through):
            return self._made_by(call.inputs[0], through)
        return None if call is None else call.layer

    def _read_by(self, tensor: keras.KerasTensor, through: Kinds) -> set[keras.Operation | None]:
        found: set[keras.Operation | None] = {None} if id(tensor) in self._outputs else set()
        for call in self._readers.get(id(tensor), []):
            found |= self._read_by(call.outputs[0], through) if _is_any(call.layer, through) else {call.layer}
        return found


def _is_any(layer: keras.Operation, kinds: Kinds) -> bool:
    return isinstance(layer, kinds) and getattr(layer, "data_format", "channels_last") == "channels_last"
