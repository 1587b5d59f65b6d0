"""Export to .tflite under the one-input contract: `uint8 [1, H, W, C]` in, `float32` out, static batch of 1."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import keras

from .errors import ExportError
from .fold import fold_pooled_norms
from .source import is_opaque

__all__ = ["export_tflite"]


def export_tflite(model: keras.Model) -> bytes:
    """Convert a Keras model to a float32 .tflite file.

    Batch normalisation and scaling are folded into the layers around them, by the converter or, where pooling is between, before
    it; an offset before a convolution that pads with zeros stays, since the padding has none.

    Args:
        model: One input and one output; its batch size becomes 1 whatever it was.

    Returns:
        The file.

    Raises:
        ExportError: The converter refuses the model, or the result would need TensorFlow operators that no device has.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Export needs Keras on TensorFlow, since the TFLite converter is TensorFlow's. "
            f"Received: Keras on {keras.backend.backend()}. Save the model, then export it with KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        _save(fold_pooled_norms(model), folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            with _said_once():
                return bytes(converter.convert())
        except Exception as error:  # the converter's own class is private; whatever it raises means the same here
            raise ExportError(
                f"A model must consist of operators that TFLite has. Received: {_reason(error)}. Replace the layer behind it."
            ) from error


def _save(model: keras.Model, folder: str) -> None:
    """Write a SavedModel with one function of a static batch of 1.

    It holds the weights alone: walking through all that hangs on Keras's layers would take longer than converting. Only
    a layer with a SavedModel inside has more to its function than weights.
    """
    import tensorflow as tf

    shape, dtype = model.inputs[0].shape, model.inputs[0].dtype
    signature = [tf.TensorSpec([1, *shape[1:]], dtype, name="image")]
    module = tf.Module()
    module.kept = model if is_opaque(model) else [variable.value for variable in model.variables]
    module.serve = tf.function(lambda image: model(image, training=False), signature, autograph=False)
    tf.saved_model.save(module, folder, {"serving_default": module.serve})


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("Some ops", "tf.")) or "error:" in line]
    return (telling or lines or [type(error).__name__])[0][:200]


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """Hold back what the converter writes to standard error, and drop it where it raises: the error says the same."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error to hold back, as in a service that closed it
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.truncate(0)
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                os.write(2, line)


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Hold back TensorFlow's and absl's notes about saving and converting; an error still raises."""
    from edge_sdk_runtime.interpreters.quiet import without_notices

    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with without_notices():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
