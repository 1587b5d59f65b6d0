"""Building blocks of compact networks, of plain Keras layers: a tensor goes in, a tensor comes out.

Every pass of this SDK knows what they are made of: pairs of 1-D convolutions (Jaderberg et al., "Speeding up Convolutional
Neural Networks with Low Rank Expansions", 2014), residual and bottleneck blocks (He et al., "Deep Residual Learning for Image
Recognition", 2015), separable blocks (Howard et al., "MobileNets", 2017) and inverted residuals (Sandler et al.,
"MobileNetV2", 2018).
"""

from __future__ import annotations

import keras
from keras import layers

from .errors import ModelError

__all__ = ["bottleneck", "inverted_residual", "residual", "separable_block", "spatial_pair"]


def spatial_pair(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    middle: int,
    *,
    strides: int = 1,
    padding: str = "same",
    activation: str | None = "relu",
    name: str | None = None,
) -> keras.KerasTensor:
    """A convolution N×1 to P middle channels, then 1×N to the filters, with nothing between them.

    It costs N·P·(in + filters) multiply-accumulates a pixel where N×N costs N²·in·filters, so it pays for
    P < N·in·filters / (in + filters).

    Args:
        x: `[batch, height, width, in]`.
        filters: Channels that come out.
        size: N, in pixels.
        middle: P, from 1 to N·min(in, filters); with the most, any N×N convolution can be written so.
        strides: Of the whole, down in the first convolution and across in the second.
        padding: "same" or "valid".
        activation: Behind the second convolution; None for none.
        name: Its layers are called `{name}_down` and `{name}_across`; Keras names them where None.

    Returns:
        `[batch, height / strides, width / strides, filters]`, less `size - 1` on each side where padding is "valid".

    Raises:
        ModelError: `middle` is outside its range.
    """
    most = size * min(x.shape[-1], filters)
    if not 1 <= middle <= most:
        raise ModelError(
            f"middle must be between 1 and size · min(in, filters) = {most}. Received: middle={middle}. Choose fewer channels."
        )
    down = layers.Conv2D(middle, (size, 1), (strides, 1), padding, use_bias=False, name=_name(name, "down"))
    across = layers.Conv2D(filters, (1, size), (1, strides), padding, activation=activation, name=_name(name, "across"))
    return across(down(x))


def residual(
    x: keras.KerasTensor,
    filters: int,
    size: int = 3,
    *,
    strides: int = 1,
    activation: str = "relu",
    name: str | None = None,
) -> keras.KerasTensor:
    """Two convolutions with batch normalisation, added to the input, then the activation (He et al., 2015).

    Args:
        x: `[batch, height, width, in]`.
        filters: Channels that come out.
        size: Of both kernels, in pixels.
        strides: Of the first convolution, and of the 1×1 convolution on the shortcut; that one is there where the shape changes.
        activation: Between the two and behind the sum.
        name: Prefix of the layers' names; Keras names them where None.

    Returns:
        `[batch, height / strides, width / strides, filters]`.
    """
    y = _conv(x, filters, size, strides, activation, _name(name, "first"))
    y = _conv(y, filters, size, 1, None, _name(name, "second"))
    return _added(x, y, strides, activation, name)


def bottleneck(
    x: keras.KerasTensor,
    filters: int,
    middle: int,
    size: int = 3,
    *,
    strides: int = 1,
    activation: str = "relu",
    name: str | None = None,
) -> keras.KerasTensor:
    """1×1 to few channels, k×k among them, 1×1 to the filters, added to the input, then the activation (He et al., 2015).

    Args:
        x: `[batch, height, width, in]`.
        filters: Channels that come out.
        middle: Channels of the k×k convolution, commonly a quarter of the filters.
        size: k, in pixels.
        strides: Of the k×k convolution, and of the 1×1 convolution on the shortcut; that one is there where the shape changes.
        activation: Behind each convolution but the last, and behind the sum.
        name: Prefix of the layers' names; Keras names them where None.

    Returns:
        `[batch, height / strides, width / strides, filters]`.
    """
    y = _conv(x, middle, 1, 1, activation, _name(name, "reduce"))
    y = _conv(y, middle, size, strides, activation, _name(name, "core"))
    y = _conv(y, filters, 1, 1, None, _name(name, "expand"))
    return _added(x, y, strides, activation, name)


