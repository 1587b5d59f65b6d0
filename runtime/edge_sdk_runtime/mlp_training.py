"""Training the NumPy head where it runs: mini-batch Adam with decoupled weight decay, early stopping and class weights.

Adam is that of Kingma and Ba, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980); its weight decay and cosine schedule
follow Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101), the decay scaled by the learning rate as
in Keras's AdamW; the initial weights are those of He et al. (arXiv 1502.01852). Similarities to prototypes are much alike, all near
0.9 for instance, so features are brought to mean 0 and deviation 1 for training; the first layer takes that in afterwards, and the
result is a plain `MlpHead` of the features as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UsageError
from .mlp import MlpHead
from .mlp_examples import Examples, Scaling, balanced_weights, checked, checked_weights
from .mlp_network import Adam, Network, Parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MlpTraining", "Progress", "balanced_weights", "loss_and_gradients", "train_mlp"]

Progress = Callable[[int, int, float], None]
"""Told after every epoch: epochs done, epochs planned, the loss by which the best is chosen."""

_ROWS = 1024
"""Examples at a time when a loss is measured, so that memory does not grow with their number."""


@dataclass(frozen=True)
class MlpTraining:
    """How a head is trained.

    Attributes:
        hidden: Widths of the hidden layers; none gives a linear classifier.
        epochs: Passes over the examples, at most.
        batch: Examples per step.
        learning_rate: Adam's at the start; it falls to zero along a cosine.
        weight_decay: A step shrinks the kernels by this share of the learning rate. Biases are left alone.
        patience: Epochs without a lower loss after which training stops; 0 never stops early.
        seed: Of the initial weights and the order.
    """

    hidden: tuple[int, ...] = (32,)
    epochs: int = 60
    batch: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if min((self.epochs, self.batch, *self.hidden)) < 1:
            raise UsageError(
                "Epochs, batch and hidden widths must be at least 1. "
                f"Received: {self.epochs}, {self.batch} and {list(self.hidden)}. Leave out a hidden layer of 0."
            )
        sizes = (self.learning_rate, self.weight_decay, self.patience)
        if not (self.learning_rate > 0 and all(0 <= size < math.inf for size in sizes)):
            raise UsageError(
                "The learning rate must be above 0, weight decay and patience 0 or more. "
                f"Received: {self.learning_rate}, {self.weight_decay} and {self.patience}. Leave them as they are."
            )


def train_mlp(
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    classes: int,
    config: MlpTraining = MlpTraining(),
    *,
    class_weights: NDArray[np.float32] | None = None,
    validation: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None,
    start: MlpHead | None = None,
    progress: Progress | None = None,
) -> MlpHead:
    """Train a head on similarity features.

    The weights of the epoch with the lowest loss are kept: that on the validation examples, else that on all examples. The
    same arguments give the same head on the same machine.

    Args:
        features: `float32 [N, P]`.
        targets: Class indices of at least 2 different classes, `int64 [N]`.
        classes: Number of classes; one without examples is learnt to be improbable.
        config: Sizes, epochs, seed.
        class_weights: How much an example of each class counts, `float32 [classes]`; `balanced_weights` for unequal numbers.
        validation: Features and targets that decide when to stop and which weights to keep.
        start: A head to begin from, with as many layers. A kernel that is not larger than the new one is taken with its bias,
            and what the new one has beyond it, such as appended features and classes, begins afresh; so does a larger one.
        progress: Told after every epoch.

    Returns:
        The head, `float32 [P]` → probabilities `[classes]`.

    Raises:
        UsageError: An array has another shape than it should, features are not finite, a target is no class index, there are
            no examples or of one class only, a class weight is negative or NaN, or the learning rate is so high that no epoch
            ends with a finite loss.
    """
    features, targets = checked(features, targets, classes, "Training")
    if (targets == targets[0]).all():
        raise UsageError(
            f"Training needs examples of at least 2 classes. Received: {len(targets)} of class {targets[0]} alone. "
            "Add examples of another class."
        )
    scaling = Scaling.of(features)
    weights = None if class_weights is None else checked_weights(class_weights, classes)
    train = Examples(scaling(features), targets, None if weights is None else weights[targets])
    held_out = train
    if validation is not None:
        x, y = checked(*validation, classes, "Validation", features.shape[1])
        held_out = Examples(scaling(x), y, None if weights is None else weights[y])
    rng = np.random.default_rng(config.seed)
    parameters = Parameters((features.shape[1], *config.hidden, classes), np.dtype(np.float32))
    _begin(parameters, rng, scaling, start)
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is never the lowest
        _fit(parameters, train, held_out, config, rng, progress)
    parameters.kernels[0][...], parameters.biases[0][...] = scaling.folded(parameters.kernels[0], parameters.biases[0])
    return parameters.head()


def loss_and_gradients(
    head: MlpHead,
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.int64],
    weights: NDArray[np.floating[Any]] | None = None,
    weight_decay: float = 0.0,
) -> tuple[float, tuple[NDArray[np.floating[Any]], ...], tuple[NDArray[np.floating[Any]], ...]]:
    """Mean cross-entropy of a head, and how it changes with every weight, by the code that `train_mlp` runs.

    Args:
        head: Its arrays may be float64, and all is computed so where they or the features are.
        features: `[N, P]`.
        targets: Class indices, `int64 [N]`.
        weights: How much each example counts, `[N]`; 1 where None. Their sum is not divided by, N is.
        weight_decay: Half of this times the sum of the kernels' squares is added to the loss.

    Returns:
        The loss, its gradients by the kernels and those by the biases, in the head's shapes.

    Raises:
        UsageError: The arrays do not fit the head, or are none that can be learnt from.
    """
    x, y = checked(features, targets, head.outputs, "A loss", head.inputs)
    parameters = Parameters.like(head, np.result_type(x, *head.kernels, *head.biases))
    network = Network(parameters, len(x))
    network.forward(x.astype(parameters.flat.dtype, copy=False))
    losses = network.losses(y)
    loss = float((losses if weights is None else losses * weights).mean())
    network.backward(x, y, weights)
    kernels = parameters.flat[: parameters.kernel_size]
    network.gradient.flat[: parameters.kernel_size] += weight_decay * kernels
    gradient = network.gradient
    return loss + 0.5 * weight_decay * float(kernels @ kernels), tuple(gradient.kernels), tuple(gradient.biases)


def _begin(parameters: Parameters, rng: np.random.Generator, scaling: Scaling, start: MlpHead | None) -> None:
    """He's initial kernels and biases of 0, then what fits of the head to begin from."""
    for kernel in parameters.kernels:
        kernel[...] = rng.normal(0, math.sqrt(2 / len(kernel)), kernel.shape)
    if start is None or len(start.kernels) != len(parameters.kernels):
        return
    for index, (kernel, bias) in enumerate(zip(start.kernels, start.biases, strict=True)):
        rows, columns = kernel.shape
        if rows > parameters.kernels[index].shape[0] or columns > len(parameters.biases[index]):
            continue
        of_first = index == 0  # which sees standardised features
        factor, offset = (scaling.deviation[:rows, np.newaxis], scaling.mean[:rows] @ kernel) if of_first else (1, 0)
        parameters.kernels[index][:rows, :columns] = kernel * factor
        parameters.biases[index][:columns] = bias + offset


