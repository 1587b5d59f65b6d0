"""A head that grows: new scores are learnt beside the old ones, which stay what they were.

Forty remembered examples of a class say less about it than the thousands that the head was trained on. So what the head knows is
not learnt again from those forty: all its weights are kept, and only what leads to the taught classes is trained, against the old
scores. Every old class then loses to the taught ones what it must, and nothing to other old ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..mlp import MlpHead
from ..mlp_examples import Scaling, balanced_weights
from ..mlp_network import Adam, Parameters
from .settings import SETTINGS, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..memory import FeatureMemory

__all__ = ["grown"]


def grown(
    head: MlpHead,
    features: NDArray[np.float32],
    memory: FeatureMemory,
    taught: list[int],
    seed: int,
    settings: Settings = SETTINGS,
) -> MlpHead:
    """A head with new hidden units, and with scores for classes that it did not know.

    Args:
        head: Reads the first features and scores the first classes.
        features: Of all remembered examples, `float32 [M, P]`.
        memory: The examples; the head that comes out scores as many classes as it has.
        taught: Indices of the classes whose scores are learnt; each class that the head does not score is among them.
        seed: Of the new units' weights.
        settings: How many units, and how they are trained.

    Returns:
        A head whose scores of all other classes stand to each other as they did.
    """
    head = head if len(head.kernels) > 1 else _with_hidden_layer(head)
    targets = memory.labels
    classes = int(targets.max()) + 1
    weights = balanced_weights(targets, classes)
    weights[taught] *= settings.stress
    old = np.zeros((len(targets), classes), np.float32)
    old[:, : head.outputs] = _logits(head, features[:, : head.inputs])
    scaling = Scaling.of(features)
    units = min(settings.units * len(taught), settings.most_units)
    added = Parameters((features.shape[1], units, len(taught)), np.dtype(np.float32))
    kernel = added.kernels[0]
    kernel[...] = np.random.default_rng(seed).normal(0, math.sqrt(2 / len(kernel)), kernel.shape)
    task = _Task(scaling(features), targets, weights[targets] / weights[targets].sum(), old, taught)
    _fit(added, task, settings)
    first, bias = scaling.folded(added.kernels[0], added.biases[0])
    return _beside(head, MlpHead((first, added.kernels[1]), (bias, added.biases[1])), taught, classes)


class _Task(NamedTuple):
    """What is learnt: standardised features, targets, the weight of each example, the scores that stand, and which do not."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    weights: NDArray[np.float32]
    old: NDArray[np.float32]
    taught: list[int]


def _fit(added: Parameters, task: _Task, settings: Settings) -> None:
    """Train the new units in place, on all examples at every step: there are a few hundred."""
    gradient = Parameters(added.widths, added.flat.dtype)
    adam = Adam(added, settings.rate, settings.decay)
    rows = np.arange(len(task.y))
    for step in range(settings.steps):
        hidden = np.maximum(task.x @ added.kernels[0] + added.biases[0], 0)
        scores = task.old.copy()
        scores[:, task.taught] += hidden @ added.kernels[1] + added.biases[1]
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        scores[rows, task.y] -= 1
        scores *= task.weights[:, np.newaxis]
        error = scores[:, task.taught]
        np.matmul(hidden.T, error, out=gradient.kernels[1])
        np.add.reduce(error, axis=0, out=gradient.biases[1])
        error = error @ added.kernels[1].T
        error *= hidden > 0
        np.matmul(task.x.T, error, out=gradient.kernels[0])
        np.add.reduce(error, axis=0, out=gradient.biases[0])
        adam.step(gradient.flat, 0.5 * (1 + math.cos(math.pi * step / settings.steps)))


def _logits(head: MlpHead, features: NDArray[np.float32]) -> NDArray[np.float32]:
    hidden = features
    for kernel, bias in zip(head.kernels[:-1], head.biases[:-1], strict=True):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    logits: NDArray[np.float32] = hidden @ head.kernels[-1] + head.biases[-1]
    return logits


def _with_hidden_layer(head: MlpHead) -> MlpHead:
    """A linear head as one with a hidden layer: x is max(x, 0) - max(-x, 0)."""
    (kernel,), (bias,) = head.kernels, head.biases
    both = np.eye(head.inputs, dtype=np.float32)
    hidden = np.zeros(2 * head.inputs, np.float32)
    return MlpHead((np.concatenate((both, -both), axis=1), np.concatenate((kernel, -kernel))), (hidden, bias))


def _beside(head: MlpHead, added: MlpHead, taught: list[int], classes: int) -> MlpHead:
    """Both as one head: hidden units side by side, in every hidden layer, and scores of taught classes added up."""
    read, width = len(head.kernels[0]), head.kernels[0].shape[1]
    units = added.kernels[0].shape[1]
    first = np.zeros((added.inputs, width + units), np.float32)
    first[:read, :width], first[:, width:] = head.kernels[0], added.kernels[0]
    # What the first layer gives is not below 0, so that further layers can hand it on as it is.
    middle = [_blocks(kernel, np.eye(units, dtype=np.float32)) for kernel in head.kernels[1:-1]]
    last = _blocks(head.kernels[-1], np.zeros((units, classes - head.outputs), np.float32))
    last[-units:, taught] = added.kernels[1]
    scores = np.append(head.biases[-1], np.zeros(classes - head.outputs, np.float32))
    scores[taught] += added.biases[1]
    idle = [np.append(bias, np.zeros(units, np.float32)) for bias in head.biases[1:-1]]
    return MlpHead((first, *middle, last), (np.append(head.biases[0], added.biases[0]), *idle, scores))


def _blocks(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two kernels along the diagonal."""
    both = np.zeros((one.shape[0] + other.shape[0], one.shape[1] + other.shape[1]), np.float32)
    both[: one.shape[0], : one.shape[1]], both[one.shape[0] :, one.shape[1] :] = one, other
    return both
