"""The flat view of a classifier that every pass works on: leaf layers and their calls, in execution order.

A user's model may hold models within models, layers used twice and plain operations such as `x + y`. `trace` lists what
is called with what, on copies of the layers, so that nothing a pass does reaches the original; `flatten` is the same
as a model; `rebuild` runs the calls again with some layers replaced.

A layer that is made of others may have a method `parts() -> list[keras.Layer]`: built layers that hold the weights in use and
compute the same when they are applied one after the other. Such a layer is seen as its parts.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from .errors import ModelError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Call", "Graph", "flatten", "rebuild", "require_kernels", "require_layers", "trace"]


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer or operation.

    Attributes:
        layer: The leaf layer, or a `keras.Operation` such as the one behind `x + y`.
        args: Positional arguments, with symbolic tensors where tensors go.
        kwargs: Keyword arguments, likewise.
        inputs: Every symbolic tensor among the arguments, in order.
        outputs: Every symbolic tensor that the call returned, in order.
    """

    layer: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A model as its calls in execution order; the layers belong to the graph alone.

    Attributes:
        name: Name of the model.
        inputs: The model's symbolic inputs.
        outputs: The model's symbolic outputs.
        calls: Every call but those of input layers.
    """

    name: str
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    calls: tuple[Call, ...]

    @property
    def layers(self) -> tuple[keras.Layer, ...]:
        """Every layer once, in order of its first call; operations are not layers."""
        unique = {id(call.layer): call.layer for call in self.calls if isinstance(call.layer, keras.Layer)}
        return tuple(unique.values())


def flatten(model: keras.Model) -> keras.Model:
    """Copy a model into a functional one in which nested models are inlined and only leaf layers remain.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched, and nothing is shared with it.

    Returns:
        A model that computes the same, not compiled. Layers keep their names unless two nested models use one name; parts
        of a layer are called `{layer}_{part}`.

    Raises:
        ModelError: The model, or one nested in it, has no functional graph, or a layer has no parts.
    """
    graph = trace(model)
    return _model(graph.inputs, graph.outputs, graph.name)


def trace(model: keras.Model) -> Graph:
    """List the calls of a model, nested models and parts inlined, on copies of its layers that hold the same weights.

    Args:
        model: A functional or sequential Keras model that is built. It stays untouched.

    Returns:
        The calls in execution order.

    Raises:
        ModelError: The model, or one nested in it, has no functional graph, or a layer has no parts.
    """
    tracer = _Tracer()
    recording = tracer.record(model)
    inputs = _fresh_inputs(recording.inputs)
    tracer.names.update(tensor.name for tensor in inputs)
    outputs = tracer.replay(recording, inputs, model.name, training=None)
    return Graph(model.name, inputs, outputs, tuple(tracer.calls))


def rebuild(graph: Graph, replace: Callable[[keras.Operation], Sequence[keras.Layer] | None]) -> keras.Model:
    """Run the calls of a graph again on fresh inputs, with some layers replaced.

    Args:
        graph: What `trace` returned. Its layers stay untouched.
        replace: Asked once per layer or operation. `None` keeps it as a copy with the same weights; a list of layers
            takes its place, applied one after the other. The first receives every argument of the call. Of an empty
            list nothing takes its place: its first argument goes on. A layer that is used twice is replaced once, and
            its replacement is used twice.

    Returns:
        The new model, built but not compiled; shapes, dtypes and names of the inputs are those of the graph.
    """
    inputs = _fresh_inputs(graph.inputs)
    tensors = dict(zip(map(id, graph.inputs), inputs, strict=True))
    successors: dict[int, Sequence[keras.Operation]] = {}
    kept: set[int] = set()  # layers whose copy has no weights yet
    for call in graph.calls:
        if id(call.layer) not in successors:
            replacement = replace(call.layer)
            kept |= {id(call.layer)} if replacement is None else set()
            successors[id(call.layer)] = [_copy(call.layer)] if replacement is None else replacement
        args, kwargs = _translate((call.args, call.kwargs), tensors)
        first, *others = successors[id(call.layer)] or [_pass_on]
        result = first(*args, **kwargs)
        for layer in others:
            result = layer(result)
        tensors.update(zip(map(id, call.outputs), _tensors(result), strict=True))
        if id(call.layer) in kept:
            _copy_weights(call.layer, first)
            kept.remove(id(call.layer))
    return _model(inputs, [tensors[id(tensor)] for tensor in graph.outputs], graph.name)


def require_layers(graph: Graph, names: Sequence[str]) -> None:
    """Refuse names that no layer has: a misspelled name in a recipe would silently do nothing.

    Args:
        graph: What `trace` returned.
        names: Names of layers.

    Raises:
        RecipeError: Gives the first name that does not exist.
    """
    known = {layer.name for layer in graph.layers}
    for name in names:
        if name not in known:
            raise RecipeError(f"skip must name layers of the model. Received: '{name}'. Choose from model.summary().")


def require_kernels(found: Sequence[object], what: str, model: keras.Model) -> None:
    """Refuse a model that leaves a pass nothing to do.

    Args:
        found: Kernels, or what holds them, that the pass would change.
        what: What the pass does, as the beginning of a sentence.
        model: The model that it was to change.

    Raises:
        ModelError: There are none.
    """
    if not found:
        raise ModelError(
            f"{what} needs a dense layer or convolution that is not skipped. Received: '{model.name}' without one. "
            "Leave it out of the recipe for this model."
        )


@dataclass(frozen=True, eq=False)
class _Recording:
    """The calls of one model, nested models still whole, on the user's own layers."""

    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    calls: tuple[Call, ...]


