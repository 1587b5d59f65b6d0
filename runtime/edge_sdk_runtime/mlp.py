"""A small multi-layer perceptron in NumPy: the head of a staged bundle, with nothing to load but its numbers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import load_arrays
from .errors import BundleCorruptError, UsageError
from .records import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CompiledMlp", "MlpHead"]


@dataclass(frozen=True)
class MlpHead:
    """Dense layers with ReLU between them and softmax at the end.

    Attributes:
        kernels: One `float32 [in, out]` per layer.
        biases: One `float32 [out]` per layer.
    """

    kernels: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def __post_init__(self) -> None:
        if not self.kernels or len(self.kernels) != len(self.biases):
            raise UsageError(
                "A head needs at least one layer and one bias per kernel. "
                f"Received: {len(self.kernels)} kernels, {len(self.biases)} biases. Pass pairs."
            )
        width = self.kernels[0].shape[0] if self.kernels[0].ndim else 1
        for index, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            if kernel.ndim != 2 or kernel.shape[0] != width or bias.shape != kernel.shape[1:]:
                raise UsageError(
                    f"Layer {index} of a head must be [{width}, out] with a bias [out]. "
                    f"Received: {list(kernel.shape)} and {list(bias.shape)}. Check the order of the layers."
                )
            width = kernel.shape[1]

    @property
    def inputs(self) -> int:
        """Number of features the head expects."""
        return int(self.kernels[0].shape[0])

    @property
    def outputs(self) -> int:
        """Number of classes the head scores."""
        return int(self.kernels[-1].shape[1])

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score features.

        Args:
            features: `float32 [inputs]` or `[N, inputs]`.

        Returns:
            Probabilities, `float32 [outputs]` or `[N, outputs]`, each row summing to 1.
        """
        hidden = features
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            hidden = hidden @ kernel
            hidden += bias
            np.maximum(hidden, 0.0, out=hidden)
        scores = hidden @ self.kernels[-1]
        scores += self.biases[-1]
        scores -= scores.max(axis=-1, keepdims=True)  # exp of a large score would overflow; the shift cancels
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return scores

    def to_bytes(self) -> bytes:
        """The head as an uncompressed .npz file with the arrays `kernel_0`, `bias_0`, `kernel_1` and so on."""
        arrays = {f"kernel_{i}": kernel for i, kernel in enumerate(self.kernels)}
        arrays |= {f"bias_{i}": bias for i, bias in enumerate(self.biases)}
        file = io.BytesIO()
        pairs: dict[str, Any] = arrays  # no allow_pickle: NumPy 1 would store it as one more array
        np.savez(file, **pairs)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> MlpHead:
        """Read what `to_bytes` wrote.

        Raises:
            BundleCorruptError: The bytes are no such file.
        """
        arrays = load_arrays(content, "A head")
        layers = range(len(arrays) // 2)
        try:
            kernels = tuple(arrays[f"kernel_{i}"].astype(np.float32) for i in layers)
            biases = tuple(arrays[f"bias_{i}"].astype(np.float32) for i in layers)
            return cls(kernels, biases)
        except (KeyError, UsageError) as error:
            raise BundleCorruptError(
                f"A head must be an .npz of kernels and biases. Received: {error}. Write the bundle again."
            ) from error


class CompiledMlp:
    """A head with memory for what lies between its layers, so that scoring one vector of features allocates nothing.

    An instance reuses its memory and is therefore for one thread at a time; `MlpHead` itself is for any number.

    Args:
        head: The head; its numbers are copied.
    """

    def __init__(self, head: MlpHead) -> None:
        kernels = [np.array(kernel, np.float32, order="C") for kernel in head.kernels]
        biases = [np.array(bias, np.float32) for bias in head.biases]
        hidden = [np.empty_like(bias) for bias in biases[:-1]]
        self._hidden = tuple(zip(kernels, biases, hidden, strict=False))
        self._last = kernels[-1], biases[-1]
        self._ones = np.ones_like(biases[-1])

    def into(self, features: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Score one vector of features, as calling the head does within float32's rounding.

        Args:
            features: `float32 [inputs]`.
            out: `float32 [outputs]`, C-contiguous; becomes probabilities that sum to 1.
        """
        for kernel, bias, hidden in self._hidden:
            np.dot(features, kernel, out=hidden)
            np.add(hidden, bias, out=hidden)
            features = np.maximum(hidden, 0.0, out=hidden)
        kernel, bias = self._last
        np.dot(features, kernel, out=out)
        np.add(out, bias, out=out)
        # Not max() and sum(): every reduction in NumPy allocates an iterator of nearly a kilobyte.
        np.subtract(out, out[out.argmax()], out=out)  # exp of a large score would overflow; the shift cancels
        np.exp(out, out=out)
        np.divide(out, out.dot(self._ones), out=out)
