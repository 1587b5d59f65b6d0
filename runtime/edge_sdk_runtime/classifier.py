"""Load a bundle, classify frames, know the time of every stage."""

from __future__ import annotations

import os
from _thread import allocate_lock  # what threading.Lock is, without a module that one thread does not need
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .bundle import Bundle
from .errors import UsageError
from .interpreters import InterpreterPlug, interpreter_for
from .pipelines import Pipeline, make_pipeline
from .pixels import Pixels, black_frame
from .timing import LatencySummary, StageClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from .errors import ImageReadError
    from .geometry import Region

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
        unknown: Whether the frame shows nothing that the bundle has seen examples of, so that `label` is only the class that
            comes closest; None where the bundle or its form cannot tell.
    """

    label: str
    score: float
    class_index: int
    scores: NDArray[np.float32]
    labels: tuple[str, ...]
    stages: tuple[str, ...]
    durations_ns: tuple[int, ...]
    capture_age_ns: int | None
    unknown: bool | None = None

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
    """A bundle ready to classify.

    Use `load`, then `classify`; the object is its own context manager. Several threads may share one: they classify in turn,
    since the models hold one input each. For more at a time, load one per thread.

    Args:
        bundle: An opened bundle.
        form: `"staged"` or `"fused"`; the bundle's own default where None.
        interpreter: A plug or its name; chosen by `interpreter_for` where None, which needs none for a form without models.
        threads: Threads the interpreter may use. Small models are fastest with 1.
        pixels: How frames hold their pixels; a `Pixels` or its name.
        region: The part of every frame that is looked at; all of it where None.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        form: str | None = None,
        interpreter: str | InterpreterPlug | None = None,
        threads: int = 1,
        pixels: Pixels | str = Pixels.BGR,
        region: Region | None = None,
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1. Received: {threads}. Small models are fastest with 1.")
        self.bundle = bundle
        self.labels = bundle.manifest.labels
        self.form = form or bundle.manifest.default_form
        self.pixels = Pixels.named(pixels)
        self.interpreter = interpreter_for(bundle.manifest.models_of(self.form), interpreter)
        self.pipeline: Pipeline = make_pipeline(bundle, self.form, self.interpreter, threads, self.pixels, region)
        self.clock = StageClock(self.pipeline.stages)
        self._lock = allocate_lock()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        form: str | None = None,
        interpreter: str | InterpreterPlug | None = None,
        threads: int = 1,
        pixels: Pixels | str = Pixels.BGR,
        region: Region | None = None,
    ) -> Classifier:
        """Open a bundle file and load its models; each file that the form uses is checked against its hash before.

        Args:
            path: An `.edge` file.
            form: `"staged"` or `"fused"`; the bundle's own default where None.
            interpreter: A plug or its name; chosen by `interpreter_for` where None, which needs none for a form without models.
            threads: Threads the interpreter may use, at least 1.
            pixels: How frames hold their pixels; a `Pixels` or its name.
            region: The part of every frame that is looked at; all of it where None.

        Raises:
            BundleError: The file is missing, altered, or too new.
            ModelUnsupportedError: The installed interpreter is known not to run a model.
            InterpreterUnavailableError: The form holds models, and there is no interpreter.
            InterpreterError: The interpreter refuses a model.
        """
        bundle = Bundle.open(path, lazily=True)
        return cls(bundle, form=form, interpreter=interpreter, threads=threads, pixels=pixels, region=region)

    def classify(self, frame: NDArray[np.uint8], captured_ns: int | None = None) -> Classification:
        """Classify one frame.

        Args:
            frame: Of any size; `uint8 [height, width, 3]`, BGR, unless the classifier was made for other `pixels`.
            captured_ns: The frame's moment of capture on the clock of `time.perf_counter_ns`.

        Raises:
            FrameError: The array is not such a frame.
        """
        age = None if captured_ns is None else perf_counter_ns() - captured_ns
        with self._lock:
            scores, durations = self.pipeline.run(frame)
            unknown = self.pipeline.unknown
            self.clock.record(durations)
        index = int(scores.argmax())
        score, stages = float(scores[index]), self.pipeline.stages
        return Classification(self.labels[index], score, index, scores, self.labels, stages, durations, age, unknown)

    def classify_files(
        self, paths: Iterable[str | os.PathLike[str]], readers: int = 2
    ) -> Iterator[tuple[str, Classification | ImageReadError]]:
        """Classify image files in their order, decoding the next ones meanwhile; see `batch.classify_files`."""
        from .batch import classify_files  # brings a thread pool, which one picture does not need

        return classify_files(self, paths, readers)

    def warm_up(self, runs: int = 5) -> None:
        """Classify black frames, then forget their times: the first runs of a model are slow and are nobody's latency."""
        spec = self.bundle.manifest.preprocess
        black = black_frame(self.pixels, spec.width, spec.height)
        with self._lock:
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
