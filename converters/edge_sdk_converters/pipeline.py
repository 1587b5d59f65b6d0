"""A recipe carried out: every pass, its recovery, and an account of what each cost and bought."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import keras

from .cost import count_macs, count_parameters
from .errors import ModelError
from .learning import LearningData, PassContext, Told
from .passes import pass_for
from .quantize import QuantizeConfig
from .quantize.aware import tune_for_quantization
from .quantize.places import layer_names, read_places
from .quantize.plan import Quantization, plan_quantization
from .recipe import Recipe, Step
from .recover.apply import recover
from .source import accuracy, is_opaque
from .stages import layers_after_encoder
from .tflite import export_tflite

__all__ = ["Compressed", "Figures", "PassReport", "run_recipe"]


@dataclass(frozen=True)
class Figures:
    """A network in numbers.

    Attributes:
        parameters: Its weights.
        macs: Multiply-accumulates per image.
        accuracy: On the validation images, 0 to 1.
        tflite_bytes: Size of its float32 .tflite file.
    """

    parameters: int
    macs: int
    accuracy: float
    tflite_bytes: int


@dataclass(frozen=True)
class PassReport:
    """What one pass did.

    Attributes:
        kind: Name of the pass.
        details: What changed, a line per layer.
        before: The network before the pass.
        after: The network after the pass and its recovery.
        accuracy_before_recovery: Right after the pass, on the validation images.
    """

    kind: str
    details: tuple[str, ...]
    before: Figures
    after: Figures
    accuracy_before_recovery: float


@dataclass(frozen=True)
class Compressed:
    """A recipe's result.

    Attributes:
        model: The rewritten classifier, still to be exported and quantized.
        original: Figures of the classifier that came in; None for an opaque one.
        reports: One per rewriting pass, in order.
        quantization: What quantizing it costs and buys; None where it stays in float32.
    """

    model: keras.Model
    original: Figures | None
    reports: tuple[PassReport, ...]
    quantization: Quantization | None = None

    @property
    def quantize(self) -> QuantizeConfig:
        """How the exported file is quantized; layers that a budget keeps in float32 are among its `layers`."""
        return self.quantization.config if self.quantization else QuantizeConfig()


def run_recipe(
    model: keras.Model,
    recipe: Recipe,
    data: LearningData,
    *,
    seed: int = 0,
    progress: Told | None = None,
) -> Compressed:
    """Carry out the passes of a recipe that rewrite the model, and quantize the result on trial.

    Args:
        model: A classifier under the SDK's contract; it stays untouched and teaches the others in recovery.
        recipe: The plan.
        data: What recovery learns from.
        seed: Of everything random.
        progress: Told what is being done, and how far: done, planned.

    Raises:
        ModelError: The model is opaque and the recipe rewrites, or a pass finds nothing it can do.
        BudgetError: A pass, or quantization, cannot meet its budget.
        QuantizationError: The exported file cannot be quantized as asked.
    """
    context = PassContext(data, model, seed, progress)
    if is_opaque(model):
        _require_nothing_to_rewrite(recipe)
        reference = accuracy(model, data.validation) if recipe.quantize.quantizes else 0.0
        return _quantized(Compressed(model, None, ()), recipe.quantize, reference, context)
    keras.utils.set_random_seed(seed)
    original = current = _figures(model, data)
    student, reports = model, []
    for step in recipe.rewrites:
        student, report = _run(step, student, current, context)
        reports.append(report)
        current = report.after
    return _quantized(Compressed(student, original, tuple(reports)), recipe.quantize, current.accuracy, context)


def _run(step: Step, student: keras.Model, before: Figures, context: PassContext) -> tuple[keras.Model, PassReport]:
    data, told = context.data, context.told
    outcome = pass_for(step.config).apply(student, context)
    untrained = accuracy(outcome.model, data.validation)
    if step.recover:
        recover(
            outcome.model,
            context.teacher,
            data.train,
            data.validation,
            step.recover,
            seed=context.seed,
            augment=data.augment,
            progress=(lambda done, planned, _: told(f"{step.kind}: recover", done, planned)) if told else None,
        )
    return outcome.model, PassReport(step.kind, outcome.details, before, _figures(outcome.model, data), untrained)


def _quantized(result: Compressed, config: QuantizeConfig, reference: float, context: PassContext) -> Compressed:
    """The result with an account of its quantization, fine-tuned for that where it is asked for."""
    if not config.quantizes:
        return result
    after, told = layers_after_encoder(result.model), context.told
    model, ranges = result.model, None
    if config.aware:
        tuned = tune_for_quantization(
            model,
            context.teacher,
            config,
            context.data,
            float_layers=after,
            seed=context.seed,
            progress=(lambda done, planned, _: told("quantize: fine-tune", done, planned)) if told else None,
        )
        model, ranges = tuned.model, tuned.ranges
    exported = export_tflite(model)
    known = layer_names(read_places(exported))
    account = plan_quantization(
        exported,
        config,
        context.data,
        reference,
        float_layers=[name for name in after if name in known],
        ranges=ranges,
        told=told,
    )
    return dataclasses.replace(result, model=model, quantization=account)


def _require_nothing_to_rewrite(recipe: Recipe) -> None:
    kinds = [step.kind for step in recipe.rewrites] + ["aware fine-tuning"] * bool(recipe.quantize.aware)
    if kinds:
        raise ModelError(
            "A SavedModel holds no layers that a pass could rewrite. "
            f"Received: recipe {recipe.name} with {', '.join(kinds)}. Use --recipe int8, or save the model as .keras."
        )


def _figures(model: keras.Model, data: LearningData) -> Figures:
    return Figures(
        count_parameters(model), count_macs(model), accuracy(model, data.validation), len(export_tflite(model))
    )