class _Probe(keras.Operation):
    """Stands in for an operation while a model is recorded, so that the original takes part in no new graph."""

    def __init__(self, operation: keras.Operation) -> None:
        super().__init__()
        self.operation = operation

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self.operation.compute_output_spec(*args, **kwargs)


@dataclass(frozen=True)
class _Place:
    """Where a layer stands: what it is to be called, the nested model it comes from, and that model's mode."""

    name: str
    scope: str
    training: bool | None


class _Tracer:
    """Inlines nested models and the parts of layers; one copy per layer, however often it is called."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.names: set[str] = set()
        self._copies: dict[int, keras.Operation] = {}
        self._recordings: dict[int, _Recording] = {}
        self._parts: dict[int, list[keras.Layer]] = {}  # kept alive: they are known by their id

    def record(self, model: keras.Model) -> _Recording:
        """List the calls of a model without calling its layers."""
        if id(model) not in self._recordings:
            self._recordings[id(model)] = _record(model)
        return self._recordings[id(model)]

    def replay(
        self, recording: _Recording, inputs: Sequence[keras.KerasTensor], scope: str, training: bool | None
    ) -> tuple[keras.KerasTensor, ...]:
        """Run recorded calls on other tensors, with copies of the layers."""
        tensors = dict(zip(map(id, recording.inputs), inputs, strict=True))
        for call in recording.calls:
            args, kwargs = _translate((call.args, call.kwargs), tensors)
            outputs = self._run(call.layer, args, kwargs, _Place(call.layer.name, scope, training))
            tensors.update(zip(map(id, call.outputs), outputs, strict=True))
        return tuple(tensors[id(tensor)] for tensor in recording.outputs)

    def _run(
        self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any], place: _Place
    ) -> tuple[keras.KerasTensor, ...]:
        if isinstance(layer, keras.Model):
            inner = kwargs.get("training", args[1] if len(args) > 1 else None)
            training = place.training if inner is None else inner
            return self.replay(self.record(layer), _tensors(args[0]), place.name, training)
        if callable(getattr(layer, "parts", None)):
            return self._run_parts(layer, args, kwargs, place)
        if place.training is not None and "training" not in kwargs and _takes_training(layer):
            kwargs = {**kwargs, "training": place.training}
        return self._call(layer, args, kwargs, place)

    def _run_parts(
        self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any], place: _Place
    ) -> tuple[keras.KerasTensor, ...]:
        """One part after the other; the first receives every argument but `training`, which concerns them all."""
        others = {name: value for name, value in kwargs.items() if name != "training"}
        inner = kwargs.get("training")
        training = place.training if inner is None else inner
        for part in self._parts_of(layer):
            args = self._run(part, args, others, _Place(f"{place.name}_{part.name}", place.scope, training))
            others = {}
        return args

    def _parts_of(self, layer: keras.Layer) -> list[keras.Layer]:
        parts = self._parts.get(id(layer)) or list(layer.parts())
        if not parts:
            raise ModelError(
                f"parts() must give at least one layer. Received: none from {type(layer).__name__} '{layer.name}'. "
                "Give it the layers it is made of, or no such method."
            )
        self._parts[id(layer)] = parts
        return parts

    def _call(
        self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any], place: _Place
    ) -> tuple[keras.KerasTensor, ...]:
        known = self._copies.get(id(layer))
        copy = _copy(layer, self._unique(place.name, place.scope)) if known is None else known
        result = _tensors(copy(*args, **kwargs))
        if known is None:
            self._copies[id(layer)] = copy
            _copy_weights(layer, copy)
        self.calls.append(Call(copy, args, kwargs, _tensors((args, kwargs)), result))
        return result

    def _unique(self, name: str, scope: str) -> str:
        candidates = [name, f"{scope}_{name}"]
        while candidates[0] in self.names:
            candidates = [*candidates[1:], f"{scope}_{name}_{len(self.names)}"]
        self.names.add(candidates[0])
        return candidates[0]


def _record(model: keras.Model) -> _Recording:
    graph = _functional(model)
    calls: list[Call] = []

    def note(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        result = _Probe(operation)(*args, **kwargs)
        calls.append(Call(operation, args, kwargs, _tensors((args, kwargs)), _tensors(result)))
        return result

    copy = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=note)
    return _Recording(tuple(copy.inputs), tuple(copy.outputs), tuple(calls))


def _functional(model: keras.Model) -> keras.Model:
    """A plain functional model over the same tensors: no compiled state, no sequential shell."""
    sequential = isinstance(model, keras.Sequential)
    if not (model.built if sequential else hasattr(model, "operations")):
        fix = "Call it once, or begin with keras.Input" if sequential else "Build it with keras.Model(inputs, outputs)"
        raise ModelError(
            f"A model must have a functional graph. Received: {type(model).__name__} '{model.name}' without one. {fix}."
        )
    graph = keras.Model(list(model.inputs), list(model.outputs))
    if not sequential and type(model).call is not type(graph).call:
        raise ModelError(
            "A functional model must not have a call method of its own. "
            f"Received: {type(model).__name__} '{model.name}'. Express it with layers and keras.Model(inputs, outputs)."
        )
    return graph


def _takes_training(layer: keras.Operation) -> bool:
    return "training" in inspect.signature(layer.call).parameters


def _tensors(structure: Any) -> tuple[keras.KerasTensor, ...]:
    """Every symbolic tensor in nested tuples, lists and dictionaries."""
    return tuple(leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor))


def _translate(structure: Any, tensors: dict[int, keras.KerasTensor]) -> Any:
    """The same structure with known symbolic tensors exchanged."""
    return keras.tree.map_structure(lambda leaf: tensors.get(id(leaf), leaf), structure)


def _fresh_inputs(tensors: Sequence[keras.KerasTensor]) -> tuple[keras.KerasTensor, ...]:
    return tuple(keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name) for tensor in tensors)


def _model(inputs: Sequence[keras.KerasTensor], outputs: Sequence[keras.KerasTensor], name: str) -> keras.Model:
    """One tensor is passed as itself, so that `model(x)` takes and returns one tensor."""
    first, last = (side[0] if len(side) == 1 else list(side) for side in (inputs, outputs))
    return keras.Model(first, last, name=name)


def _pass_on(value: Any, *_: Any, **__: Any) -> Any:
    return value


def _copy(layer: keras.Operation, name: str | None = None) -> keras.Operation:
    """The same layer or operation without its weights."""
    try:
        return type(layer).from_config({**layer.get_config(), "name": name or layer.name})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"A layer must be rebuildable from its get_config(). Received: {type(layer).__name__} '{layer.name}', where "
            f"that fails with {type(error).__name__}. Give it a get_config(), or use a layer or operation of Keras."
        ) from error


def _copy_weights(source: keras.Operation, target: keras.Operation) -> None:
    if isinstance(source, keras.Layer) and source.weights:
        target.set_weights(source.get_weights())
    if isinstance(source, keras.layers.Normalization):
        target.finalize_state()
