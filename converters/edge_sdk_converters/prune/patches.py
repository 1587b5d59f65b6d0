"""What the readers of units get to see: input patches at random positions of random images.

Output of a reader at such a position is patch · kernel + bias, whatever stride, padding, dilation or transposition, so
sums over patches say what a channel contributes (Luo et al., "ThiNet", 2017, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .calibration import evaluated
from .readers import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..graph import Call, Graph

__all__ = ["PatchBatch", "sampled_patches"]

PatchBatch = tuple[Reader, "NDArray[np.float32]"]
"""A reader and some of its input patches, `float32 [rows, positions of the kernel, input channels]`."""


def sampled_patches(
    graph: Graph, readers: Sequence[Reader], x: NDArray[Any], per_image: int, rng: np.random.Generator
) -> Iterator[PatchBatch]:
    """Run images through a graph and cut patches out of what every reader gets; all calls of a shared one count.

    Args:
        graph: The traced model.
        readers: Whose inputs to cut.
        x: Model inputs, `[N, …]`.
        per_image: Positions per image and call, drawn with repeats; no more than there are.
        rng: Decides the positions.

    Yields:
        For every few images, each reader's patches; memory is bounded by those few.
    """
    calls = [(reader, call) for reader in readers for call in reader.calls]
    for values in evaluated(graph, [call.inputs[0] for _, call in calls], x):
        for (reader, call), tensor in zip(calls, values, strict=True):
            yield reader, _cut(call, tensor, per_image, rng)


def _cut(call: Call, values: NDArray[np.float32], per_image: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Patches at `per_image` random output positions of every image, `[rows, positions of the kernel, channels]`."""
    channels = values.shape[-1]
    if isinstance(call.layer, keras.layers.Dense):  # a position is any place of the axes between
        values = values.reshape(len(values), -1, channels)
        sources = [np.arange(values.shape[1])[:, None]]
    else:
        sizes = zip(values.shape[1:-1], call.outputs[0].shape[1:-1], strict=True)
        sources = [_sources(call.layer, axis, before, behind) for axis, (before, behind) in enumerate(sizes)]
    per_image = min(per_image, math.prod(map(len, sources)))
    padded = np.pad(values, [(0, 0), *[(0, 1)] * len(sources), (0, 0)])  # index -1 finds the zeros
    rows = np.repeat(np.arange(len(values)), per_image)
    taps = [source[rng.integers(len(source), size=len(rows))] for source in sources]
    spread = [
        np.expand_dims(tap, tuple(1 + other for other in range(len(taps)) if other != axis))
        for axis, tap in enumerate(taps)
    ]
    patches = padded[(rows.reshape(-1, *[1] * len(taps)), *spread)]
    return patches.reshape(len(rows), -1, channels)


def _sources(layer: keras.Layer, axis: int, before: int, behind: int) -> NDArray[np.int64]:
    """For each output position along an axis, the input position under each element of the kernel; -1 for padding."""
    size, stride, dilation = layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis]
    reach = (size - 1) * dilation + 1
    outputs, elements = np.arange(behind)[:, None], np.arange(size)[None] * dilation
    if isinstance(layer, keras.layers.Conv2DTranspose):
        shifted = outputs + (max(reach - stride, 0) // 2 if layer.padding == "same" else 0) - elements
        inputs = np.where(shifted % stride == 0, shifted // stride, -1)
    else:
        margin = {"same": max((behind - 1) * stride + reach - before, 0) // 2, "causal": reach - 1}
        inputs = outputs * stride + elements - margin.get(layer.padding, 0)
    found: NDArray[np.int64] = np.where((inputs >= 0) & (inputs < before), inputs, -1)
    return found
