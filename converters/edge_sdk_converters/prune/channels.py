"""Which channels of a network can be removed, and which only together.

Every tensor gets one atom per channel of its last axis. Layers with weights make atoms, element-wise layers pass them
on, additions tie them, and what pruning cannot look into freezes them; a set of tied atoms is one removable *unit*. The
same idea under the names "coupled channels" and "dependency graph": Fang et al., "DepGraph" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..graph import Graph
from .config import Unknown
from .rules import PRODUCERS, Walk, rule_for

if TYPE_CHECKING:
    from collections.abc import Collection

    import keras
    from numpy.typing import NDArray

    from ..graph import Call

__all__ = ["Analysis", "Producer", "analyze", "require_known", "stays"]


@dataclass(frozen=True, eq=False)
class Producer:
    """A layer that makes channels.

    Attributes:
        layer: The layer, as it is in the graph.
        units: The unit of each output channel, `int64 [channels]`, -1 for one that has to stay.
    """

    layer: keras.Layer
    units: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What can be removed from a graph.

    Attributes:
        graph: The traced model.
        count: Number of removable units.
        units: By `id` of every tensor, the unit of each channel on its last axis, `int64 [channels]`, -1 for one that
            has to stay.
        producers: Every layer that makes channels, in order of its first call.
        frozen: Names of layers whose channels all have to stay, each with the reason.
        unknown: Names and kinds of layers that no rule speaks for and that keep channels which could go otherwise.
    """

    graph: Graph
    count: int
    units: dict[int, NDArray[np.int64]]
    producers: tuple[Producer, ...]
    frozen: tuple[tuple[str, str], ...]
    unknown: tuple[tuple[str, str], ...] = ()


def require_known(analysis: Analysis, unknown: Unknown) -> None:
    """Check that a rule speaks for every layer, unless those without one are to keep what reaches them.

    Raises:
        ModelError: There is one without.
    """
    if analysis.unknown and unknown is Unknown.REFUSE:
        found = ", ".join(f"'{name}', a {kind}" for name, kind in analysis.unknown[:3])
        raise ModelError(
            f"Pruning must know every kind of layer that channels pass through. Received: {found}. "
            "Write unknown = 'keep' to leave alone what reaches it."
        )


def stays(units: NDArray[np.int64], removed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which channels stay.

    Args:
        units: The unit of each channel, `int64 [channels]`, -1 for one that has to stay.
        removed: Which units go, `bool [count]`.

    Returns:
        `bool [channels]`.
    """
    return ~np.append(removed, False)[units]  # -1 is the last entry


def analyze(graph: Graph, skip: Collection[str] = ()) -> Analysis:
    """Find the removable units of a graph.

    Args:
        graph: What `edge_sdk_converters.graph.trace` returned.
        skip: Names of layers whose output channels all stay.

    Returns:
        The units, and the layers without any.
    """
    walk = Walk()
    made: dict[int, tuple[keras.Layer, NDArray[np.int64]]] = {}
    for tensor in graph.inputs:
        walk.of[id(tensor)] = _frozen(walk, tensor, "it is the model's input")
    unknown: dict[str, str] = {}
    for call in graph.calls:
        if rule_for(call.layer) is None and _is_free(walk, call):
            unknown[call.layer.name] = type(call.layer).__name__
        known = _visit(walk, call)
        if call.layer.name in skip and known:
            walk.atoms.freeze(walk.of[id(call.outputs[0])], "skipped by the recipe")
        if getattr(call.layer, "weights", None) and (type(call.layer) in PRODUCERS or not known):
            made.setdefault(id(call.layer), (call.layer, walk.of[id(call.outputs[0])]))
    for tensor in graph.outputs:
        walk.atoms.freeze(walk.of[id(tensor)], "it produces the model's output")
    return replace(_number(graph, walk, list(made.values())), unknown=tuple(unknown.items()))


def _is_free(walk: Walk, call: Call) -> bool:
    """Whether a channel that reaches a call could go so far."""
    return any(walk.atoms.reason(atom) is None for taken in walk.inputs(call) for atom in taken.tolist())


def _visit(walk: Walk, call: Call) -> bool:
    """Give the outputs of a call their atoms; False where no rule speaks for it."""
    rule = rule_for(call.layer)
    atoms = rule(walk, call) if rule and len(call.outputs) == 1 and call.inputs else None
    if atoms is not None:
        walk.of[id(call.outputs[0])] = atoms
        return True
    kind = type(call.layer).__name__
    for taken in walk.inputs(call):
        walk.atoms.freeze(taken, f"it feeds '{call.layer.name}', and pruning does not look into {kind}")
    for tensor in call.outputs:
        walk.of[id(tensor)] = _frozen(walk, tensor, f"pruning does not look into {kind}")
    return False


def _frozen(walk: Walk, tensor: keras.KerasTensor, reason: str) -> NDArray[np.int64]:
    atoms = walk.atoms.fresh((tensor.shape[-1] or 0) if tensor.shape else 0)
    walk.atoms.freeze(atoms, reason)
    return atoms


def _number(graph: Graph, walk: Walk, made: list[tuple[keras.Layer, NDArray[np.int64]]]) -> Analysis:
    """Number the sets that may go, in the order in which layers make them."""
    numbers: dict[int, int] = {}
    for _, atoms in made:
        for atom in atoms.tolist():
            if walk.atoms.reason(atom) is None:
                numbers.setdefault(walk.atoms.root(atom), len(numbers))

    def units(atoms: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([numbers.get(walk.atoms.root(atom), -1) for atom in atoms.tolist()], np.int64)

    producers = [Producer(layer, units(atoms)) for layer, atoms in made if type(layer) in PRODUCERS]
    frozen = [
        (layer.name, walk.atoms.reason(int(atoms[0])) or "")
        for layer, atoms in made
        if len(atoms) and all(walk.atoms.reason(atom) for atom in atoms.tolist())
    ]
    tensors = {tensor: units(atoms) for tensor, atoms in walk.of.items()}
    return Analysis(graph, len(numbers), tensors, tuple(producers), tuple(frozen))
