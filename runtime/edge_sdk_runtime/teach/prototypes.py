"""Prototypes of a class from a few embeddings, where there is nothing but NumPy: the mean, or the centres of k-means.

An encoder that never saw a class puts it between those that it was trained to tell apart, near one of them. The direction of its mean
then says little. What is different about it is the difference from the means of the classes that it resembles, turned away from the
directions in which every class scatters, as in Fisher's linear discriminant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..scatter import EQUAL, class_means, unscattered
from ..similarity import EPSILON, Similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..memory import FeatureMemory

__all__ = ["class_prototypes"]

_STARTS, _STEPS = 4, 50
_NO_DIRECTION = 1e-6


def class_prototypes(
    examples: Mapping[str, NDArray[np.float32]],
    count: int,
    measure: Similarity,
    memory: FeatureMemory,
    labels: Sequence[str] = (),
    seed: int = 0,
    equal: float = EQUAL,
) -> dict[str, NDArray[np.float32]]:
    """Reference vectors of classes.

    Embeddings are brought to unit length first, and for correlation to mean 0 before that. From the mean or centre of a class the
    means of the others are taken away, those that are most like it counting most, and what is left is turned away from the
    directions in which all classes scatter. Not so for Euclidean similarity, which asks how near a prototype is: it gets means
    and centres of the embeddings as they are. k-means starts as k-means++ does (Arthur and Vassilvitskii, 2007), and the
    best of four starts is kept.

    Args:
        examples: By label, embeddings `float32 [N, D]`, finite, all different.
        count: Prototypes of each class, 1 for the mean.
        measure: How embeddings will be compared with them.
        memory: Examples of all classes, of these too.
        labels: Names of the remembered classes, by class index; what is remembered under its own name is not taken from a class.
        seed: Of the starts.
        equal: The part of the scatter that is taken to be equal in all directions.

    Returns:
        By label, `float32 [count, D]`.

    Raises:
        UsageError: A class has fewer embeddings than prototypes, or embeddings without a common direction.
    """
    centres = {label: _centres(label, embeddings, count, measure, seed) for label, embeddings in examples.items()}
    if measure is not Similarity.EUCLIDEAN:
        means = _means(memory, measure)
        apart = [
            _apart(each, [mean for own, mean in means.items() if label not in labels[own : own + 1]])
            for label, each in centres.items()
        ]
        turned = unscattered(np.concatenate(apart), memory, equal)
        centres = dict(zip(centres, np.split(turned, len(centres)), strict=True))
    return {label: each.astype(np.float32) for label, each in centres.items()}


def _centres(
    label: str, embeddings: NDArray[np.float32], count: int, measure: Similarity, seed: int
) -> NDArray[np.float64]:
    if not 1 <= count <= len(embeddings):
        raise UsageError(
            f"A class needs 1 prototype or more, and at least as many different images as prototypes. "
            f"Received: {len(embeddings)} different images of {label!r} for {count}. Add images, or ask for fewer prototypes."
        )
    compared = _compared(embeddings.astype(np.float64), measure)
    centres = compared.mean(axis=0, keepdims=True) if count == 1 else _k_means(compared, count, seed)
    if measure is not Similarity.EUCLIDEAN and np.linalg.norm(centres, axis=1).min() < _NO_DIRECTION:
        raise UsageError(
            f"A prototype must have a direction. Received: {len(embeddings)} embeddings of {label!r} that are blank or cancel out. "
            "Show the object itself, and nothing else."
        )
    return centres


def _means(memory: FeatureMemory, measure: Similarity) -> dict[int, NDArray[np.float64]]:
    """Mean of every remembered class, as the measure sees it, by class index."""
    compared = _compared(memory.embeddings.astype(np.float64), measure)
    means = class_means(compared, memory.labels, int(memory.labels.max()) + 1)
    return {int(own): means[own] for own in np.unique(memory.labels)}


def _apart(centres: NDArray[np.float64], others: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What sets centres, `[k, D]`, apart from other classes' means: the nearer one is, the more of it is taken away."""
    if not others:
        return centres
    squares = _squares(centres, np.stack(others))
    weights = np.exp(-squares / np.maximum(squares.min(axis=1, keepdims=True), _NO_DIRECTION**2))
    apart = centres - weights @ np.stack(others) / weights.sum(axis=1, keepdims=True)
    alike = (
        np.linalg.norm(apart, axis=1, keepdims=True) < _NO_DIRECTION
    )  # nothing tells them from a class that is there
    return np.where(alike, centres, apart)


def _compared(embeddings: NDArray[np.float64], measure: Similarity) -> NDArray[np.float64]:
    """What the measure sees of embeddings."""
    if measure is Similarity.EUCLIDEAN:
        return embeddings
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if measure is Similarity.CORRELATION:
        centred = embeddings - embeddings.mean(axis=1, keepdims=True)
        left = np.linalg.norm(centred, axis=1, keepdims=True)
        embeddings = np.where(left > lengths * EPSILON**0.5, centred, 0.0)  # of a constant only rounding is left
        lengths = left
    compared: NDArray[np.float64] = embeddings / np.maximum(lengths, EPSILON)
    return compared


def _k_means(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    found = [_settled(points, _start(points, count, rng)) for _ in range(_STARTS)]
    return min(found, key=lambda centres: float(_squares(points, centres).min(axis=1).sum()))


def _start(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Different points, each drawn with a chance that grows with its squared distance to those before."""
    chosen = [int(rng.integers(len(points)))]
    nearest = _squares(points, points[chosen])[:, 0]
    while len(chosen) < count:
        total = nearest.sum()  # 0 where rounding makes all that is left equal to what was chosen
        chosen.append(int(rng.choice(len(points), p=nearest / total if total > 0 else None)))
        nearest = np.minimum(nearest, _squares(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def _settled(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lloyd's iteration; a centre that loses all its points stays where it was."""
    for _ in range(_STEPS):
        owners = _squares(points, centres).argmin(axis=1)
        moved = np.stack(
            [
                points[owners == own].mean(axis=0) if (owners == own).any() else centres[own]
                for own in range(len(centres))
            ]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _squares(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances `[N, centres]`; never below 0."""
    squares: NDArray[np.float64] = (
        (points * points).sum(axis=1, keepdims=True) - 2 * points @ centres.T + (centres * centres).sum(axis=1)
    )
    return np.maximum(squares, 0.0, out=squares)
