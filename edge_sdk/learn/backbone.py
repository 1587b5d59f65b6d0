"""Encoders on any backbone: a network of keras.applications by name, or a `keras.Model` of one's own."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edge_sdk_converters.graph import flatten, trace
from edge_sdk_converters.source import InputRange
from edge_sdk_runtime.preprocess import PreprocessSpec

from ..errors import DataError
from .encoder import MOMENTUM
from .kinds import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["application_names", "encoder_from"]

_SCALES = {InputRange.PIXELS: (1.0, 0.0), InputRange.UNIT: (1 / 255, 0.0), InputRange.SIGNED: (1 / 127.5, -1.0)}
_OWN_SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


def application_names() -> tuple[str, ...]:
    """The networks of keras.applications that this Keras has."""
    return tuple(name for name in dir(keras.applications) if name[0].isupper())


def encoder_from(
    backbone: keras.Model | str,
    spec: PreprocessSpec,
    *,
    embedding: int = 64,
    input_range: InputRange | None = None,
    weights: Weights = Weights.NONE,
) -> keras.Model:
    """An encoder that ends in a dense layer of the width asked for.

    Feature maps are averaged over positions first. Running statistics of batch normalisations follow with a momentum of 0.9 at
    most, so that a few hundred steps are enough for them.

    Args:
        backbone: A name of `application_names()`, without its top; or a functional or sequential model that gives a feature map
            or a vector. A model stays untouched: the encoder holds copies of its layers with the same weights.
        spec: Gives the input's shape.
        embedding: Width D of the embedding, 2 or more.
        input_range: Pixel values a model of one's own was made for. None where it takes uint8 or begins with a Rescaling or
            Normalization layer, that is, scales 0..255 itself. Networks of keras.applications know theirs.
        weights: What a network of keras.applications begins with.

    Returns:
        `uint8 [batch, H, W, C]` → `float32 [batch, D]`, scaling inside.

    Raises:
        DataError: There is no such network, it does not take images of that size, its weights cannot be had, or the pixel range
            of a model is neither stated nor found.
        ModelError: The model has no functional graph.
    """
    if embedding < 2:
        raise DataError(f"embedding must be at least 2. Received: {embedding}. Try 64.")
    image = keras.Input(spec.shape, dtype="uint8", name="image")
    named = isinstance(backbone, str)
    features = _application(backbone, spec, weights, image) if named else _own(backbone, spec, input_range, image)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="embedding_pool")(features)
    encoder = keras.Model(image, keras.layers.Dense(embedding, name="embedding")(features), name="encoder")
    encoder = encoder if named else flatten(encoder)
    _quicken(encoder)
    return encoder


def _application(name: str, spec: PreprocessSpec, weights: Weights, image: keras.KerasTensor) -> keras.KerasTensor:
    if name not in application_names():
        raise DataError(
            f"A backbone must be one of {', '.join(application_names())}. Received: {name!r}. Choose one of them."
        )
    build = getattr(keras.applications, name)
    network = _built(name, build, spec, weights)
    scales, offsets, reversed_ = _published_scaling(build, spec.shape[2])
    if reversed_:
        _read_rgb(network)
    return network(keras.layers.Rescaling(scales, offsets, name="input_scaling")(image))


def _built(name: str, build: Any, spec: PreprocessSpec, weights: Weights) -> keras.Model:
    try:
        with warnings.catch_warnings():
            # The convolutions fit any size; Keras takes the weights of 224 pixels where it has none of this one.
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square", UserWarning)
            return build(
                include_top=False,
                weights=None if weights is Weights.NONE else weights.value,
                input_shape=spec.shape,
                name=name.lower(),
            )
    except Exception as error:
        if not isinstance(error, (OSError, ValueError)) and type(error) is not Exception:
            raise  # Keras reports a failed download as a bare Exception, a size it does not take as ValueError
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"{name} must take images of {spec.width} × {spec.height} × {spec.shape[2]} and have its weights at hand. "
            f"Received: {reason[:200]}. Choose another size, or weights='none'."
        ) from error


def _published_scaling(build: Any, channels: int) -> tuple[list[float], list[float], bool]:
    """Scale and offset of each channel in RGB order, and whether the network reads BGR: asked from its own preprocessing."""
    preprocess = sys.modules[build.__module__].preprocess_input
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32).reshape(1, 1, 4, 3)
    answers: NDArray[np.float32] = np.asarray(preprocess(probe), np.float32).reshape(4, 3)
    gains = (answers[1:] - answers[0]) / 255
    backwards = bool(abs(gains[0, 2]) > abs(gains[0, 0]))
    offsets = answers[0][::-1] if backwards else answers[0]
    scales = gains.sum(axis=1)
    if channels == 1:  # grey stands for three equal channels
        return [float(scales.mean())], [float(offsets.mean())], False
    return [float(value) for value in scales], [float(value) for value in offsets], backwards


def _read_rgb(network: keras.Model) -> None:
    """Turn the input channels of the first convolution round, so that a network made for BGR takes RGB."""
    first = next(layer for layer in network.layers if layer.weights)
    if not isinstance(first, keras.layers.Conv2D):
        raise DataError(
            "A network that reads BGR must begin with a convolution. "
            f"Received: {type(first).__name__} in '{network.name}'. Pass it as a keras.Model."
        )
    kernel, *others = first.get_weights()
    first.set_weights([np.ascontiguousarray(kernel[:, :, ::-1]), *others])


def _own(
    model: keras.Model, spec: PreprocessSpec, input_range: InputRange | None, image: keras.KerasTensor
) -> keras.KerasTensor:
    shape = tuple(model.inputs[0].shape) if len(getattr(model, "inputs", None) or []) == 1 else ()
    if len(shape) != 4 or any(own not in (None, side) for own, side in zip(shape[1:], spec.shape, strict=True)):
        raise DataError(
            f"A backbone's input must be [batch, {', '.join(map(str, spec.shape))}]. Received: {list(shape)} in '{model.name}'. "
            "Choose the size it was built for, or build it with keras.Input((None, None, channels))."
        )
    _require_features(model)
    if keras.backend.standardize_dtype(model.inputs[0].dtype) == "uint8":
        if input_range is not None:
            raise DataError(
                f"A backbone that takes uint8 scales its pixels itself. Received: input_range={input_range.value}. Leave it out."
            )
        return model(image)
    scale, offset = _SCALES[_range_of(model) if input_range is None else input_range]
    return model(keras.layers.Rescaling(scale, offset, name="input_scaling")(image))


def _require_features(model: keras.Model) -> None:
    rank = len(model.outputs[0].shape) if len(model.outputs) == 1 else 0
    last = next((call.layer for call in reversed(trace(model).calls)), None)
    softmax = isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    if rank not in (2, 4) or softmax or None in model.outputs[0].shape[-1:]:
        what = "class probabilities" if softmax else f"{len(model.outputs)} outputs, {rank} axes"
        raise DataError(
            f"A backbone must give one feature map or one vector. Received: {what} from '{model.name}'. "
            "Cut it before its scores: keras.Model(model.inputs, model.layers[-2].output)."
        )


def _range_of(model: keras.Model) -> InputRange:
    """0..255 where the first layer is one that scales; otherwise nobody can know."""
    first = trace(model).calls[0].layer
    if not isinstance(first, _OWN_SCALING):
        raise DataError(
            "The pixel range of a backbone must be stated where the model does not scale pixels itself. "
            f"Received: {type(first).__name__} as the first layer of '{model.name}'. "
            f"Pass input_range, one of {', '.join(each.value for each in InputRange)}."
        )
    return InputRange.PIXELS


def _quicken(model: keras.Model) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _quicken(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, MOMENTUM)  # MobileNetV2 brings 0.999, which needs thousands of steps
