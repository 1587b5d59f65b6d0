"""The latency meter: medians of bursts on a clock that the tests wind, and one real model on the real interpreter."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk_converters import latency as module
from edge_sdk_converters.latency import LatencyMeter
from edge_sdk_runtime.errors import InterpreterUnavailableError, UsageError
from edge_sdk_runtime.interpreters import TensorInfo
from edge_sdk_runtime.interpreters.fake import FakeInterpreter, FakePlug
from tests.converters.helpers import assert_one_line, weights_kept
from tests.converters.networks import SIDE, random_network


class Bench:
    """A clock that only inference moves, and an export that notes what it is given.

    Args:
        costs: Nanoseconds of each run in turn, over and over, by the name of the exported model; `cost` for all others.
        cost: Nanoseconds of a run.
    """

    def __init__(self, costs: dict[str, list[int]] | None = None, cost: int = 100) -> None:
        self.now, self.order, self.models = 0, [], []
        self._costs, self._cost = costs or {}, cost
        self.plug = FakePlug({})

    def meter(self, **options: object) -> LatencyMeter:
        options = {"burst_seconds": 0.0, **options}
        return LatencyMeter(self.plug, timer=lambda: self.now, export=self.export, **options)

    def export(self, model: keras.Model) -> bytes:
        content = f"{len(self.models)} {model.name}".encode()
        self.models.append(model)
        info = TensorInfo((1, *model.input_shape[1:]), "float32")
        runs = iter(range(1 << 30))
        costs = self._costs.get(model.name, [self._cost])

        def run(x: np.ndarray) -> np.ndarray:
            self.order.append(model.name)
            self.now += costs[next(runs) % len(costs)]
            return np.zeros((1, 1))

        self.plug.interpreters[content] = FakeInterpreter(run, info, TensorInfo((1, 1), "float32"))
        return content


def tiny(name: str) -> keras.Model:
    image = keras.Input((2,))
    return keras.Model(image, layers.Dense(1)(image), name=name)


def built(layer: keras.Layer, shape: tuple[int, ...]) -> keras.Layer:
    layer.build((None, *shape))
    return layer


def test_public_names() -> None:
    assert module.__all__ == ["LatencyMeter"]


def test_the_median_of_the_quietest_burst_counts() -> None:
    """Warm-up takes 1,000,000 a run, the first burst is disturbed throughout, the second once."""
    costs = [1_000_000] * 2 + [900] * 5 + [100, 100, 5000, 120, 100]
    bench = Bench({"one": costs})
    assert bench.meter(warm_up=2, bursts=2).model_ns(tiny("one")) == 100


def test_a_burst_lasts_as_long_as_asked_and_has_five_runs_at_least() -> None:
    bench = Bench(cost=1000)
    bench.meter(warm_up=1, bursts=1, burst_seconds=1e-5).model_ns(tiny("one"))
    assert len(bench.order) == 1 + 10
    bench.meter(warm_up=1, bursts=1, burst_seconds=1e-6).model_ns(tiny("two"))
    assert bench.order.count("two") == 1 + 5


def test_models_that_are_compared_take_turns() -> None:
    bench = Bench({"slow": [300], "fast": [200]})
    assert bench.meter(warm_up=1, bursts=2).models_ns([tiny("slow"), tiny("fast")]) == (300, 200)
    assert bench.order == ["slow", "fast"] + ["slow"] * 5 + ["fast"] * 5 + ["slow"] * 5 + ["fast"] * 5
    assert all(interpreter.closed for interpreter in bench.plug.interpreters.values())


def test_the_same_settings_and_shape_are_measured_once_whatever_names_and_weights() -> None:
    bench = Bench()
    meter = bench.meter()
    for name, side in (("a", 4), ("b", 4), ("c", 5)):
        chain = [built(layers.Conv2D(3, 3, name=name), (side, side, 2)), layers.ReLU()]
        assert meter.chain_ns(chain, (side, side, 2)) == 100
    assert [model.input_shape for model in bench.models] == [(None, 4, 4, 2), (None, 5, 5, 2)]
    meter.chain_ns([built(layers.Conv2D(3, 3, strides=2), (4, 4, 2))], (4, 4, 2))
    assert len(bench.models) == 3


def test_a_chain_is_measured_on_copies() -> None:
    image = keras.Input((6, 6, 2))
    convolution, scaling = layers.Conv2D(3, 3), layers.Normalization(mean=[1.0] * 3, variance=[4.0] * 3)
    model = keras.Model(image, scaling(convolution(image)))
    bench = Bench()
    with weights_kept(model):
        bench.meter().chain_ns([convolution, scaling], (6, 6, 2))
    assert convolution.output is model.layers[1].output  # one call only: a second would make this an error
    assert all(layer not in model.layers for layer in bench.models[0].layers)


def test_no_layers_take_no_time() -> None:
    assert LatencyMeter(FakePlug({})).chain_ns([], (4,)) == 0


def test_a_models_time_by_layer_joins_what_the_converter_folds() -> None:
    image = keras.Input((6, 6, 2), name="image")
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(layers.Conv2D(3, 3, name="conv")(image)))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    y = layers.Add(name="add")([shared(x), layers.Activation("tanh", name="tanh")(shared(x))])
    flat = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(y))
    model = keras.Model(image, layers.Dense(2, name="dense")(flat))
    bench = Bench()
    meter = bench.meter()
    assert meter.layers_ns(model) == {"conv": 100, "shared": 200, "pool": 100, "flatten": 100, "dense": 100}
    assert meter.predict_ns(model) == 600
    assert {len(each.layers) for each in bench.models} == {
        2,
        3,
        4,
    }  # with the input: alone, with tanh, with norm and relu


def test_an_activation_that_is_not_the_only_reader_is_measured_alone() -> None:
    image = keras.Input((4,), name="image")
    x = layers.Dense(4, name="dense")(image)
    model = keras.Model(image, layers.Add()([x, layers.ReLU(name="relu")(x)]))
    assert Bench().meter().layers_ns(model) == {"dense": 100, "relu": 100}


def test_a_real_chain_and_a_real_model() -> None:
    """The larger one is slower by far, and the sum over layers is near the whole."""
    meter = LatencyMeter(burst_seconds=0.005)
    small, large = (meter.chain_ns([built(layers.Conv2D(width, 3), (32, 32, 8))], (32, 32, 8)) for width in (2, 128))
    assert 0 < 2 * small < large
    model = random_network(1)
    assert model.input_shape == (None, SIDE, SIDE, 3)
    assert meter.model_ns(model) > 0


@pytest.mark.parametrize("option", ["threads", "bursts", "warm_up", "burst_seconds"])
def test_impossible_numbers_are_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option}.*Received: ") as caught:
        LatencyMeter(**{option: -1})
    assert_one_line(caught.value)


def test_an_unknown_interpreter_is_refused() -> None:
    with pytest.raises(InterpreterUnavailableError, match="Received: 'abacus'"):
        LatencyMeter("abacus")
