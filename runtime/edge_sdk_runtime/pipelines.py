"""The two inference forms as sequences of timed stages.

*Staged*: preprocess → embed (encoder.tflite, or the image as it is) → similarity (NumPy) → head (TFLite or NumPy). *Fused*:
preprocess → classify (one .tflite). Memory is allocated when a pipeline is made; running it touches the interpreter's tensors in
place.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .bundle import Bundle
from .errors import BundleCorruptError, UsageError
from .interpreters import Interpreter, InterpreterPlug, TensorInfo
from .loading import flattened_image, load_head, load_model, load_similarity, load_unknown
from .preprocess import Pixels, Preprocessor, Region
from .similarity import CompiledSimilarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .mlp import CompiledMlp, MlpHead
    from .unknown import CompiledUnknown

__all__ = ["FusedPipeline", "Pipeline", "StagedPipeline", "make_pipeline"]


class Pipeline(Protocol):
    """From a frame to scores, with nanoseconds per stage; for one thread at a time."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages in the order in which they run."""

    @property
    def unknown(self) -> bool | None:
        """Whether the latest frame that was run shows nothing of what is known; None where that cannot be told."""

    def run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Classify one frame.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.

        Returns:
            Probabilities `float32 [classes]`, a new array, and nanoseconds per stage.
        """

    def trace(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """The result of every stage for one frame, by stage name; the last one under `scores`."""

    def close(self) -> None:
        """Give the models' memory back."""


class FusedPipeline:
    """One graph from pixels to probabilities.

    Args:
        preprocessor: What is done to a frame.
        model: The classifier.
        classes: Number of labels.
    """

    stages = ("preprocess", "classify")
    unknown = None

    def __init__(self, preprocessor: Preprocessor, model: Interpreter, classes: int) -> None:
        _expect("The classifier's input", model.input, TensorInfo((1, *preprocessor.spec.shape), "uint8"))
        _expect("The classifier's output", model.output, TensorInfo((1, classes), "float32"))
        self._preprocess = preprocessor.into
        self._model = model

    def run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Classify one frame; see `Pipeline.run`."""
        start = perf_counter_ns()
        self._preprocess(frame, self._model.input_view()[0])
        ready = perf_counter_ns()
        self._model.invoke()
        scores = self._model.output_view()[0].copy()
        return scores, (ready - start, perf_counter_ns() - ready)

    def trace(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """The preprocessed image and the scores; see `Pipeline.trace`."""
        self._preprocess(frame, self._model.input_view()[0])
        image = self._model.input_view()[0].copy()
        self._model.invoke()
        return {"preprocess": image, "scores": self._model.output_view()[0].copy()}

    def close(self) -> None:
        """Give the model's memory back."""
        self._model.close()


class StagedPipeline:
    """Encoder, similarity to prototypes, head.

    Args:
        preprocessor: What is done to a frame.
        encoder: Image → embedding.
        similarity: The comparison with the prototypes.
        prototypes: Number of prototypes, P.
        head: Features → probabilities, as a model or in NumPy.
        classes: Number of labels.
        unknown: Tells images of nothing that is known, in a stage of its own; None where there is no such stage.
    """

    stages: tuple[str, ...] = ("preprocess", "embed", "similarity", "head")
    unknown: bool | None = None

    def __init__(
        self,
        preprocessor: Preprocessor,
        encoder: Interpreter,
        similarity: CompiledSimilarity,
        prototypes: int,
        head: Interpreter | MlpHead,
        classes: int,
        unknown: CompiledUnknown | None = None,
    ) -> None:
        _expect("The encoder's input", encoder.input, TensorInfo((1, *preprocessor.spec.shape), "uint8"))
        _expect("The encoder's output", encoder.output, TensorInfo((1, similarity.width), "float32"))
        self._preprocess = preprocessor.into
        self._encoder = encoder
        self._compare = similarity.into
        self._features = np.empty(prototypes, np.float32)
        self._classes = classes
        self._strangeness = unknown and unknown.strangeness
        if unknown:
            self.stages = (*self.stages, "unknown")
        self._head = _scoring(head, prototypes, classes)

    def run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Classify one frame; see `Pipeline.run`."""
        start = perf_counter_ns()
        self._preprocess(frame, self._encoder.input_view()[0])
        ready = perf_counter_ns()
        self._encoder.invoke()
        embedded = perf_counter_ns()
        embedding = self._encoder.output_view()[0]
        self._compare(embedding, self._features)
        compared = perf_counter_ns()
        scores = np.empty(self._classes, np.float32)
        self._head.into(self._features, scores)
        scored = perf_counter_ns()
        durations = ready - start, embedded - ready, compared - embedded, scored - compared
        if not self._strangeness:
            return scores, durations
        self.unknown = not self._strangeness(embedding) <= 1  # NaN is like nothing
        return scores, (*durations, perf_counter_ns() - scored)

    def embed(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The embedding of one frame, a new `float32 [D]`, and nothing after it.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.
        """
        self._preprocess(frame, self._encoder.input_view()[0])
        return self._embedding()

    def embed_input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The embedding of an image that is preprocessed already, a new `float32 [D]`.

        Args:
            image: `uint8 [H, W, C]`, as the encoder takes it.
        """
        self._encoder.input_view()[0] = image
        return self._embedding()

    def _embedding(self) -> NDArray[np.float32]:
        self._encoder.invoke()
        embedding: NDArray[np.float32] = self._encoder.output_view()[0].copy()
        return embedding

    def trace(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """The preprocessed image, the embedding, the features and the scores; see `Pipeline.trace`."""
        self._preprocess(frame, self._encoder.input_view()[0])
        image = self._encoder.input_view()[0].copy()
        self._encoder.invoke()
        embedding = self._encoder.output_view()[0].copy()
        self._compare(embedding, self._features)
        scores = np.empty(self._classes, np.float32)
        self._head.into(self._features, scores)
        return {"preprocess": image, "embed": embedding, "similarity": self._features.copy(), "scores": scores}

    def close(self) -> None:
        """Give the models' memory back."""
        self._encoder.close()
        if isinstance(self._head, _ModelHead):
            self._head.model.close()


