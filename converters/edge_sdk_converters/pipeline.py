"""A recipe carried out: every pass, its recovery, and an account of what each cost and bought."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from .cost import count_macs, count_parameters
from .errors import ModelError
from .learning import LearningData, PassContext, Told
from .passes import pass_for
from .recipe import Recipe, Step
from .recover.apply import recover
from .source import accuracy, is_opaque
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
    """

    model: keras.Model
    original: Figures | None
    reports: tuple[PassReport, ...]


def run_recipe(
    model: keras.Model,
    recipe: Recipe,
    data: LearningData,
    *,
    seed: int = 0,
    progress: Told | None = None,
) -> Compressed:
    """Carry out the passes of a recipe that rewrite the model.

    Args:
        model: A classifier under the SDK's contract; it stays untouched and teaches the others in recovery.
        recipe: The plan.
        data: What recovery learns from.
        seed: Of everything random.
        progress: Told what is being done, and how far: done, planned.

    Raises:
        ModelError: The model is opaque and the recipe rewrites, or a pass finds nothing it can do.
    """
    if is_opaque(model):
        if recipe.rewrites:
            raise ModelError(
                "A SavedModel holds no layers that a pass could rewrite. "
                f"Received: recipe {recipe.name} with {', '.join(step.kind for step in recipe.rewrites)}. "
                "Use --recipe int8, or save the model as .keras."
            )
        return Compressed(model, None, ())
    keras.utils.set_random_seed(seed)
    original = current = _figures(model, data)
    context = PassContext(data, model, seed, progress)
    student, reports = model, []
    for step in recipe.rewrites:
        student, report = _run(step, student, current, context)
        reports.append(report)
        current = report.after
    return Compressed(student, original, tuple(reports))


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


def _figures(model: keras.Model, data: LearningData) -> Figures:
    return Figures(
        count_parameters(model), count_macs(model), accuracy(model, data.validation), len(export_tflite(model))
    )
