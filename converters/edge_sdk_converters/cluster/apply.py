"""Make the weights of each layer share few values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..errors import RecipeError
from ..fold import fold_batch_norms
from ..graph import require_kernels, require_layers, trace
from .coding import coded_bytes, distinct_values
from .config import Form
from .search import choose_bits
from .subjects import subjects_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..learning import LearningData, Told
    from .config import ClusterConfig
    from .subjects import Subject

__all__ = ["ClusterResult", "LayerSharing", "cluster"]


@dataclass(frozen=True)
class LayerSharing:
    """What one layer's weights share.

    Attributes:
        name: Name of the layer.
        weights: Weights in its kernels, and in its bias where biases are shared too.
        zeros: Those of them that are exactly zero.
        values: Different values of the others; a shared k×k kernel counts with all of its values.
        bits: Bits of an index into a codebook of its kernels, log2 of how many shared values or kernels were asked for.
        coded_bytes: What a code of symbols one by one needs at least for all of it, codebooks included.
        error: Squared error of its tensors as a share of their squares.
    """

    name: str
    weights: int
    zeros: int
    values: int
    bits: float
    coded_bytes: int
    error: float


@dataclass(frozen=True)
class ClusterResult:
    """What a weight-sharing pass did.

    Attributes:
        model: The network of shared weights, built but not compiled; batch normalisations are folded where that is possible.
        layers: Every layer whose weights are shared, in the model's order.
        folded: Names of the batch normalisations that are gone.
        unfolded: Those that stay, each with the reason.
    """

    model: keras.Model
    layers: tuple[LayerSharing, ...]
    folded: tuple[str, ...]
    unfolded: tuple[tuple[str, str], ...]


def cluster(
    model: keras.Model, config: ClusterConfig, data: LearningData | None = None, told: Told | None = None
) -> ClusterResult:
    """Replace the weights of every layer by few shared values, found by k-means (Deep Compression, section 3).

    Batch normalisations are folded first: folded later by the converter, they would scale every channel by a factor of its
    own. So a float32 .tflite file of the result has as few values as the result.

    Args:
        model: A functional or sequential Keras model. It stays untouched.
        config: How many values, what shares them, and how they are found.
        data: Training images to measure on what bits cost, and validation images; needed where the configuration has a budget.
        told: Told how many layers have been looked into, and of how many.

    Returns:
        The new model, and per layer what is shared, what it takes and what it loses.

    Raises:
        ModelError: The model has no functional graph, or no kernel outside `config.skip`.
        RecipeError: The configuration names a layer that the model does not have, or needs data that is not there.
        BudgetError: The budget cannot be met; says which limit binds, and the best that was reached.
    """
    graph = trace(model)
    require_layers(graph, config.skip)
    folded = fold_batch_norms(model)
    in_order = [folded.model.get_layer(layer.name) for layer in graph.layers if layer.name not in folded.folded]
    subjects = subjects_of(in_order, config)
    require_kernels(subjects, "Sharing weights", model)
    _require_known(subjects, config)
    if config.budget is None:
        counts = {subject.name: config.count_for(subject.name) for subject in subjects}
    else:
        bits = choose_bits(folded.model, subjects, config, data, told)
        counts = {name: 2**each for name, each in bits.items()}
    layers = tuple(_share(subject, counts[subject.name], config) for subject in subjects)
    return ClusterResult(folded.model, layers, folded.folded, folded.kept)


def _share(subject: Subject, count: int, config: ClusterConfig) -> LayerSharing:
    """Share the weights of one layer in place."""
    before, after = subject.values(), subject.shared(count, config)
    subject.assign(after)
    return LayerSharing(
        subject.name,
        sum(value.size for value in after),
        sum(int((value == 0).sum()) for value in after),
        sum(map(distinct_values, after)),
        1.0 if config.form is Form.BINARY else math.log2(count),
        sum(map(coded_bytes, after)),
        _relative_error(before, after),
    )


def _relative_error(before: Sequence[NDArray[np.float32]], after: Sequence[NDArray[np.float32]]) -> float:
    squares = sum(float(np.square(value.astype(np.float64)).sum()) for value in before)
    lost = sum(float(np.square(one.astype(np.float64) - other).sum()) for one, other in zip(before, after, strict=True))
    return lost / squares if squares else 0.0


def _require_known(subjects: Sequence[Subject], config: ClusterConfig) -> None:
    known = [subject.name for subject in subjects]
    for layer in config.layers:
        if layer not in known:
            raise RecipeError(
                f"layers must name layers with a kernel. Received: '{layer}'. Choose from {', '.join(known[:20])}."
            )