def _scoring(head: Interpreter | MlpHead, features: int, classes: int) -> CompiledMlp | _ModelHead:
    """The head made ready to score one vector of features after the other."""
    from .mlp import CompiledMlp, MlpHead  # the fused form has no head

    if not isinstance(head, MlpHead):
        return _ModelHead(head, features, classes)
    if (head.inputs, head.outputs) != (features, classes):
        raise BundleCorruptError(
            f"The head must take {features} features and score {classes} classes. "
            f"Received: {head.inputs} and {head.outputs}. Write the bundle again."
        )
    return CompiledMlp(head)


class _ModelHead:
    """A head that is a .tflite model, used like the NumPy one."""

    def __init__(self, model: Interpreter, features: int, classes: int) -> None:
        _expect("The head's input", model.input, TensorInfo((1, features), "float32"))
        _expect("The head's output", model.output, TensorInfo((1, classes), "float32"))
        self.model = model

    def into(self, features: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        self.model.input_view()[0] = features
        self.model.invoke()
        out[...] = self.model.output_view()[0]


def make_pipeline(
    bundle: Bundle,
    form: str,
    plug: InterpreterPlug,
    threads: int,
    pixels: Pixels | str = Pixels.BGR,
    region: Region | None = None,
) -> Pipeline:
    """Load a bundle's models in one of its forms.

    Args:
        bundle: An opened bundle.
        form: `"staged"` or `"fused"`.
        plug: What loads the models.
        threads: Threads per model, at least 1.
        pixels: How frames hold their pixels.
        region: The part of every frame that is looked at; all of it where None.

    Raises:
        UsageError: The bundle does not hold that form.
        BundleCorruptError: Its parts do not fit together.
        ModelUnsupportedError: The installed interpreter is known not to run a model.
        InterpreterError: The interpreter refuses a model.
    """
    if form not in bundle.manifest.forms:
        raise UsageError(
            f"form must be one the bundle holds: {', '.join(bundle.manifest.forms)}. Received: {form!r}. Choose one of them."
        )
    preprocessor = Preprocessor(bundle.manifest.preprocess, pixels, region)
    return (_fused if form == "fused" else _staged)(bundle, plug, threads, preprocessor)


def _fused(bundle: Bundle, plug: InterpreterPlug, threads: int, preprocessor: Preprocessor) -> Pipeline:
    manifest = bundle.manifest
    assert manifest.fused is not None
    model = load_model(bundle, manifest.fused.classifier, plug, threads)
    return FusedPipeline(preprocessor, model, len(manifest.labels))


def _staged(bundle: Bundle, plug: InterpreterPlug, threads: int, preprocessor: Preprocessor) -> Pipeline:
    manifest, form = bundle.manifest, bundle.manifest.staged
    assert form is not None
    similarity = load_similarity(bundle, form)
    head = load_head(bundle, form.head, plug)
    name, spec = form.encoder, preprocessor.spec
    encoder = flattened_image(spec) if name is None else load_model(bundle, name, plug, threads)
    prototypes = len(form.prototype_labels)
    unknown = load_unknown(bundle, similarity.width)
    return StagedPipeline(preprocessor, encoder, similarity, prototypes, head, len(manifest.labels), unknown)


def _expect(what: str, received: TensorInfo, expected: TensorInfo) -> None:
    if received != expected:
        raise BundleCorruptError(
            f"{what} must be {expected.dtype} {list(expected.shape)}. "
            f"Received: {received.dtype} {list(received.shape)}. Write the bundle again with edge-sdk compress."
        )
