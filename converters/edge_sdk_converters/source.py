"""Any image classifier becomes one under the SDK's contract: uint8 pixels in, probabilities out, nested models inlined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import keras
import numpy as np

from .errors import ModelError
from .graph import flatten
from .training import Examples, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Adopted", "InputRange", "adopt", "check_classifier", "is_opaque", "leaves"]

_TRIAL_IMAGES = 512


class InputRange(str, Enum):
    """What pixel values a model was trained on; the scaling moves into the graph."""

    PIXELS = "0..255"
    UNIT = "0..1"
    SIGNED = "-1..1"


_SCALES = {InputRange.PIXELS: (1.0, 0.0), InputRange.UNIT: (1 / 255, 0.0), InputRange.SIGNED: (1 / 127.5, -1.0)}


@dataclass(frozen=True)
class Adopted:
    """A classifier under the contract.

    Attributes:
        model: `uint8 [batch, H, W, C]` → probabilities `[batch, classes]`, leaf layers only.
        input_range: What pixel values the given model wanted; None where it took uint8 already.
        accuracies: Accuracy on the trial images by input range, where the range had to be found out.
    """

    model: keras.Model
    input_range: InputRange | None
    accuracies: dict[InputRange, float]


def adopt(model: keras.Model, trial: Examples, classes: int, input_range: InputRange | None = None) -> Adopted:
    """Bring a classifier under the contract.

    Args:
        model: A Keras model with one image input and one score per class (one score alone for two classes).
        trial: Preprocessed images `uint8 [N, H, W, C]` with class indices, to find out what the model expects.
        classes: Number of labels.
        input_range: Pixel values the model was trained on; where None, the range under which it classifies best, and of
            those that are equally good the one that its probabilities fit best.

    Raises:
        ModelError: It is no image classifier, has another number of classes, or classifies no better than chance whatever
            the range.
    """
    check_classifier(model, classes)
    flat = model if is_opaque(model) else flatten(model)
    few = Examples(trial.x[:_TRIAL_IMAGES], trial.y[:_TRIAL_IMAGES])
    if keras.backend.standardize_dtype(flat.inputs[0].dtype) == "uint8":
        return Adopted(_with_probabilities(flat, few.x), None, {})
    if input_range is not None:
        return Adopted(_with_probabilities(_with_scaling(flat, input_range), few.x), input_range, {})
    candidates = {each: _with_probabilities(_with_scaling(flat, each), few.x) for each in InputRange}
    scores = {each: predict(candidate, few.x) for each, candidate in candidates.items()}
    accuracies = {each: float((rows.argmax(axis=1) == few.y).mean()) for each, rows in scores.items()}
    best = _likeliest(scores, accuracies, few.y)
    if accuracies[best] <= 1.2 / classes:
        found = ", ".join(f"{each.value}: {share:.0%}" for each, share in accuracies.items())
        raise ModelError(
            f"A model must classify the data better than chance ({1 / classes:.0%}) under some pixel range. Received: {found}. "
            "Check that the data's class folders, sorted, are the model's outputs in order, or name --input-range."
        )
    return Adopted(candidates[best], best, accuracies)


def accuracy(model: keras.Model, examples: Examples) -> float:
    """Share of examples whose class has the highest score, 0 to 1; 0 for no examples."""
    return float((predict(model, examples.x).argmax(axis=1) == examples.y).mean()) if len(examples.y) else 0.0


def leaves(model: keras.Model) -> Iterator[keras.Layer]:
    """Every layer that is no model, those of nested models in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def is_opaque(model: keras.Model) -> bool:
    """Whether the model holds a SavedModel's function, which no pass can look into."""
    return any(isinstance(layer, keras.layers.TFSMLayer) for layer in leaves(model))


def check_classifier(model: keras.Model, classes: int) -> None:
    """Refuse what is not an image classifier with these classes.

    Raises:
        ModelError: Says what the model is instead.
    """
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"A classifier must have one input and one output. Received: '{model.name}' with {len(inputs)} and {len(outputs)}. "
            "Cut the model to its class scores."
        )
    shape, scores = tuple(inputs[0].shape), tuple(outputs[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3) or None in shape[1:]:
        raise ModelError(
            f"A classifier's input must be [batch, height, width, 1 or 3] with a fixed size. Received: {list(shape)}. "
            "Build the model with keras.Input(shape=(height, width, channels))."
        )
    if len(scores) != 2 or scores[1] is None:
        raise ModelError(
            f"A classifier's output must be [batch, classes]. Received: {list(scores)}. Pass a classifier."
        )
    if scores[1] != classes and not (scores[1] == 1 and classes == 2):
        raise ModelError(
            f"The data's classes must be the model's. Received: {classes} classes for a model with {scores[1]} outputs. "
            "Pass the data the model was trained on."
        )


def _likeliest(
    scores: dict[InputRange, NDArray[np.float32]], accuracies: dict[InputRange, float], targets: NDArray[np.int64]
) -> InputRange:
    """The range of the best accuracy; among those that chance may have parted, the one whose probabilities fit best.

    A network of ReLUs ranks classes almost alike when its input is 255 times too large, only with absurd certainty. Targets
    smoothed by 1 % (Szegedy et al., arXiv 1512.00567) make that cost something even where every answer is right.
    """
    margin = 1 / np.sqrt(len(targets))  # two standard errors of a share, at most
    ties = [each for each, share in accuracies.items() if share >= max(accuracies.values()) - margin]

    def loss(each: InputRange) -> float:
        logs = np.log(np.clip(scores[each], 1e-7, 1.0))
        return float(-(0.99 * logs[np.arange(len(targets)), targets] + 0.01 * logs.mean(axis=1)).mean())

    return min(ties, key=loss)


def _with_scaling(model: keras.Model, input_range: InputRange) -> keras.Model:
    scale, offset = _SCALES[input_range]
    image = keras.Input(batch_shape=model.inputs[0].shape, dtype="uint8", name="image")
    return _inlined(image, model(keras.layers.Rescaling(scale, offset, name="input_scaling")(image)), model)


def _with_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> keras.Model:
    """Append what turns the model's scores into probabilities, judged by what it gives for real images."""
    scores = predict(model, images)
    if scores.shape[1] == 1:
        return _two_classes(model, scores)
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return model
    if (scores >= 0).all() and (scores <= 1).all():
        raise ModelError(
            "A classifier's scores must be logits, or probabilities that sum to 1. "
            f"Received: scores between 0 and 1 that sum to {scores[0].sum():.2f}. End the model with softmax, not sigmoid."
        )
    output = keras.layers.Softmax(name="probabilities")(model.outputs[0])
    return _inlined(model.inputs[0], output, model)


def _two_classes(model: keras.Model, scores: NDArray[np.float32]) -> keras.Model:
    """One score s becomes [1 - s, s]; a logit passes through the logistic function first."""
    positive = model.outputs[0]
    if not ((scores >= 0).all() and (scores <= 1).all()):
        positive = keras.layers.Activation("sigmoid", name="probability")(positive)
    negative = keras.layers.Rescaling(-1.0, 1.0, name="other_probability")(positive)
    both = keras.layers.Concatenate(name="probabilities")([negative, positive])
    return _inlined(model.inputs[0], both, model)


def _inlined(image: keras.KerasTensor, output: keras.KerasTensor, model: keras.Model) -> keras.Model:
    extended = keras.Model(image, output, name=model.name)
    return extended if is_opaque(model) else flatten(extended)
