"""What layers and models cost in time, measured on the interpreter at hand instead of counted.

Multiply-accumulates do not say how fast a layer is: a 1×1 and a 3×3 convolution with as many of them differ by a factor,
and two thin layers in the place of one pay for their memory traffic twice. So passes that promise latency ask a meter.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edge_sdk_runtime.errors import UsageError
from edge_sdk_runtime.interpreters import choose_interpreter

from .cost import layer_macs
from .graph import trace
from .tflite import export_tflite

if TYPE_CHECKING:
    from edge_sdk_runtime.interpreters import Interpreter, InterpreterPlug

    from .graph import Call, Graph

__all__ = ["LatencyMeter"]

_MIN_RUNS = 5
"""Fewer have no median worth the name; what a burst of a slow model has at least."""

_FOLLOWERS = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)
"""Layers that the converter folds into the layer before them, or that cost most of their time as a memory pass after it."""


class LatencyMeter:
    """Times layers and models as float32 .tflite files, one image at a time.

    A figure is the least of several bursts' medians: the median because single runs are interrupted, the least because
    what else a machine does only ever adds time. Warm-up is never in it. Bursts of models that are compared take turns.

    Args:
        interpreter: The runtime's plug or its name; None chooses as a device does (environment variable, then the first
            that is installed).
        threads: Threads the interpreter may use, 1 or more.
        bursts: Bursts per figure, 1 or more.
        burst_seconds: How long a burst lasts; it has 5 runs at least.
        warm_up: Runs before the first burst, 1 or more: the first ones pack weights and fill caches.
        timer: Gives nanoseconds; tests put their own in.
        export: Makes a .tflite file of a model; likewise.

    Raises:
        UsageError: A number is outside what it may be.
        InterpreterUnavailableError: The interpreter is unknown, or none is installed.
    """

    def __init__(
        self,
        interpreter: str | InterpreterPlug | None = None,
        *,
        threads: int = 1,
        bursts: int = 5,
        burst_seconds: float = 0.04,
        warm_up: int = 5,
        timer: Callable[[], int] = time.perf_counter_ns,
        export: Callable[[keras.Model], bytes] = export_tflite,
    ) -> None:
        if min(threads, bursts, warm_up) < 1 or not burst_seconds >= 0:
            raise UsageError(
                "threads, bursts and warm_up must be at least 1, burst_seconds at least 0. "
                f"Received: {threads}, {bursts}, {warm_up}, {burst_seconds}. Leave them out for the defaults."
            )
        self.plug = choose_interpreter(interpreter)
        self.threads = threads
        self._bursts, self._burst_ns, self._warm_up = bursts, round(burst_seconds * 1e9), warm_up
        self._timer, self._export = timer, export
        self._known: dict[str, float] = {}

    def chain_ns(self, layers: Sequence[keras.Layer], input_shape: Sequence[int]) -> float:
        """Time of one image through layers that are applied one after the other.

        The layers are copied, so their own graph stays as it is. What their weights hold has no influence on the time of
        dense arithmetic, and none on the result's being found again: the same settings and shape are measured once.

        Args:
            layers: Built layers with one input and one output each.
            input_shape: Shape of the first layer's input without the batch axis. The input is `float32 [1, *input_shape]`.

        Returns:
            Nanoseconds (median); 0 for no layers.

        Raises:
            ExportError: The converter refuses the layers.
        """
        if not layers:
            return 0.0
        shape = tuple(int(size) for size in input_shape)
        key = json.dumps([shape, [_settings(layer) for layer in layers]], sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = self.model_ns(_chained(layers, shape))
        return self._known[key]

    def model_ns(self, model: keras.Model) -> float:
        """Time of one image through a whole model.

        Args:
            model: One input and one output; the input keeps its dtype, the batch is 1. It stays untouched.

        Returns:
            Nanoseconds (median).

        Raises:
            ExportError: The converter refuses the model.
        """
        return self.models_ns([model])[0]

    def models_ns(self, models: Sequence[keras.Model]) -> tuple[float, ...]:
        """Times of models that are compared: their bursts take turns, so that all meet the same conditions.

        Args:
            models: See `model_ns`.

        Returns:
            Nanoseconds (median) of each.

        Raises:
            ExportError: The converter refuses a model.
        """
        interpreters = [self.plug.load(self._export(model), self.threads) for model in models]
        try:
            return self._timed(interpreters)
        finally:
            for interpreter in interpreters:
                interpreter.close()

    def layers_ns(self, model: keras.Model) -> dict[str, float]:
        """A model's time by layer, each measured alone: what a prediction for a changed model is made of.

        A dense layer or convolution is measured together with the normalisation and activation that follow it, since the
        converter makes one operator of them. Merges such as Add and plain operations are not layers with one input and
        are left out.

        Args:
            model: A functional or sequential Keras model with known image size. It stays untouched.

        Returns:
            Nanoseconds (median) by name of the first layer of each group; a layer that is called twice counts twice.

        Raises:
            ModelError: The model has no functional graph, or its image size is not known.
        """
        times: dict[str, float] = {}
        for group in _groups(trace(model)):
            name, shape = group[0].layer.name, group[0].inputs[0].shape[1:]
            times[name] = times.get(name, 0.0) + self.chain_ns([call.layer for call in group], shape)
        return times

    def predict_ns(self, model: keras.Model) -> float:
        """The sum over `layers_ns`: what the cost model per layer says of the whole, in nanoseconds."""
        return sum(self.layers_ns(model).values())

    def _timed(self, interpreters: Sequence[Interpreter]) -> tuple[float, ...]:
        rng = np.random.default_rng(0)
        for interpreter in interpreters:
            interpreter.input_view()[...] = rng.integers(0, 255, interpreter.input.shape).astype(
                interpreter.input.dtype
            )
            for _ in range(self._warm_up):
                interpreter.invoke()
        rounds = [[self._burst(interpreter) for interpreter in interpreters] for _ in range(self._bursts)]
        return tuple(map(min, zip(*rounds, strict=True)))

    def _burst(self, interpreter: Interpreter) -> float:
        timer, invoke = self._timer, interpreter.invoke
        runs: list[int] = []
        begin = timer()
        while len(runs) < _MIN_RUNS or timer() - begin < self._burst_ns:
            start = timer()
            invoke()
            runs.append(timer() - start)
        return float(statistics.median(runs))


def _chained(layers: Sequence[keras.Layer], shape: tuple[int, ...]) -> keras.Model:
    image = keras.Input(shape)
    x = image
    for layer in layers:
        copy = type(layer).from_config({**layer.get_config(), "name": None})
        x = copy(x)
        if isinstance(layer, keras.layers.Normalization):  # what it computes is settled when it takes its weights
            copy.set_weights(layer.get_weights())
            copy.finalize_state()
    return keras.Model(image, x)


def _settings(layer: keras.Layer) -> list[Any]:
    """What decides a layer's time: its configuration without names and without what only training knows."""
    config = {key: value for key, value in layer.get_config().items() if key != "name" and not _of_training(key)}
    return [type(layer).__module__, type(layer).__name__, config]


def _of_training(key: str) -> bool:
    return key in ("trainable", "seed") or key.endswith(("_initializer", "_regularizer", "_constraint"))


def _groups(graph: Graph) -> list[list[Call]]:
    """Calls of layers with one input, each dense layer or convolution with its followers."""
    readers: dict[int, int] = {}
    for tensor in itertools.chain(graph.outputs, *(call.inputs for call in graph.calls)):
        readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    groups: dict[int, list[Call]] = {}  # by the output they end with
    for call in graph.calls:
        if not (isinstance(call.layer, keras.Layer) and len(call.inputs) == len(call.outputs) == 1):
            continue
        source = id(call.inputs[0])
        joins = isinstance(call.layer, _FOLLOWERS) and source in groups and readers[source] == 1
        group = groups.pop(source) if joins and layer_macs(groups[source][0]) else []
        groups[id(call.outputs[0])] = [*group, call]
    return list(groups.values())
