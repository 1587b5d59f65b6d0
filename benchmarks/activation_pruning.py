"""Pruning by activation counts: the two experiments of Çallı's thesis (2017), every variant of its cycle, and ours beside it.

The sum network is 2 inputs → 1,000 ReLU → 1, taught y = i1 + i2 for inputs uniform in [0, 1) by momentum SGD (0.01, 0.3) in
batches of 1,000; one unit is enough. The thesis does not say how it was initialised: normal kernels of deviation 0.6 give
its vanilla count. The autoencoder has two encoder blocks (conv 3×3 stride 2, batch norm, ReLU; 32 and 64 channels) and two
decoder blocks (transposed conv 3×3 stride 2; 32 channels with batch norm and ReLU, then 1 linear), trained by Adam on the
mean squared error of MNIST's pixels in [0, 1].
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .harness import Figure, Outcome, at_most, command

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.prune.config import ActivationCycleConfig
    from edge_sdk_converters.prune.cycle import CycleResult

__all__ = ["build_autoencoder", "build_sum_network", "measure"]

_THESIS = ("distorted", "regularized", "outliers")
_PUBLISHED_WIDTHS = (16, 64, 22)


@dataclass(frozen=True)
class _Task:
    """A network and what it learns.

    Attributes:
        build: Makes it, untrained.
        optimizer: Makes the optimizer of one training, told its number of steps.
        x: What it is trained on, `float32 [N, …]`.
        y: What it should give for it.
        held_out: Inputs and targets that the error is measured on.
        batch: Examples per step.
        epochs: Of one training.
        counted: Inputs that activations are counted over.
    """

    build: Callable[[], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    held_out: tuple[NDArray[np.float32], NDArray[np.float32]]
    batch: int
    epochs: int
    counted: int

    def train(self, model: keras.Model) -> float:
        """One training of the cycle; gives the held-out mean squared error."""
        steps = self.epochs * -(-len(self.x) // self.batch)
        model.compile(self.optimizer(steps), "mse", steps_per_execution=10, jit_compile=False)
        model.fit(self.x, self.y, batch_size=self.batch, epochs=self.epochs, verbose=0)
        return self.error(model)

    def error(self, model: keras.Model) -> float:
        """Mean squared error on the held-out inputs."""
        from edge_sdk_converters.training import predict

        inputs, targets = self.held_out
        return float(np.mean((predict(model, inputs) - targets) ** 2))


def measure(quick: bool) -> Outcome:
    """Run both experiments in all variants."""
    from edge_sdk_converters.prune.config import ActivationCycleConfig

    cycle = ActivationCycleConfig(rounds=1 if quick else 40, patience=1 if quick else 3)
    rows, figures = _sum_network(cycle, quick)
    more_rows, more_figures = _autoencoder(replace(cycle, rounds=1 if quick else 6, patience=1, min_channels=2), quick)
    data = "sums of two numbers; " + ("scikit-learn's digits" if quick else "MNIST")
    return Outcome(data, [*figures, *more_figures], [*rows, *more_rows])


def build_sum_network(hidden: int) -> keras.Model:
    """Two inputs, one hidden layer of ReLUs, their sum."""
    import keras

    normal = keras.initializers.RandomNormal(stddev=0.6, seed=2)
    body = [
        keras.layers.Dense(hidden, "relu", kernel_initializer=normal, name="hidden"),
        keras.layers.Dense(1, kernel_initializer=normal.clone(), name="sum"),
    ]
    return keras.Sequential([keras.Input((2,)), *body], name="sum_network")


def build_autoencoder(shape: tuple[int, int, int], widths: tuple[int, int, int]) -> keras.Model:
    """Two encoder and two decoder blocks, stride 2 each."""
    import keras
    from keras import layers

    image = keras.Input(shape, name="image")
    makers = [layers.Conv2D, layers.Conv2D, layers.Conv2DTranspose]
    x = image
    for maker, width, name in zip(makers, widths, ("encoder1", "encoder2", "decoder1"), strict=True):
        x = maker(width, 3, strides=2, padding="same", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x))
    output = layers.Conv2DTranspose(shape[-1], 3, strides=2, padding="same", name="decoder2")(x)
    return keras.Model(image, output, name="autoencoder")


def _variants(cycle: ActivationCycleConfig, quick: bool) -> dict[str, ActivationCycleConfig]:
    """Every combination of the thesis's switches, then ours; the first, the last and ours where it has to be quick."""
    found, last = {}, (1 << len(_THESIS)) - 1
    for bits in (0, last) if quick else range(last + 1):
        names = [name for index, name in enumerate(_THESIS) if bits >> index & 1]
        found[" + ".join(names) or "vanilla"] = replace(
            cycle, distorted="distorted" in names, regularized="regularized" in names, outliers="outliers" in names
        )
    found["merged (ours)"] = replace(cycle, merged=True)
    return found


def _run(task: _Task, name: str, cycle: ActivationCycleConfig) -> CycleResult:
    import keras

    from edge_sdk_converters.prune.cycle import prune_by_activation

    begun = time.perf_counter()
    keras.utils.set_random_seed(cycle.seed)
    result = prune_by_activation(task.build(), task.train, task.x[: task.counted], cycle)
    seconds = time.perf_counter() - begun
    sys.stderr.write(f"{name}: {_widths(result)} after {len(result.rounds)} rounds, {result.loss}, {seconds:.0f} s\n")
    return result


