"""Learning classes from embeddings: prototypes for what is new, the head retrained on that and on what is remembered.

How well it went is estimated on examples that a head did not learn from. Of few images every one is held out once
(cross-validation); of many, a part says enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..mlp_training import MlpTraining, balanced_weights, train_mlp
from .growing import grown
from .knowledge import Knowledge
from .prototypes import class_prototypes
from .settings import SETTINGS, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..memory import FeatureMemory
    from .examples import Examples

__all__ = ["Estimate", "estimated", "newly_trained", "taught"]

_FOLDS = 4
_ENOUGH = 50
"""Held-out images after which no further part is held out: an accuracy of 90 % is then known within 8 points."""
_EPOCHS, _STEPS = 24, 300
"""Passes over what is remembered, and steps of training at least, for a head that begins from nothing."""


class Estimate(NamedTuple):
    """Shares of held-out examples that are classified rightly, 0 to 1.

    Attributes:
        accuracy: Of each class that is taught, by label; None where it has a single image, of which none can be held out.
        held_out: Number of images that these are of.
        remembered: Of the examples of other classes that the feature memory held out; None where there are none.
        before: Of the same examples by the head that there was; None where that is a model.
    """

    accuracy: Mapping[str, float | None]
    held_out: int
    remembered: float | None
    before: float | None


def taught(
    knowledge: Knowledge,
    examples: Mapping[str, Examples],
    prototypes: int,
    seed: int,
    settings: Settings = SETTINGS,
) -> Knowledge:
    """With classes learnt: prototypes added, head retrained.

    Args:
        knowledge: What there is.
        examples: What is to be learnt, by label.
        prototypes: Prototypes per class.
        seed: Of k-means and of training.
        settings: How a head grows.

    Raises:
        UsageError: A class has fewer different images than prototypes.
    """
    start = knowledge.head
    for label, each in examples.items():
        knowledge = knowledge.shown(label, each.embeddings)
    embeddings = {label: each.embeddings for label, each in examples.items()}
    memory, measure = knowledge.memory, knowledge.similarity
    vectors = class_prototypes(embeddings, prototypes, measure, memory, knowledge.labels, seed, settings.equal)
    for label, own in vectors.items():
        knowledge = knowledge.with_prototypes(label, own)
    if start is None:
        return newly_trained(knowledge, seed)
    features = knowledge.features(knowledge.memory.embeddings)
    classes = [knowledge.class_index(label) for label in examples]
    return knowledge._replace(head=grown(start, features, memory, classes, seed, settings))


def newly_trained(knowledge: Knowledge, seed: int) -> Knowledge:
    """With a head trained on all that is remembered, every class weighing the same: where the one that was is a model.

    Args:
        knowledge: What there is; its own head is not looked at.
        seed: Of its weights, and of the order.
    """
    features, targets = knowledge.features(knowledge.memory.embeddings), knowledge.memory.labels
    epochs = max(_EPOCHS, -(-_STEPS * MlpTraining().batch // len(targets)))
    classes = len(knowledge.labels)
    config, weights = MlpTraining(epochs=epochs, patience=0, seed=seed), balanced_weights(targets, classes)
    return knowledge._replace(head=train_mlp(features, targets, classes, config, class_weights=weights))


def estimated(
    knowledge: Knowledge,
    examples: Mapping[str, Examples],
    prototypes: int,
    seed: int,
    told: Callable[[int, int], None] | None = None,
) -> Estimate:
    """How well classes will be told apart once they are taught, and those that were there before still are.

    Args:
        knowledge: What there is before.
        examples: What is to be learnt, by label.
        prototypes: Prototypes per class; fewer where what is not held out is not enough for so many.
        seed: Of the parts too.
        told: Told how many rounds are done, of how many.
    """
    rng = np.random.default_rng(seed)
    parts = {label: rng.permutation(len(each.embeddings)) % _FOLDS for label, each in examples.items()}
    memory_parts = rng.permutation(len(knowledge.memory.labels)) % _FOLDS
    rounds = _rounds([len(each.embeddings) for each in examples.values()])
    found: list[_Round] = []
    for number in range(rounds):
        if told:
            told(number, rounds)
        held = {label: own == number if len(own) > 1 else np.zeros(1, bool) for label, own in parts.items()}
        found.append(_round(knowledge, examples, held, memory_parts == number, prototypes, seed))
    return _summed(found, examples)


def _rounds(counts: list[int]) -> int:
    """Rounds after which enough images, or all of them, were held out; none where there is no image to hold out."""
    several = sum(count for count in counts if count > 1)
    return min(_FOLDS, -(-_ENOUGH * _FOLDS // several)) if several else 0


class _Round(NamedTuple):
    """Which held-out examples were right."""

    hits: Mapping[str, NDArray[np.bool_]]
    remembered: NDArray[np.bool_]
    before: NDArray[np.bool_] | None


def _round(
    knowledge: Knowledge,
    examples: Mapping[str, Examples],
    held: Mapping[str, NDArray[np.bool_]],
    memory_held: NDArray[np.bool_],
    prototypes: int,
    seed: int,
) -> _Round:
    """Learn from what is not held out, and try what is."""
    rest = {label: each.part(~held[label]) for label, each in examples.items()}
    fewest = min(len(each.embeddings) for each in rest.values())
    memory = knowledge.memory
    base = knowledge._replace(memory=memory.part(~memory_held))
    after = taught(base, rest, min(prototypes, fewest), seed)
    hits = {
        label: after.predictions(each.embeddings[held[label]]) == after.class_index(label)
        for label, each in examples.items()
        if held[label].any()
    }
    others = memory.part(memory_held & ~np.isin(memory.labels, [knowledge.class_index(label) for label in examples]))
    before = _hits(knowledge, others) if knowledge.head else None
    return _Round(hits, _hits(after, others), before)


def _hits(knowledge: Knowledge, memory: FeatureMemory) -> NDArray[np.bool_]:
    hits: NDArray[np.bool_] = knowledge.predictions(memory.embeddings) == memory.labels
    return hits


def _summed(found: list[_Round], examples: Mapping[str, Examples]) -> Estimate:
    accuracy = {label: _share([each.hits[label] for each in found if label in each.hits]) for label in examples}
    before = [each.before for each in found if each.before is not None]
    held_out = sum(len(hits) for each in found for hits in each.hits.values())
    return Estimate(accuracy, held_out, _share([each.remembered for each in found]), _share(before))


def _share(hits: list[NDArray[np.bool_]]) -> float | None:
    together = np.concatenate(hits) if hits else np.zeros(0, bool)
    return float(together.mean()) if len(together) else None
