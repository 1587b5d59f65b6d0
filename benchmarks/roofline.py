"""The lower bound on latency that a device's profile gives, against what is measured on this machine: no run may be faster.

The bound is of this machine: its cores, its instruction sets, and its clock, or where it tells none the highest ever sold. Times are
of all stages but preprocessing, which the bound leaves out; the fastest run of each bundle is held against it, not the median.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_devices.costs import LayerCost, bundle_costs, model_costs
from edge_sdk_devices.detect import detect, local_facts, refined
from edge_sdk_devices.roofline import lower_bound
from edge_sdk_runtime import Classifier
from edge_sdk_runtime.interpreters.tflite import LITERT

from .harness import Figure, Outcome, at_most, command

if TYPE_CHECKING:
    from edge_sdk_devices.profile import Profile
    from edge_sdk_runtime import Bundle

_SMALL = (8, 16, 32)
_WHY = "a bound that a run undercuts is none: the profile's peak is too low, or a layer is counted wrongly"


@dataclass(frozen=True)
class _Side:
    """One bundle or model, and how it is run.

    Attributes:
        name: What it is.
        form: `"staged"` or `"fused"`.
        costs: What it has to do at least.
        start: Gives a function that runs it once and returns nanoseconds, for a number of threads.
    """

    name: str
    form: str
    costs: tuple[LayerCost, ...]
    start: Callable[[int], Callable[[], int]]


def measure(quick: bool) -> Outcome:
    """The bound, the fastest run and the median of every bundle, with one thread and with all cores."""
    facts = local_facts()
    profile = refined(detect(facts), facts)
    runs = 30 if quick else 3000
    sides = list(_models(quick)) if quick else [*_models(quick), *_bundles()]
    threads = sorted({1, profile.cpu.cores or 1})
    rows = [_row(side, profile, count, runs) for side in sides for count in threads]
    notes = [f"Lower bounds are estimates: cores × clock × products that a core starts per cycle. {_source(profile)}"]
    return Outcome(
        f"{len(sides)} bundles and models, {runs} runs each, threads {threads}", _figures(rows), rows, notes=notes
    )


def _figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    undercut = sum(row["fastest ms"] < row["lower bound ms"] for row in rows)
    ratios = [row["p50 / bound"] for row in rows]
    return [
        at_most("bundles with a run below their lower bound", undercut, 0, why=_WHY),
        Figure("p50 / lower bound, smallest", min(ratios)),
        Figure("p50 / lower bound, median", float(np.median(ratios))),
        Figure("p50 / lower bound, largest", max(ratios)),
    ]


def _row(side: _Side, profile: Profile, threads: int, runs: int) -> dict[str, Any]:
    bound = lower_bound(side.costs, profile, threads)
    run = side.start(threads)
    times = [run() for _ in range(runs + runs // 10)][runs // 10 :]
    middle = float(np.median(times)) / 1e6
    return {
        "bundle": side.name,
        "form": side.form,
        "threads": threads,
        "multiply-accumulates": bound.macs,
        "lower bound ms": bound.seconds * 1e3,
        "fastest ms": min(times) / 1e6,
        "p50 ms": middle,
        "p50 / bound": middle / (bound.seconds * 1e3),
    }


def _models(quick: bool) -> Iterator[_Side]:
    """The VGG-style network as two files, untrained: speed does not depend on what was learnt."""
    import keras

    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
    from edge_sdk_converters.tflite import export_tflite

    from .vgg import build_vgg

    keras.utils.set_random_seed(0)
    side = 16 if quick else 32
    exported = export_tflite(build_vgg((side, side, 3), 10, _SMALL) if quick else build_vgg((side, side, 3), 10))
    images = np.random.default_rng(0).integers(0, 256, (8, side, side, 3), dtype=np.uint8)
    yield _model_side("VGG-style, float32", exported)
    yield _model_side("VGG-style, int8", quantize(exported, QuantizeConfig(QuantizeMode.STATIC_INT8, 8), images))


def _model_side(name: str, model: bytes) -> _Side:
    def start(threads: int) -> Callable[[], int]:
        interpreter = LITERT.load(model, threads)

        def run() -> int:
            begun = perf_counter_ns()
            interpreter.invoke()
            return perf_counter_ns() - begun

        return run

    return _Side(name, "fused", model_costs(model), start)


def _bundles() -> Iterator[_Side]:
    """The demo's network under every recipe that comes with the SDK, and random ones for larger pictures."""
    from edge_sdk.compress import compress
    from edge_sdk.data import load_images
    from edge_sdk.learn.train import TrainConfig, default_spec, train_classifier
    from edge_sdk_converters.recipe import BUILT_IN, Recipe
    from edge_sdk_converters.recover.config import RecoverConfig
    from edge_sdk_runtime import Interpolation

    from .models import random_bundle

    def hurried(recipe: Recipe) -> Recipe:
        steps = (
            dataclasses.replace(step, recover=step.recover and RecoverConfig(epochs=1, min_steps=0))
            for step in recipe.steps
        )
        return dataclasses.replace(recipe, steps=tuple(steps))

    digits = load_images("digits", limit=60)
    trained = train_classifier(digits, default_spec(digits, None), TrainConfig(epochs=1))
    for name, recipe in BUILT_IN.items():
        ready = (trained.train, trained.validation)
        made = compress(
            trained.model, trained.card, digits, hurried(recipe), name=name, forms=("staged", "fused"), prepared=ready
        )
        yield from _bundle_sides(f"digits, recipe {name}", made.bundle)
    for side in (32, 96, 224):
        yield from _bundle_sides(f"random int8, {side}×{side}", random_bundle(side, Interpolation.LINEAR))


def _bundle_sides(name: str, bundle: Bundle) -> Iterator[_Side]:
    for form in bundle.manifest.forms:
        yield _bundle_side(name, bundle, form)


def _bundle_side(name: str, bundle: Bundle, form: str) -> _Side:
    frame = np.random.default_rng(0).integers(0, 256, (*bundle.manifest.preprocess.shape[:2], 3), dtype=np.uint8)

    def start(threads: int) -> Callable[[], int]:
        classifier = Classifier(bundle, form=form, threads=threads)
        return lambda: sum(classifier.classify(frame).durations_ns[1:])  # the first stage is preprocessing

    return _Side(name, form, bundle_costs(bundle, form), start)


def _source(profile: Profile) -> str:
    return f"{profile.roofline.source}." if profile.roofline else ""


if __name__ == "__main__":
    sys.exit(command("roofline", measure))