def _widths(result: CycleResult) -> tuple[int, ...]:
    return tuple(layer.channels_after for layer in result.rounds[-1].layers[:-1])


def _row(network: str, variant: str, result: CycleResult, error: float, reference: float | str) -> dict[str, Any]:
    widths = _widths(result)
    return {
        "network": network,
        "variant": variant,
        "rounds": len(result.rounds),
        "units left": " · ".join(map(str, widths)),
        "in all": sum(widths),
        "error": error,
        "error unpruned": reference,
    }


def _sum_network(cycle: ActivationCycleConfig, quick: bool) -> tuple[list[dict[str, Any]], list[Figure]]:
    """The variants without the L1 term once more after the cycle, for the term biases what it trains."""
    task = _sum_task(quick)
    tail = replace(task, epochs=2 if quick else 150)
    rows, best = [], (np.inf, np.inf, "")
    for name, config in _variants(replace(cycle, l1=0.01, tolerance=0.01), quick).items():
        result = _run(task, f"sum network, {name}", config)
        error = tail.train(result.model)
        rows.append(_row("sum", name, result, error, ""))
        if "ours" not in name:
            best = min(best, (sum(_widths(result)), error, name))
    vanilla, ours = rows[0], rows[-1]
    published = "about 50 (thesis, vanilla)"
    return rows, [
        at_most(f"sum network: hidden neurons left, thesis's variants ({best[2]})", best[0], 1, published=published),
        at_most("sum network: loss of that network", best[1], 1e-6),
        at_most("sum network: hidden neurons left, merged (ours)", ours["in all"], 1, published=published),
        at_most("sum network: loss of the merged network", ours["error"], 1e-6),
        Figure("sum network: hidden neurons left, vanilla", vanilla["in all"], published=published),
    ]


def _autoencoder(cycle: ActivationCycleConfig, quick: bool) -> tuple[list[dict[str, Any]], list[Figure]]:
    task = _autoencoder_task(quick)
    rows, results = [], {}
    variants = _variants(replace(cycle, l1=1e-5, tolerance=0.005), quick)
    reference = _unpruned(task, cycle.rounds + 1)
    for name, config in variants.items():
        result = _run(task, f"autoencoder, {name}", config)
        error = task.error(result.model)
        trainings = len(result.rounds) + int(config.distorted or result.rounds[-1].removed > 0)
        rows.append(_row("autoencoder", name, result, error, reference[trainings]))
        results[name] = _widths(result), error / reference[trainings]
    return rows, _autoencoder_figures(results)


def _autoencoder_figures(results: Mapping[str, tuple[tuple[int, ...], float]]) -> list[Figure]:
    """The smallest network whose error has not risen by more than 5 %, by its widest layer against the published one."""
    fit = {name: each for name, each in results.items() if each[1] <= 1.05} or results
    name = min(fit, key=lambda each: sum(fit[each][0]))
    widths, ratio = fit[name]
    published = "16 · 64 · 22 (thesis, vanilla)"
    layers = zip(("encoder 1", "encoder 2", "decoder 1"), widths, _PUBLISHED_WIDTHS, strict=True)
    return [
        *(
            at_most(f"autoencoder: channels of {where} ({name})", got, most, published=published)
            for where, got, most in layers
        ),
        at_most("autoencoder: channels in all", sum(widths), sum(_PUBLISHED_WIDTHS) - 1, published="102"),
        at_most("autoencoder: error / error of the unpruned network trained as long", ratio, 1.05),
    ]


def _unpruned(task: _Task, trainings: int) -> dict[int, float]:
    """Error of the unpruned network after each number of trainings."""
    import keras

    keras.utils.set_random_seed(0)
    model = task.build()
    return {count: task.train(model) for count in range(1, trainings + 1)}


def _sum_task(quick: bool) -> _Task:
    import keras

    x = np.random.default_rng(0).random((4_000 if quick else 50_000, 2), np.float32)
    y = x.sum(axis=1, keepdims=True)
    held_out = np.random.default_rng(1).random((2_000, 2), np.float32)
    hidden, epochs = (50, 2) if quick else (1_000, 40)
    return _Task(
        lambda: build_sum_network(hidden),
        lambda steps: keras.optimizers.SGD(0.01, momentum=0.3),  # noqa: ARG005
        x,
        y,
        (held_out, held_out.sum(axis=1, keepdims=True)),
        1_000,
        epochs,
        2_000,
    )


def _autoencoder_task(quick: bool) -> _Task:
    import keras

    train, test = _pictures(quick)
    widths = (6, 8, 6) if quick else (32, 64, 32)
    return _Task(
        lambda: build_autoencoder(train.shape[1:], widths),
        lambda steps: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        train,
        train,
        (test, test),
        100,
        1 if quick else 3,
        200 if quick else 1_000,
    )


def _pictures(quick: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Images to train on and to measure on, in [0, 1]."""
    from edge_sdk.data import load_images, prepare

    splits = load_images("digits" if quick else "mnist", limit=20 if quick else 500)
    assert splits.spec is not None
    train, test = (prepare(part, splits.spec).x.astype(np.float32) for part in (splits.train, splits.test))
    return np.divide(train, 255, dtype=np.float32), np.divide(test[:2_000], 255, dtype=np.float32)


if __name__ == "__main__":
    sys.exit(command("activation_pruning", measure))
