"""Teaching and forgetting classes, from bundle to bundle: nothing is written, and the bundle that came in stays as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from ..bundle import Bundle
from ..collect import check_label
from ..errors import UsageError
from ..interpreters import InterpreterPlug, interpreter_for
from ..manifest import TaughtClass
from ..pipelines import StagedPipeline, make_pipeline
from .calibration import calibrated
from .examples import Examples, Told, embed_frames
from .knowledge import Knowledge
from .learning import Estimate, estimated, newly_trained, taught
from .rebuilding import rebuilt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = Iterable[NDArray[np.uint8]]
    """`uint8 [height, width, 3]`, BGR, of any sizes."""

__all__ = ["Lesson", "Taught", "TeachReport", "forget", "teach", "teach_classes"]


class Lesson(NamedTuple):
    """What became of one class.

    Attributes:
        label: The class.
        new: Whether the bundle did not know it before.
        images: Number of images that came.
        repeated: Those of them that were equal to another one to the encoder.
        blank: Those that show nothing to it.
        prototypes: Prototypes added.
        accuracy: Share of its held-out images that were classified rightly, 0 to 1; None where none could be held out.
    """

    label: str
    new: bool
    images: int
    repeated: int
    blank: int
    prototypes: int
    accuracy: float | None


class TeachReport(NamedTuple):
    """How it went.

    Attributes:
        version: Number of the new version.
        lessons: The classes that were taught; none where one was forgotten.
        held_out: Number of images that their accuracies are of, together.
        remembered: Share of the remembered examples of all other classes that are classified rightly when they are held out,
            0 to 1; None where that was not asked. After forgetting, of those that are left.
        before: The same share by the version before; None where its head is a model.
        dropped_fused: Whether the version before had a fused form, which holds the old classes and is gone.
        durations_ns: Nanoseconds per step, in their order.
    """

    version: int
    lessons: tuple[Lesson, ...]
    held_out: int
    remembered: float | None
    before: float | None
    dropped_fused: bool
    durations_ns: Mapping[str, int]


class Taught(NamedTuple):
    """The next version of a bundle.

    Attributes:
        bundle: Proven on this machine, not written.
        report: How it went.
    """

    bundle: Bundle
    report: TeachReport


def teach(
    bundle: Bundle,
    label: str,
    frames: Frames,
    *,
    prototypes: int = 1,
    seed: int = 0,
    interpreter: str | InterpreterPlug | None = None,
    told: Told | None = None,
) -> Taught:
    """Teach a bundle one class, or more of one that it knows; see `teach_classes`.

    Args:
        bundle: As there.
        label: The class.
        frames: Its images, `uint8 [height, width, 3]`, BGR, of any sizes; one is enough, ten or more are better.
        prototypes: As there.
        seed: As there.
        interpreter: As there.
        told: As there.
    """
    return teach_classes(bundle, {label: frames}, prototypes=prototypes, seed=seed, interpreter=interpreter, told=told)


def teach_classes(
    bundle: Bundle,
    frames: Mapping[str, Frames],
    *,
    prototypes: int = 1,
    seed: int = 0,
    interpreter: str | InterpreterPlug | None = None,
    told: Told | None = None,
) -> Taught:
    """Teach a bundle several classes at once: the head is retrained once for all of them.

    New classes come after the old ones, whose indices stay. The images of a class that is known are added to it.

    Args:
        bundle: One with a staged form and a feature memory.
        frames: By label, the images of each class.
        prototypes: Prototypes per class, 1 for the mean of its embeddings.
        seed: Of everything random: the same images give the same bundle on the same machine.
        interpreter: A plug or its name; chosen by `interpreter_for` where None.
        told: Told what is being done, and how far.

    Raises:
        UsageError: The bundle cannot be taught, a label is no name, or a class has too few images.
        FrameError: An array is no frame.
        VerificationError: The new bundle does not reproduce its golden vectors here.
    """
    knowledge = Knowledge.of(bundle)
    labels = [check_label(label) for label in frames]
    if not labels or prototypes < 1:
        raise UsageError(
            "Teaching needs at least one class and one prototype for it. "
            f"Received: {len(labels)} classes and {prototypes} prototypes. Name a class with images."
        )
    plug, clock = _plug(bundle, interpreter), _Steps()
    examples = _embedded(bundle, frames, plug, clock, told)
    estimate = estimated(knowledge, examples, prototypes, seed, told and partial(told, "try on held-out images"))
    clock.end("estimate")
    after = taught(knowledge, examples, prototypes, seed)
    clock.end("learn")
    after = calibrated(knowledge, after.remembering(seed), examples)
    clock.end("calibrate")
    lessons = tuple(_lesson(knowledge, label, each, prototypes, estimate) for label, each in examples.items())
    following = rebuilt(bundle, after, _records(bundle, lessons), plug)
    clock.end("prove")
    return Taught(following, _report(bundle, lessons, estimate, clock))


def forget(
    bundle: Bundle,
    label: str,
    *,
    interpreter: str | InterpreterPlug | None = None,
) -> Taught:
    """Take a class out of a bundle: its label, prototypes, remembered examples and output.

    The classes after it move up by one index. The head keeps what it knows of the others.

    Args:
        bundle: One with a staged form and a feature memory.
        label: The class, whoever taught it.
        interpreter: A plug or its name; chosen by `interpreter_for` where None.

    Raises:
        UsageError: The bundle cannot be taught, does not know the class, or would be left with one.
        VerificationError: The new bundle does not reproduce its golden vectors here.
    """
    knowledge = Knowledge.of(bundle)
    _check_forgettable(knowledge, label)
    plug, clock = _plug(bundle, interpreter), _Steps()
    left = knowledge.without(label)
    after = calibrated(knowledge, left if left.head else newly_trained(left, seed=0))
    clock.end("learn")
    others = knowledge.memory.part(knowledge.memory.labels != knowledge.class_index(label))
    estimate = Estimate({}, 0, after.accuracy(left.memory), knowledge.accuracy(others) if knowledge.head else None)
    records = tuple(record for record in bundle.manifest.taught if record.label != label)
    following = rebuilt(bundle, after, records, plug)
    clock.end("prove")
    return Taught(following, _report(bundle, (), estimate, clock))


def _check_forgettable(knowledge: Knowledge, label: str) -> None:
    if label not in knowledge.labels:
        raise UsageError(
            f"A class to forget must be one of {', '.join(knowledge.labels)}. Received: {label!r}. Check the spelling."
        )
    if len(knowledge.labels) == 2:
        raise UsageError(
            f"A classifier needs at least 2 classes. Received: {label!r} to forget, one of {len(knowledge.labels)}. "
            "Teach another class first."
        )


def _plug(bundle: Bundle, interpreter: str | InterpreterPlug | None) -> InterpreterPlug:
    return interpreter_for(bundle.manifest.models_of("staged"), interpreter)


class _Steps:
    """Nanoseconds of steps that follow each other."""

    def __init__(self) -> None:
        self.durations_ns: dict[str, int] = {}
        self._begun = perf_counter_ns()

    def end(self, step: str, of_it: Mapping[str, int] | None = None) -> None:
        """A step is over; `of_it` are parts of it that stand under names of their own."""
        now = perf_counter_ns()
        parts = dict(of_it or {})
        self.durations_ns |= {step: now - self._begun - sum(parts.values()), **parts}
        self._begun = now


def _embedded(
    bundle: Bundle, frames: Mapping[str, Frames], plug: InterpreterPlug, clock: _Steps, told: Told | None
) -> dict[str, Examples]:
    """The examples of every class; what is not embedding is reading: the frames may come from files or a camera."""
    pipeline = make_pipeline(bundle, "staged", plug, threads=1)
    assert isinstance(pipeline, StagedPipeline)
    try:
        examples = {label: embed_frames(pipeline, label, each, told) for label, each in frames.items()}
    finally:
        pipeline.close()
    clock.end("read", {"embed": sum(each.embed_ns for each in examples.values())})
    return examples


def _lesson(knowledge: Knowledge, label: str, each: Examples, prototypes: int, estimate: Estimate) -> Lesson:
    new = label not in knowledge.labels
    return Lesson(label, new, each.images, each.repeated, each.blank, prototypes, estimate.accuracy[label])


def _records(bundle: Bundle, lessons: tuple[Lesson, ...]) -> tuple[TaughtClass, ...]:
    """What was taught, this time added to the times before; a class's latest estimate counts."""
    records = {record.label: record for record in bundle.manifest.taught}
    for lesson in lessons:
        before = records.get(lesson.label, TaughtClass(lesson.label, 0, 0, None))
        images, prototypes = before.images + lesson.images, before.prototypes + lesson.prototypes
        records[lesson.label] = TaughtClass(lesson.label, images, prototypes, lesson.accuracy)
    return tuple(records.values())


def _report(bundle: Bundle, lessons: tuple[Lesson, ...], estimate: Estimate, clock: _Steps) -> TeachReport:
    return TeachReport(
        bundle.manifest.version + 1,
        lessons,
        estimate.held_out,
        estimate.remembered,
        estimate.before,
        bundle.manifest.fused is not None,
        clock.durations_ns,
    )
