"""What each pass buys on a VGG-style CIFAR-10 classifier, alone and together: weights, latency, and what they cost in accuracy.

Every network descends from one trained classifier (`benchmarks/vgg.py` states the layout) and is measured on the test images,
as a .tflite file on the interpreter, once: all choices were made on the validation images. All files run in turn in one
process with one thread.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.factorize.config import FactorizeConfig, RankRule
from edge_sdk_converters.prune.config import Criterion, PruneConfig
from edge_sdk_converters.recipe import Recipe, Step
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_runtime.interpreters.tflite import LITERT

from .harness import Figure, Outcome, at_least, at_most, command
from .in_turn import median_ns
from .sets import learning_set, said_beside
from .trained import kept
from .vgg import trained_vgg

if TYPE_CHECKING:
    import keras

    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

_EPOCHS = 16
_BEFORE, _ALL = "before", "prune + factorize"

RECIPES = (
    Recipe(
        "prune",
        steps=(Step(PruneConfig(criterion=Criterion.THINET, budget=Budget(macs=0.4)), RecoverConfig(epochs=5)),),
    ),
    Recipe(
        "factorize",
        steps=(Step(FactorizeConfig(rank=RankRule.AUTO, budget=Budget(macs=0.2)), RecoverConfig(epochs=4)),),
    ),
    Recipe(
        _ALL,
        steps=(
            Step(
                PruneConfig(criterion=Criterion.THINET, budget=Budget(macs=0.9, parameters=0.6)),
                RecoverConfig(epochs=2, learning_rate=5e-4),
            ),
            Step(
                FactorizeConfig(rank=RankRule.AUTO, budget=Budget(macs=0.36, parameters=0.26)),
                RecoverConfig(epochs=10, learning_rate=1e-3),
            ),
        ),
    ),
)


@dataclasses.dataclass(frozen=True)
class _Network:
    """One network as two files."""

    model: keras.Model
    files: Mapping[str, bytes]


def measure(quick: bool) -> Outcome:
    """Train, compress in every way (quickly, in all ways at once), measure all in turn."""
    data, test, name = _digits() if quick else _cifar10()
    classes = int(data.train.y.max()) + 1
    base = trained_vgg(data, classes, 1 if quick else _EPOCHS, quick=quick)
    networks = {_BEFORE: _exported(base, data)}
    for recipe in RECIPES[-1:] if quick else RECIPES:
        networks[recipe.name] = _exported(_compressed(base, _hurried(recipe) if quick else recipe, data, quick), data)
    rows = _rows(networks, test, 20 if quick else 1000)
    return Outcome(
        f"VGG-style classifier of {name}, 1 thread; accuracy of the .tflite files on {len(test.y):,} test images",
        _figures({row["network"]: row for row in rows}),
        rows,
        notes=said_beside("digits" if quick else "cifar10"),
    )


def _cifar10() -> tuple[LearningData, Examples, str]:
    return (*learning_set("cifar10"), "CIFAR-10")


def _digits() -> tuple[LearningData, Examples, str]:
    """Digits at twice their size stand in where only the code is tried."""
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

    data, test = learning_set("digits", limit=20)

    def larger(examples: Examples) -> Examples:
        return Examples(np.repeat(np.repeat(examples.x, 2, axis=1), 2, axis=2), examples.y)

    return LearningData(larger(data.train), larger(data.validation), data.augment), larger(test), "digits"


def _compressed(base: keras.Model, recipe: Recipe, data: LearningData, quick: bool) -> keras.Model:
    from edge_sdk_converters.pipeline import run_recipe

    def compress() -> keras.Model:
        return run_recipe(base, recipe, data, progress=_tell).model

    name = recipe.name.replace(" ", "")
    return compress() if quick else kept(name, {"base": _EPOCHS, "recipe": recipe.to_toml()}, compress)


def _hurried(recipe: Recipe) -> Recipe:
    """The same passes, an epoch of recovery after the last alone."""
    *others, last = (dataclasses.replace(step, recover=None) for step in recipe.steps)
    return dataclasses.replace(
        recipe, steps=(*others, dataclasses.replace(last, recover=RecoverConfig(epochs=1, min_steps=0)))
    )


def _exported(model: keras.Model, data: LearningData) -> _Network:
    from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
    from edge_sdk_converters.tflite import export_tflite

    exported = export_tflite(model)
    int8 = quantize(exported, QuantizeConfig(QuantizeMode.STATIC_INT8), data.train.x)
    return _Network(model, {"float32": exported, "int8": int8})


def _rows(networks: Mapping[str, _Network], test: Examples, runs: int) -> list[dict[str, Any]]:
    from edge_sdk_converters.cost import count_macs, count_parameters

    keys = [(name, kind) for name in networks for kind in ("float32", "int8")]
    interpreters = {key: LITERT.load(networks[key[0]].files[key[1]], 1) for key in keys}
    accuracies = {key: _accuracy(interpreters[key], test) for key in keys}
    times = dict(zip(keys, median_ns([_invoking(interpreters[key]) for key in keys], None, runs), strict=True))
    return [
        {
            "network": name,
            "parameters": count_parameters(network.model),
            "multiply-accumulates": count_macs(network.model),
            **{
                f"{kind} {what}": value
                for kind in ("float32", "int8")
                for what, value in (
                    ("accuracy", accuracies[name, kind]),
                    ("bytes", len(network.files[kind])),
                    ("p50 ms", times[name, kind] / 1e6),
                )
            },
        }
        for name, network in networks.items()
    ]


def _accuracy(interpreter: Any, test: Examples) -> float:
    right = 0
    for image, target in zip(test.x, test.y, strict=True):
        interpreter.input_view()[0] = image
        interpreter.invoke()
        right += int(interpreter.output_view()[0].argmax() == target)
    return right / len(test.y)


def _invoking(interpreter: Any) -> Callable[[Any], None]:
    return lambda _: interpreter.invoke()


def _figures(rows: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    before, after = rows[_BEFORE], rows[_ALL]
    faster = before["float32 p50 ms"] / after["float32 p50 ms"]
    return [
        at_least("test accuracy before", before["float32 accuracy"], 0.80),
        at_most("accuracy lost, all passes", before["float32 accuracy"] - after["float32 accuracy"], 0.01),
        at_least("parameters, before / after", before["parameters"] / after["parameters"], 8),
        at_least("p50 of the float32 .tflite, before / after", faster, 2.5),
        Figure("p50, float32 before / int8 after", before["float32 p50 ms"] / after["int8 p50 ms"]),
        Figure("accuracy lost, all passes and int8", before["float32 accuracy"] - after["int8 accuracy"]),
        Figure(".tflite bytes, float32 before / int8 after", before["float32 bytes"] / after["int8 bytes"]),
    ]


def _tell(what: str, done: int, planned: int) -> None:
    sys.stderr.write(f"{what}: {done} of {planned}\n")


if __name__ == "__main__":
    sys.exit(command("shrink_latency", measure))
