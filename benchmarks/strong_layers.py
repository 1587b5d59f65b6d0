"""Layers that stay what they are where the image is mirrored: the second half of their channels is the first one's mirror image.

An ordinary convolution and an ordinary batch normalisation, for which half of the weights are learnt: the other half follows from them
(Cohen and Welling, "Group Equivariant Convolutional Networks", arXiv 1602.07576, for the group of mirroring). A kernel is whole when a
pass begins, so that passes cost what they cost an ordinary network of the same width.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["MirroredConv", "MirroredNorm"]


class MirroredConv(keras.layers.Layer):
    """Convolution without offsets, stride 1.

    Args:
        width: Filters, an even number; the kernels of the first half are learnt.
        size: Of the kernel along both sides.
        of_image: Whether the input is an image, which is its own other side; otherwise the second half of the input's channels is what
            the first one would be for the mirrored image, mirrored back.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, width: int, size: int, *, of_image: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.size, self.of_image = width, size, of_image

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernels that are learnt, `[size, size, inputs, width / 2]`."""
        shape = (self.size, self.size, input_shape[-1], self.width // 2)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_uniform")

    def whole(self) -> Any:
        """All kernels, `[size, size, inputs, width]`."""
        ops, kernel = keras.ops, self.kernel
        other = ops.flip(kernel, axis=1)
        if not self.of_image:
            mine, across = ops.split(other, 2, axis=2)
            other = ops.concatenate([across, mine], axis=2)
        return ops.concatenate([kernel, other], axis=3)

    def call(self, inputs: Any) -> Any:
        """Convolve; an image loses a border, so that its windows lie evenly."""
        kernel = keras.ops.cast(self.whole(), inputs.dtype)
        return keras.ops.conv(inputs, kernel, padding="valid" if self.of_image else "same")

    def halve(self, kernel: Any) -> None:
        """Take over an ordinary convolution's kernel, half of which is the other half mirrored."""
        self.kernel.assign(kernel[..., : self.width // 2])


class MirroredNorm(keras.layers.Layer):
    """Batch normalisation in one fused operation; scale, offset and running statistics of a channel are those of its mirror image.

    Args:
        momentum: Of the running statistics.
        **kwargs: What every Keras layer takes.
    """

    _EPSILON = 1e-3

    def __init__(self, momentum: float = 0.95, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.momentum = momentum

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create four rows of half as many numbers as channels, float32 whatever is computed in."""
        kind: dict[str, Any] = {"shape": (int(input_shape[-1] or 0) // 2,), "dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **kind)
        self.beta = self.add_weight(name="beta", initializer="zeros", **kind)
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", trainable=False, **kind)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", trainable=False, **kind)

    def whole(self) -> list[Any]:
        """Scale, offset, running mean and running variance of all channels."""
        rows = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        return [keras.ops.tile(row, 2) for row in rows]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Normalise by the batch's statistics, or by the running ones where nothing is learnt."""
        scale, offset, mean, variance = self.whole()
        given = () if training else (mean, variance)
        normal, *found = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, offset, *given, epsilon=self._EPSILON, is_training=training
        )
        if training:
            for running, new in zip((self.moving_mean, self.moving_variance), found, strict=True):
                of_both = keras.ops.mean(keras.ops.reshape(new, (2, -1)), axis=0)
                running.assign(self.momentum * running + (1 - self.momentum) * of_both)
        return normal

    def halve(self, rows: list[Any]) -> None:
        """Take over an ordinary batch normalisation's scale, offset and running statistics."""
        for weight, row in zip((self.gamma, self.beta, self.moving_mean, self.moving_variance), rows, strict=True):
            weight.assign(row[: len(row) // 2])
