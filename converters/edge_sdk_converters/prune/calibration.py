"""The images that criteria judge by, drawn from what a pass may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ..graph import Graph
    from ..training import Examples

__all__ = ["Calibration", "draw", "evaluated", "require_fitting"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images that a criterion judges by.

    Attributes:
        x: Model inputs, `[N, …]`.
        y: Class indices, `int64 [N]`.
        seed: Of the choice of positions in them.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    seed: int = 0


def draw(examples: Examples, graph: Graph, samples: int, seed: int) -> Calibration:
    """Draw images at random, without repeats.

    Args:
        examples: What to draw from.
        graph: The traced model that they are for.
        samples: How many at most.
        seed: Of the choice.

    Returns:
        `min(samples, N)` of the examples, in their order.

    Raises:
        ModelError: The model has several inputs, or one of another shape, or there are no examples.
    """
    require_fitting(examples.x, graph)
    rows = np.sort(np.random.default_rng(seed).permutation(len(examples.x))[:samples])
    return Calibration(examples.x[rows], examples.y[rows], seed)


def require_fitting(x: NDArray[Any], graph: Graph) -> None:
    """Refuse inputs that the model does not take.

    Args:
        x: Model inputs, `[N, …]`.
        graph: The traced model that they are for.

    Raises:
        ModelError: There are none, the model has several inputs, or one of another shape.
    """
    wanted = [list(tensor.shape[1:]) for tensor in graph.inputs]
    received = list(x.shape[1:])
    fits = len(wanted) == 1 and len(wanted[0]) == len(received)
    if not (fits and all(size in (None, given) for size, given in zip(wanted[0], received, strict=True)) and len(x)):
        raise ModelError(
            f"Calibration images must have the shape of the model's one input. Received: {len(x)} of {received} "
            f"for '{graph.name}', which takes {', '.join(map(str, wanted))}. Prepare the images as for training."
        )


def evaluated(
    graph: Graph, tensors: Sequence[keras.KerasTensor], x: NDArray[Any], batch_size: int = 32
) -> Iterator[list[NDArray[np.float32]]]:
    """Run images through a graph, and give what some of its tensors are for a few of them at a time.

    Args:
        graph: The traced model.
        tensors: Symbolic tensors of the graph.
        x: Model inputs, `[N, …]`.
        batch_size: How many images at a time; no more than these are held.

    Yields:
        For each tensor `float32 [images, …]`.
    """
    model = keras.Model(graph.inputs[0] if len(graph.inputs) == 1 else list(graph.inputs), list(tensors))
    for start in range(0, len(x), batch_size):
        values = keras.tree.flatten(model(x[start : start + batch_size], training=False))
        yield [np.asarray(keras.ops.convert_to_numpy(value), np.float32) for value in values]