def _fit(
    parameters: Parameters,
    train: Examples,
    held_out: Examples,
    config: MlpTraining,
    rng: np.random.Generator,
    progress: Progress | None,
) -> None:
    """Train in place and leave the best epoch's weights."""
    batch = min(config.batch, len(train.y))
    network, judge = Network(parameters, batch), Network(parameters, min(_ROWS, len(held_out.y)))
    adam = Adam(parameters, config.learning_rate, config.weight_decay)
    chosen = np.empty((batch, train.x.shape[1]), np.float32)
    best, kept, since = math.inf, parameters.flat.copy(), 0
    for epoch in range(config.epochs):
        order = rng.permutation(len(train.y))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            x = np.take(train.x, rows, axis=0, out=chosen[: len(rows)], mode="clip")  # "raise" would copy it twice
            y, weights = train.y[rows], None if train.weights is None else train.weights[rows]
            network.forward(x)
            network.backward(x, y, weights)
            done = (epoch + start / len(order)) / config.epochs
            adam.step(network.gradient.flat, 0.5 * (1 + math.cos(math.pi * done)))
        loss, since = _mean_loss(judge, held_out), since + 1
        if progress:
            progress(epoch + 1, config.epochs, loss)
        if loss < best:
            best, since = loss, 0
            kept[...] = parameters.flat
        elif config.patience and since >= config.patience:
            break
    if best == math.inf:
        raise UsageError(
            f"Training must end an epoch with a finite loss. Received: none in {config.epochs}. "
            f"Choose a learning rate below {config.learning_rate:g}."
        )
    parameters.flat[...] = kept


def _mean_loss(network: Network, examples: Examples) -> float:
    total = 0.0
    for start in range(0, len(examples.y), _ROWS):
        part = slice(start, start + _ROWS)
        network.forward(examples.x[part])
        losses = network.losses(examples.y[part])
        total += float((losses if examples.weights is None else losses * examples.weights[part]).sum())
    return total / len(examples.y)
