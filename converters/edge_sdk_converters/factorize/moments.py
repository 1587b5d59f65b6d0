"""What layers see: second moments of their inputs over calibration images, gathered in one pass over them.

The output error of a layer whose kernel K becomes K̂ is E‖(K − K̂)ᵀp‖² = tr((K − K̂)ᵀ·E[p·pᵀ]·(K − K̂)) over its input
patches p, so second moments are all that data-aware factorization has to know (Zhang et al., "Accelerating Very Deep
Convolutional Networks for Classification and Detection", arXiv 1505.06798). Patches are sampled, never all kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ..graph import Call, Graph

__all__ = ["LARGEST_PATCH", "Moments", "collect_moments", "is_matrix", "sample_patches"]

LARGEST_PATCH = 8192
"""Values in a convolution's input patch above which its moments would take more than half a gibibyte."""

_LEAST_PATCHES = 4096
_PATCHES_PER_VALUE = 2
"""Patches that are sampled per layer: the larger of a floor and a multiple of the values in a patch."""

_BATCH_BYTES = 1 << 27
"""Intermediate results that one batch of images may take."""


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of vectors.

    Attributes:
        count: Vectors seen.
        mean: `float64 [d]`.
        second: E[v·vᵀ], not centred, `float64 [d, d]`.
    """

    count: int
    mean: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Moments:
        """The moments of vectors `[count, d]`, count at least 1."""
        wide = np.asarray(rows, np.float64)
        return cls(len(wide), wide.mean(axis=0), wide.T @ wide / len(wide))

    def covariance(self, *, centred: bool) -> NDArray[np.float64]:
        """The covariance `[d, d]`, or without `centred` the second moments as they are."""
        return self.second - np.outer(self.mean, self.mean) if centred else self.second

    def joined(self, other: Moments) -> Moments:
        """The moments of both sets of vectors together."""
        count = self.count + other.count
        share = other.count / count
        return Moments(
            count,
            (1 - share) * self.mean + share * other.mean,
            (1 - share) * self.second + share * other.second,
        )


def is_matrix(layer: keras.Layer) -> bool:
    """Whether a layer multiplies single positions by a matrix: a dense layer or a 1×1 convolution."""
    return isinstance(layer, keras.layers.Dense) or set(layer.kernel_size) == {1}


def collect_moments(
    graph: Graph, layers: Sequence[keras.Layer], images: NDArray[np.generic], *, seed: int = 0
) -> dict[int, Moments]:
    """Run calibration images through a model once and gather what each layer needs to know.

    For a convolution these are the moments of its input patches, in the order of its kernel's first three axes. For what
    `is_matrix` they are those of its *outputs* before bias and activation, which decide the best low-rank factors alone
    and stay small where a flattened input is large. All calls of a shared layer count, each by its positions.

    Args:
        graph: What `trace` returned.
        layers: Dense layers and channels-last convolutions of the graph. A convolution's patch holds `LARGEST_PATCH` values at most.
        images: Model inputs `[N, …]`, N at least 1.
        seed: Of the sampled positions.

    Returns:
        Moments by `id` of the layer.

    Raises:
        ModelError: The images do not have the size that the model takes, or there are none.
    """
    _check_images(graph, images)
    sites = _sites(graph, layers, len(images))
    moments: dict[int, Moments] = {}
    if not sites:
        return moments
    rng = np.random.default_rng(seed)
    for tensors in _activations(graph, [site.call.inputs[0] for site in sites], images):
        for site in sites:
            rows = sample_patches(site.call.layer, tensors[id(site.call.inputs[0])], site.per_image, rng)
            if is_matrix(site.call.layer):
                rows = rows @ _kernel_matrix(site.call.layer)
            fresh, known = Moments.of(rows), moments.get(id(site.call.layer))
            moments[id(site.call.layer)] = fresh if known is None else known.joined(fresh)
    return moments


def sample_patches(
    layer: keras.Layer, tensor: NDArray[np.floating], per_image: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Input patches of a layer at random positions of its output, each position at most once.

    Args:
        layer: A dense layer, or a convolution with channels last.
        tensor: Its input: `[N, …, channels]` for a dense layer, `[N, height, width, channels]` for a convolution.
        per_image: Positions per image; all of them where there are fewer.
        rng: Chooses them.

    Returns:
        `float64 [N · positions, values]`, values in the order of the kernel's axes but the last.
    """
    wide = np.asarray(tensor, np.float64)
    if isinstance(layer, keras.layers.Dense):
        rows = wide.reshape(len(wide), -1, wide.shape[-1])
        chosen = _choose(len(wide), rows.shape[1], per_image, rng)
        return np.asarray(np.take_along_axis(rows, chosen[:, :, None], axis=1).reshape(-1, wide.shape[-1]))
    padded, (height, width) = _padded(layer, wide)
    chosen = _choose(len(wide), height * width, per_image, rng)
    rows, columns = (
        (index * stride)[:, :, None] + np.arange(size) * dilation
        for index, stride, size, dilation in zip(
            np.divmod(chosen, width), layer.strides, layer.kernel_size, layer.dilation_rate, strict=True
        )
    )
    batch = np.arange(len(wide))[:, None, None, None]
    return np.asarray(padded[batch, rows[:, :, :, None], columns[:, :, None, :]].reshape(chosen.size, -1))


