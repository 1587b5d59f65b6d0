"""From a Keras classifier and its images to a proven bundle: adopt, rewrite, recover, export, quantize, measure, prove."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

import keras

from edge_sdk_converters.compat import recipe_for_runtimes, require_recipe
from edge_sdk_converters.keras_file import ModelCard
from edge_sdk_converters.learning import LearningData
from edge_sdk_converters.pipeline import Compressed, run_recipe
from edge_sdk_converters.recipe import Recipe
from edge_sdk_converters.remember import RememberConfig
from edge_sdk_converters.request import BundleRequest, HeadFormat, HeldOut
from edge_sdk_converters.source import Adopted, InputRange, adopt, check_classifier
from edge_sdk_converters.writer import build_bundle
from edge_sdk_runtime import Bundle, Color, PreprocessSpec, ResizeMode
from edge_sdk_runtime.gate import Runtime

from .data import Prepared, Splits, prepare
from .errors import DataError
from .learn.train import augmentation_for, examples

__all__ = ["CompressedBundle", "card_for", "check_forms", "compress", "parse_head", "parse_input_range"]

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CompressedBundle:
    """What compression gives.

    Attributes:
        bundle: Proven, not yet written.
        adopted: The classifier as it came in, under the SDK's contract.
        compressed: The rewritten classifier with a report per pass.
    """

    bundle: Bundle
    adopted: Adopted
    compressed: Compressed


def compress(
    model: keras.Model,
    card: ModelCard,
    splits: Splits,
    recipe: Recipe,
    *,
    name: str,
    forms: tuple[str, ...] = (),
    input_range: InputRange | None = None,
    runtimes: tuple[Runtime, ...] = (),
    head: HeadFormat | None = None,
    memory: bool = True,
    prepared: tuple[Prepared, Prepared] | None = None,
    told: Told | None = None,
) -> CompressedBundle:
    """Carry out a recipe and put the result into a bundle.

    Args:
        model: Any Keras 3 image classifier; it stays untouched.
        card: Its labels, preprocessing and seed; `card_for` makes one for a model that has none.
        splits: Images with the same classes: training images for recovery and calibration, test images for measuring.
        recipe: The plan.
        name: What the bundle is called.
        forms: Inference forms, the default first; where empty, staged if the model has stages, else fused.
        input_range: Pixel values a foreign model was trained on; found out where None.
        runtimes: Releases of interpreters that must run the bundle; the recipe takes the form of its quantization that they
            compute rightly.
        head: How the staged form holds its head; NumPy where its layers allow, where None.
        memory: Whether a staged bundle remembers training images as embeddings, so that it can be taught on the device and
            tells unknown images.
        prepared: Training and validation images under the card's preprocessing, where the caller has them already.
        told: Told what is being done, and how far.

    Raises:
        DataError: The images' classes are not the model's.
        ModelError: The model cannot be taken or rewritten.
        CompatibilityError: One of the runtimes cannot run what the recipe asks for.
        ProofError: The bundle does not reproduce its golden vectors.
    """
    if splits.labels != card.labels:
        raise DataError(
            f"The images' classes must be the model's: {', '.join(card.labels)}. Received: {', '.join(splits.labels)}. "
            "Pass the data the model was trained on."
        )
    train, validation = prepared or _prepare(splits, card.preprocess, told)
    adopted = adopt(model, examples(validation), len(card.labels), input_range)
    data = LearningData(examples(train), examples(validation), augmentation_for(card.flips))
    recipe = recipe_for_runtimes(recipe, runtimes)
    require_recipe(adopted.model, recipe, train.x, runtimes)
    compressed = run_recipe(adopted.model, recipe, data, seed=card.seed, progress=told)
    request = BundleRequest(
        name=name,
        labels=card.labels,
        preprocess=card.preprocess,
        model=compressed.model,
        quantize=compressed.quantize,
        calibration=train.x,
        held_out=HeldOut(splits.test, splits.test.targets, splits.name),
        forms=forms,
        provenance=_provenance(model, card, recipe),
        runtimes=runtimes,
        storage=recipe.storage,
        head=head,
        remember=RememberConfig(examples(train), examples(validation), seed=card.seed) if memory else None,
        ranges=compressed.quantization.ranges if compressed.quantization else {},
    )
    bundle = build_bundle(request, _measuring(told))
    return CompressedBundle(bundle, adopted, compressed)


def card_for(model: keras.Model, splits: Splits, resize: ResizeMode = ResizeMode.STRETCH) -> ModelCard:
    """A card for a model that another tool trained: labels from the data, size from the model.

    Args:
        model: The classifier.
        splits: Its images; class folders in sorted order must be the model's outputs.
        resize: How the model's training fitted images of other shapes; most pipelines stretch.

    Raises:
        ModelError: It is no image classifier with that many classes.
    """
    check_classifier(model, len(splits.labels))
    height, width, channels = model.inputs[0].shape[1:]
    spec = PreprocessSpec(width, height, resize, color=Color.RGB if channels == 3 else Color.GRAY)
    return ModelCard(splits.labels, spec, splits.name, splits.seed, splits.flips, splits.limit)


def check_forms(forms: Sequence[str]) -> tuple[str, ...]:
    """Inference forms as a user names them.

    Raises:
        DataError: One is neither staged nor fused.
    """
    for form in forms:
        if form not in ("staged", "fused"):
            raise DataError(f"form must be staged or fused. Received: {form!r}. Choose one of them, or both.")
    return tuple(dict.fromkeys(forms))


def parse_input_range(name: str | None) -> InputRange | None:
    """A pixel range as a user names it; None where it is to be found out.

    Raises:
        DataError: It is none of the known ranges.
    """
    if name is None:
        return None
    try:
        return InputRange(name)
    except ValueError:
        known = ", ".join(each.value for each in InputRange)
        raise DataError(f"input range must be one of {known}. Received: {name!r}. Choose one of them.") from None


def parse_head(name: str | None) -> HeadFormat | None:
    """A head's format as a user names it; None where the bundle's writer chooses.

    Raises:
        DataError: It is neither npz nor tflite.
    """
    if name is None:
        return None
    try:
        return HeadFormat(name)
    except ValueError:
        raise DataError(
            f"head must be npz or tflite. Received: {name!r}. npz is what a device can be taught with."
        ) from None


def _prepare(splits: Splits, spec: PreprocessSpec, told: Told | None) -> tuple[Prepared, Prepared]:
    def tell(done: int, planned: int) -> None:
        if told:
            told("images", done, planned)

    return prepare(splits.train, spec, tell), prepare(splits.validation, spec)


def _measuring(told: Told | None) -> Callable[[int, int], None] | None:
    return (lambda done, planned: told("measure with the runtime", done, planned)) if told else None


def _provenance(model: keras.Model, card: ModelCard, recipe: Recipe) -> dict[str, str]:
    """What the bundle was made of and with, without a date: the same input gives the same bytes."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.tobytes())
    packages = ("edge-sdk", "tensorflow", "keras", "ai-edge-quantizer")
    return {
        "data": card.data,
        "recipe": recipe.name,
        "recipe_toml": recipe.to_toml(),
        "seed": str(card.seed),
        "limit": "" if card.limit is None else str(card.limit),
        "source_model": model.name,
        "source_weights_sha256": digest.hexdigest(),
        "versions": ", ".join(f"{package} {metadata.version(package)}" for package in packages),
    }
