"""The SDK's own path to the parameter counts that LightLayers published: train, factorize, prune, distil.

A network of plain convolutions is trained; the ranks of its layers are chosen automatically under a parameter budget, channels
are removed until no more parameters are left than the published network has, and each pass is followed by distillation from
the trained network. Every choice is made on validation images; the test images are looked at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_sdk_converters.budget import Budget
from edge_sdk_converters.factorize.config import FactorizeConfig, RankRule
from edge_sdk_converters.prune.config import Criterion, PruneConfig
from edge_sdk_converters.recipe import Recipe, Step
from edge_sdk_converters.recover.config import RecoverConfig

from .harness import Figure, Outcome, at_least, at_most, command
from .sets import learning_set, said_beside
from .trained import kept

if TYPE_CHECKING:
    import keras

    from edge_sdk_converters.learning import LearningData

_RATE = 3e-3


@dataclass(frozen=True)
class LightPath:
    """One row of the comparison.

    Attributes:
        data: Name of the image set.
        published: Accuracy of the published network.
        limit: Its parameters; ours has no more.
        goal: Accuracy to reach.
        widths: Filters of each stage of the trained network.
        epochs: Of training, and of the recovery after each of the two passes.
    """

    data: str
    published: float
    limit: int
    goal: float
    widths: tuple[int, ...]
    epochs: tuple[int, int, int]


PATHS = (
    LightPath("mnist", 0.9749, 4392, 0.985, (12, 24, 48), (5, 2, 5)),
    LightPath("fashion_mnist", 0.8695, 6135, 0.900, (12, 24, 48), (10, 4, 12)),
    LightPath("cifar10", 0.5576, 20557, 0.68, (12, 24, 48, 96), (15, 4, 10)),
)
_PRUNED = 0.8
"""Share of the factorized network's parameters that pruning leaves."""


def measure(quick: bool) -> Outcome:
    """Go each path and compare it with the published network of as many parameters."""
    paths = PATHS[:1] if quick else PATHS
    rows = [run_path(path, quick) for path in paths]
    figures: list[Figure] = []
    for path, row in zip(paths, rows, strict=True):
        figures += [
            at_most(f"{path.data}: parameters", row["params"], path.limit, published=f"{path.limit:,} (LightLayers)"),
            at_least(
                f"{path.data}: test accuracy", row["accuracy"], path.goal, published=f"{path.published} (LightLayers)"
            ),
        ]
    data = "scikit-learn's digits" if quick else "MNIST, Fashion-MNIST, CIFAR-10; 10 % of the training images validate"
    notes = said_beside(*(["digits"] if quick else [path.data for path in paths]))
    return Outcome(data, figures, rows, notes=notes)


def run_path(path: LightPath, quick: bool) -> dict[str, Any]:
    """Train, compress and test once; a row beside the published ones."""
    from edge_sdk_converters.cost import count_macs, count_parameters
    from edge_sdk_converters.pipeline import run_recipe
    from edge_sdk_converters.source import accuracy

    data, test = learning_set("digits" if quick else path.data, limit=20 if quick else None)
    base = trained_base(path, data, quick)
    share = path.limit / count_parameters(base)
    recipe = _recipe(path, share, quick)

    def compress() -> keras.Model:
        return run_recipe(base, recipe, data, progress=_tell).model

    settings = {"base": list(path.widths), "epochs": list(path.epochs), "recipe": recipe.to_toml()}
    model = compress() if quick else kept(f"light-{path.data}", settings, compress)
    return {
        "data": path.data,
        "trained": count_parameters(base),
        "trained accuracy": accuracy(base, test),
        "params": count_parameters(model),
        "published params": path.limit,
        "multiply-accumulates": count_macs(model),
        "accuracy": accuracy(model, test),
        "published": path.published,
    }


def build_plain(shape: tuple[int, int, int], classes: int, widths: tuple[int, ...]) -> keras.Model:
    """The published networks' layout with plain convolutions: two per stage, pooling, global average, dense."""
    import keras
    from keras import layers

    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scaling")(image)
    for stage, width in enumerate(widths, 1):
        for index in (1, 2):
            name = f"conv{stage}_{index}"
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)
            x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x))
        x = layers.MaxPooling2D(padding="same", name=f"pool{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="classes")(x), name="plain")


def trained_base(path: LightPath, data: LearningData, quick: bool) -> keras.Model:
    """The plain network that a path begins with, kept between runs; quickly, one of two stages after an epoch."""

    def train() -> keras.Model:
        import keras

        from edge_sdk_converters.training import FitConfig, fit

        keras.utils.set_random_seed(0)
        model = build_plain(data.train.x.shape[1:], 10, path.widths[: 2 if quick else None])
        config = FitConfig(1 if quick else path.epochs[0], _RATE)
        told = lambda done, planned, _: _tell(f"{path.data}: train", done, planned)  # noqa: E731
        fit(model, data.train, data.validation, config, augment=data.augment, progress=told)
        return model

    if quick:
        return train()
    return kept(
        f"light-base-{path.data}", {"widths": list(path.widths), "epochs": path.epochs[0], "rate": _RATE}, train
    )


def _recipe(path: LightPath, share: float, quick: bool) -> Recipe:
    """Factorize to somewhat more than the limit, prune to the limit; quickly, without recovering."""
    first, second = (None if quick else RecoverConfig(epochs=epochs, min_steps=0) for epochs in path.epochs[1:])
    factorize = FactorizeConfig(rank=RankRule.AUTO, budget=Budget(parameters=min(1.0, share / _PRUNED)), multiple=1)
    prune = PruneConfig(criterion=Criterion.THINET, budget=Budget(parameters=_PRUNED), min_channels=2, multiple=1)
    return Recipe(f"light-{path.data}", steps=(Step(factorize, first), Step(prune, second)))


def _tell(what: str, done: int, planned: int) -> None:
    sys.stderr.write(f"{what}: {done} of {planned}\n")


if __name__ == "__main__":
    sys.exit(command("light_path", measure))
