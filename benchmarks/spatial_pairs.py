"""Pairs of 1-D convolutions in the thesis's MNIST classifier: factorized after training, and trained as pairs from scratch.

Çallı, "Optimizing Convolutional Neural Networks for Mobile Devices" (Master's thesis, 2017), Table 2.2: convolution 5×5 to 32
channels, pooling, 5×5 to 64, pooling, 7×7 to 128 without padding, dense to 10. An N×N convolution from K to L channels costs
N²KL multiply-accumulates a pixel, as N×1 and 1×N through P channels NP(K + L).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .harness import Figure, Outcome, command
from .sets import learning_set
from .trained import kept

if TYPE_CHECKING:
    import keras

    from edge_sdk_converters.factorize.apply import FactorizeResult
    from edge_sdk_converters.learning import LearningData
    from edge_sdk_converters.training import Examples

_MACS = 1 / 3
"""What the pairs leave of the multiply-accumulates; the middle channels that cost the least output error are chosen."""

_LAYOUT = (("conv1", 32, 5, "same"), ("conv2", 64, 5, "same"), ("conv3", 128, 7, "valid"))
"""Name, filters, kernel size and padding."""


@dataclass(frozen=True)
class _Plan:
    """Sizes of a run."""

    data: str
    limit: int | None
    epochs: int
    recovery: int


_FULL = _Plan("mnist", None, epochs=4, recovery=3)
_QUICK = _Plan("digits", 20, epochs=1, recovery=1)


def measure(quick: bool) -> Outcome:
    """Accuracy and cost of the classifier, of its pairs before and after recovery, and of pairs trained from scratch."""
    from edge_sdk_converters.budget import Budget
    from edge_sdk_converters.factorize.apply import factorize
    from edge_sdk_converters.factorize.config import FactorizeConfig, Method, RankRule

    plan = _QUICK if quick else _FULL
    data, test = learning_set(plan.data, plan.limit)
    plain = _trained(plan, data, {})
    config = FactorizeConfig(Method.SPATIAL, RankRule.AUTO, budget=Budget(macs=_MACS), multiple=1)
    pairs = factorize(plain, config, data)
    rows = [
        _row("as in the thesis", plain, test),
        _row(f"spatial pairs, {_ranks(pairs)}", pairs.model, test),
    ]
    _recover(pairs.model, plain, data, plan)
    middle = {change.name: change.ranks[0] for change in pairs.replaced}
    rows += [
        _row("the same, fine-tuned with distillation", pairs.model, test),
        _row("pairs of these widths, trained from scratch", _trained(plan, data, middle), test),
    ]
    about = "MNIST" if plan is _FULL else "scikit-learn's digits"
    return Outcome(f"{about}, {len(test.y)} held-out images, {plan.epochs} epochs", _figures(rows), rows)


def _build(shape: tuple[int, int, int], classes: int, middle: Mapping[str, int]) -> keras.Model:
    """The classifier; layers with middle channels are pairs."""
    import keras
    from keras import layers

    from edge_sdk_converters.blocks import spatial_pair

    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scaling")(image)
    for name, filters, size, padding in _LAYOUT:
        side = min(size, x.shape[1])  # 7×7 without padding needs the 28×28 of MNIST; a quick run's digits are smaller
        if name in middle:
            x = spatial_pair(x, filters, side, middle[name], padding=padding, name=name)
        else:
            x = layers.Conv2D(filters, side, padding=padding, activation="relu", name=name)(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x) if padding == "same" else x
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="classes")(x), name="thesis")


def _trained(plan: _Plan, data: LearningData, middle: Mapping[str, int]) -> keras.Model:
    def train() -> keras.Model:
        import keras

        from edge_sdk_converters.training import FitConfig, fit

        keras.utils.set_random_seed(0)
        model = _build(data.train.x.shape[1:], 10, middle)
        fit(model, data.train, data.validation, FitConfig(plan.epochs), progress=_tell)
        return model

    settings = {"middle": dict(middle), "epochs": plan.epochs}
    return train() if plan is _QUICK else kept("spatial-pairs" if middle else "thesis-mnist", settings, train)


def _recover(student: keras.Model, teacher: keras.Model, data: LearningData, plan: _Plan) -> None:
    from edge_sdk_converters.recover.apply import recover
    from edge_sdk_converters.recover.config import RecoverConfig

    config = RecoverConfig(plan.recovery, min_steps=0, learning_rate=5e-4)
    recover(student, teacher, data.train, data.validation, config, progress=_tell)


def _ranks(pairs: FactorizeResult) -> str:
    return ", ".join(f"{change.name} through {change.ranks[0]} channels" for change in pairs.replaced)


def _row(network: str, model: keras.Model, test: Examples) -> dict[str, Any]:
    from edge_sdk_converters.cost import count_macs, count_parameters
    from edge_sdk_converters.source import accuracy

    return {
        "network": network,
        "multiply-accumulates": count_macs(model),
        "params": count_parameters(model),
        "accuracy": accuracy(model, test),
    }


def _figures(rows: list[dict[str, Any]]) -> list[Figure]:
    plain, pairs, recovered, scratch = rows
    saved = plain["multiply-accumulates"] / pairs["multiply-accumulates"]
    return [
        Figure("multiply-accumulates, thesis / pairs", saved, "×"),
        Figure("parameters, thesis / pairs", plain["params"] / pairs["params"], "×"),
        *(
            Figure(f"accuracy lost, {name}", 100 * (plain["accuracy"] - row["accuracy"]), "points")
            for name, row in (("pairs", pairs), ("pairs, fine-tuned", recovered), ("pairs from scratch", scratch))
        ),
    ]


def _tell(done: int, planned: int, figures: dict[str, float]) -> None:
    sys.stderr.write(f"{done} of {planned}: {figures.get('val_loss', 0.0):.4f}\n")


if __name__ == "__main__":
    sys.exit(command("spatial_pairs", measure))
