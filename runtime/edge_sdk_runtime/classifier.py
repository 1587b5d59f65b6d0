"""Load a bundle, classify frames, know the time of every stage."""

from __future__ import annotations

import os
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .bundle import Bundle
from .errors import UsageError
from .interpreters import InterpreterPlug, choose_interpreter
from .pipelines import Pipeline, make_pipeline
from .timing import LatencySummary, StageClock

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Classification", "Classifier"]


class Classification(NamedTuple):
    """What a frame shows, and how long every stage took.

    Attributes:
        label: Name of the most probable class.
        score: Its probability, 0 to 1.
        class_index: Its index.
        scores: Probabilities of all classes, `float32 [classes]`.
        labels: Names of all classes, in the order of `scores`.
        stages: Names of the stages, in the order in which they ran.
        durations_ns: Nanoseconds per stage, in that order.
        capture_age_ns: Nanoseconds from the frame's capture to the beginning of its classification, or None where the
            moment of capture is not known.
    """

    label: str
    score: float
    class_index: int
    scores: NDArray[np.float32]
    labels: tuple[str, ...]
    stages: tuple[str, ...]
    durations_ns: tuple[int, ...]
    capture_age_ns: int | None

    @property
    def total_ns(self) -> int:
        """Nanoseconds of all stages together, the capture's age not included."""
        return sum(self.durations_ns)

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k most probable classes with their probabilities, best first; all of them where there are fewer.

        Raises:
            UsageError: k is less than 1.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1. Received: {k}. Ask for one class or more.")
        best = np.argsort(-self.scores, kind="stable")[:k]
        return [(self.labels[i], float(self.scores[i])) for i in best]


class Classifier:
    """A bundle ready to classify; for one thread at a time.

    Use `load`, then `classify`; the object is its own context manager.

    Args:
        bundle: An opened bundle.
        form: `"staged"` or `"fused"`; the bundle's own default where None.
        interpreter: A plug or its name; chosen by `choose_interpreter` where None.
        threads: Threads the interpreter may use. Small models are fastest with 1.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        form: str | None = None,
        interpreter: str | InterpreterPlug | None = None,
        threads: int = 1,
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1. Received: {threads}. Small models are fastest with 1.")
        self.bundle = bundle
        self.labels = bundle.manifest.labels
        self.form = form or bundle.manifest.default_form
        self.interpreter = choose_interpreter(interpreter)
        self.pipeline: Pipeline = make_pipeline(bundle, self.form, self.interpreter, threads)
        self.clock = StageClock(self.pipeline.stages)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        form: str | None = None,
        interpreter: str | InterpreterPlug | None = None,
        threads: int = 1,
    ) -> Classifier:
        """Open a bundle file and load its models.

        Args:
            path: An `.edge` file.
            form: `"staged"` or `"fused"`; the bundle's own default where None.
            interpreter: A plug or its name; chosen by `choose_interpreter` where None.
            threads: Threads the interpreter may use, at least 1.

        Raises:
            BundleError: The file is missing, altered, or too new.
            InterpreterUnavailableError: There is no interpreter.
            InterpreterError: The interpreter refuses a model.
        """
        return cls(Bundle.open(path), form=form, interpreter=interpreter, threads=threads)

    def classify(self, frame: NDArray[np.uint8], captured_ns: int | None = None) -> Classification:
        """Classify one frame.

        Args:
            frame: `uint8 [height, width, 3]`, BGR, of any size.
            captured_ns: The frame's moment of capture on the clock of `time.perf_counter_ns`.

        Raises:
            FrameError: The array is not such a frame.
        """
        age = None if captured_ns is None else perf_counter_ns() - captured_ns
        scores, durations = self.pipeline.run(frame)
        self.clock.record(durations)
        index = int(scores.argmax())
        return Classification(
            self.labels[index], float(scores[index]), index, scores, self.labels, self.pipeline.stages, durations, age
        )

    def warm_up(self, runs: int = 5) -> None:
        """Classify black frames, then forget their times: the first runs of a model are slow and are nobody's latency."""
        spec = self.bundle.manifest.preprocess
        black = np.zeros((spec.height, spec.width, 3), np.uint8)
        for _ in range(runs):
            self.pipeline.run(black)
        self.clock.reset()

    def summary(self) -> dict[str, LatencySummary]:
        """Percentiles per stage, and of their sum as `total`, over the latest classifications.

        Raises:
            UsageError: Nothing was classified yet.
        """
        return self.clock.summary()

    def close(self) -> None:
        """Give the models' memory back."""
        self.pipeline.close()

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