def separable_block(
    x: keras.KerasTensor,
    filters: int,
    size: int = 3,
    *,
    strides: int = 1,
    activation: str = "relu",
    name: str | None = None,
) -> keras.KerasTensor:
    """Depthwise k×k, then pointwise to the filters, each with batch normalisation and activation (Howard et al., 2017).

    Args:
        x: `[batch, height, width, in]`.
        filters: Channels that come out.
        size: k, in pixels.
        strides: Of the depthwise convolution.
        activation: Behind both.
        name: Prefix of the layers' names; Keras names them where None.

    Returns:
        `[batch, height / strides, width / strides, filters]`.
    """
    y = _depthwise(x, size, strides, activation, _name(name, "depthwise"))
    return _conv(y, filters, 1, 1, activation, _name(name, "pointwise"))


def inverted_residual(
    x: keras.KerasTensor,
    filters: int,
    expansion: int = 6,
    size: int = 3,
    *,
    strides: int = 1,
    activation: str = "relu6",
    name: str | None = None,
) -> keras.KerasTensor:
    """1×1 to many channels, depthwise k×k, 1×1 to few without activation (Sandler et al., 2018).

    Args:
        x: `[batch, height, width, in]`; it is added to the output where the shape stays.
        filters: Channels that come out.
        expansion: Channels of the depthwise convolution per input channel; 1 leaves the first convolution out.
        size: k, in pixels.
        strides: Of the depthwise convolution.
        activation: Behind the first two convolutions.
        name: Prefix of the layers' names; Keras names them where None.

    Returns:
        `[batch, height / strides, width / strides, filters]`.
    """
    y = x if expansion == 1 else _conv(x, expansion * x.shape[-1], 1, 1, activation, _name(name, "expand"))
    y = _depthwise(y, size, strides, activation, _name(name, "depthwise"))
    y = _conv(y, filters, 1, 1, None, _name(name, "project"))
    return layers.Add(name=_name(name, "add"))([x, y]) if strides == 1 and x.shape[-1] == filters else y


def _conv(
    x: keras.KerasTensor, filters: int, size: int, strides: int, activation: str | None, name: str | None
) -> keras.KerasTensor:
    """Convolution, batch normalisation and activation."""
    return _normalized(layers.Conv2D(filters, size, strides, "same", use_bias=False, name=name)(x), activation, name)


def _depthwise(x: keras.KerasTensor, size: int, strides: int, activation: str, name: str | None) -> keras.KerasTensor:
    """Depthwise convolution, batch normalisation and activation."""
    return _normalized(layers.DepthwiseConv2D(size, strides, "same", use_bias=False, name=name)(x), activation, name)


def _normalized(x: keras.KerasTensor, activation: str | None, name: str | None) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=_name(name, "norm"))(x)
    return x if activation is None else layers.Activation(activation, name=_name(name, "activation"))(x)


def _added(
    x: keras.KerasTensor, y: keras.KerasTensor, strides: int, activation: str, name: str | None
) -> keras.KerasTensor:
    """The sum of both, the first brought to the shape of the second by a 1×1 convolution where that differs."""
    if strides > 1 or x.shape[-1] != y.shape[-1]:
        x = _conv(x, y.shape[-1], 1, strides, None, _name(name, "shortcut"))
    return layers.Activation(activation, name=_name(name, "activation"))(layers.Add(name=_name(name, "add"))([x, y]))


def _name(name: str | None, part: str) -> str | None:
    return None if name is None else f"{name}_{part}"