@dataclass(frozen=True, eq=False)
class _Site:
    """One call whose input is looked at, and in how many places per image."""

    call: Call
    per_image: int


def _sites(graph: Graph, layers: Sequence[keras.Layer], images: int) -> list[_Site]:
    sites = []
    for layer in layers:
        calls = [call for call in graph.calls if call.layer is layer]
        positions = [_positions(call) for call in calls]
        wanted = _LEAST_PATCHES
        if not is_matrix(layer):
            wanted = max(wanted, _PATCHES_PER_VALUE * math.prod(layer.kernel.shape[:-1]))
        share = min(1.0, wanted / (images * sum(positions)))
        sites += [_Site(call, math.ceil(share * count)) for call, count in zip(calls, positions, strict=True)]
    return sites


def _positions(call: Call) -> int:
    return math.prod(int(size or 1) for size in call.outputs[0].shape[1:-1])


def _activations(
    graph: Graph, tensors: Sequence[keras.KerasTensor], images: NDArray[np.generic]
) -> Iterator[dict[int, NDArray[np.floating]]]:
    """The values of symbolic tensors, by their `id`, batch after batch."""
    unique = list({id(tensor): tensor for tensor in tensors}.values())
    values = sum(math.prod(int(size or 1) for size in tensor.shape[1:]) for tensor in unique)
    batch = max(1, min(64, _BATCH_BYTES // (4 * values)))
    tap = keras.Model(graph.inputs[0], unique)
    for start in range(0, len(images), batch):
        results = tap(keras.ops.convert_to_tensor(images[start : start + batch]), training=False)
        results = results if len(unique) > 1 else keras.tree.flatten(results)  # Keras unwraps a list of one
        yield {id(tensor): keras.ops.convert_to_numpy(result) for tensor, result in zip(unique, results, strict=True)}


def _check_images(graph: Graph, images: NDArray[np.generic]) -> None:
    wanted = graph.inputs[0].shape[1:]
    fits = images.ndim == len(wanted) + 1 and all(
        size in (None, got) for size, got in zip(wanted, images.shape[1:], strict=True)
    )
    if not fits or len(graph.inputs) != 1 or not len(images):
        raise ModelError(
            f"Calibration images must have the size that the model takes, {[None, *wanted]}. Received: {list(images.shape)}. "
            "Preprocess them as the model's own images are."
        )


def _kernel_matrix(layer: keras.Layer) -> NDArray[np.float64]:
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    return kernel.reshape(kernel.shape[-2:])


def _choose(images: int, positions: int, per_image: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Different positions for every image, `int64 [images, min(per_image, positions)]`."""
    if per_image >= positions:
        return np.tile(np.arange(positions), (images, 1))
    return np.argsort(rng.random((images, positions)), axis=1)[:, :per_image]


def _padded(layer: keras.layers.Conv2D, tensor: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The input with the zeros that the layer adds, and height and width of its output."""
    sizes, margins = [], []
    for size, kernel, stride, dilation in zip(
        tensor.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = dilation * (kernel - 1) + 1
        if layer.padding == "same":
            sizes.append(-(-size // stride))
            missing = max(0, (sizes[-1] - 1) * stride + reach - size)
            margins.append((missing // 2, missing - missing // 2))
        else:
            sizes.append((size - reach) // stride + 1)
            margins.append((0, 0))
    return np.pad(tensor, [(0, 0), *margins, (0, 0)]), (sizes[0], sizes[1])
