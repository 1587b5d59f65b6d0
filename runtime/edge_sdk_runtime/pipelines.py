"""The two inference forms as sequences of timed stages.

*Staged*: preprocess → embed (encoder.tflite) → similarity (NumPy) → head (TFLite or NumPy). *Fused*: preprocess → classify
(one .tflite). Memory is allocated when a pipeline is made; running it touches the interpreter's tensors in place.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .bundle import Bundle
from .errors import BundleCorruptError, UsageError
from .interpreters import Interpreter, InterpreterPlug, TensorInfo
from .manifest import StagedForm
from .mlp import MlpHead
from .packages import promised
from .preprocess import Pixels, Preprocessor, Region
from .similarity import CompiledSimilarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FusedPipeline", "Pipeline", "StagedPipeline", "make_pipeline"]


class Pipeline(Protocol):
    """From a frame to scores, with nanoseconds per stage; for one thread at a time."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages in the order in which they run."""

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
    """

    stages = ("preprocess", "embed", "similarity", "head")

    def __init__(
        self,
        preprocessor: Preprocessor,
        encoder: Interpreter,
        similarity: CompiledSimilarity,
        prototypes: int,
        head: Interpreter | MlpHead,
        classes: int,
    ) -> None:
        _expect("The encoder's input", encoder.input, TensorInfo((1, *preprocessor.spec.shape), "uint8"))
        _expect("The encoder's output", encoder.output, TensorInfo((1, similarity.width), "float32"))
        self._preprocess = preprocessor.into
        self._encoder = encoder
        self._compare = similarity.into
        self._features = np.empty(prototypes, np.float32)
        self._head = head if isinstance(head, MlpHead) else _ModelHead(head, prototypes, classes)
        if isinstance(head, MlpHead) and (head.inputs, head.outputs) != (prototypes, classes):
            raise BundleCorruptError(
                f"The head must take {prototypes} features and score {classes} classes. "
                f"Received: {head.inputs} and {head.outputs}. Write the bundle again."
            )

    def run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Classify one frame; see `Pipeline.run`."""
        start = perf_counter_ns()
        self._preprocess(frame, self._encoder.input_view()[0])
        ready = perf_counter_ns()
        self._encoder.invoke()
        embedded = perf_counter_ns()
        self._compare(self._encoder.output_view()[0], self._features)
        compared = perf_counter_ns()
        scores = self._head(self._features)
        return scores, (ready - start, embedded - ready, compared - embedded, perf_counter_ns() - compared)

    def trace(self, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """The preprocessed image, the embedding, the features and the scores; see `Pipeline.trace`."""
        self._preprocess(frame, self._encoder.input_view()[0])
        image = self._encoder.input_view()[0].copy()
        self._encoder.invoke()
        embedding = self._encoder.output_view()[0].copy()
        self._compare(embedding, self._features)
        return {
            "preprocess": image,
            "embed": embedding,
            "similarity": self._features.copy(),
            "scores": self._head(self._features),
        }

    def close(self) -> None:
        """Give the models' memory back."""
        self._encoder.close()
        if isinstance(self._head, _ModelHead):
            self._head.model.close()


class _ModelHead:
    """A head that is a .tflite model, called like the NumPy one."""

    def __init__(self, model: Interpreter, features: int, classes: int) -> None:
        _expect("The head's input", model.input, TensorInfo((1, features), "float32"))
        _expect("The head's output", model.output, TensorInfo((1, classes), "float32"))
        self.model = model

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.model.input_view()[0] = features
        self.model.invoke()
        scores: NDArray[np.float32] = self.model.output_view()[0].copy()
        return scores


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
    model = _load(bundle, manifest.fused.classifier, plug, threads)
    return FusedPipeline(preprocessor, model, len(manifest.labels))


def _staged(bundle: Bundle, plug: InterpreterPlug, threads: int, preprocessor: Preprocessor) -> Pipeline:
    manifest, form = bundle.manifest, bundle.manifest.staged
    assert form is not None
    similarity = _similarity(bundle, form)
    is_model = form.head.endswith(".tflite")
    head = _load(bundle, form.head, plug, 1) if is_model else MlpHead.from_bytes(bundle.read(form.head))
    encoder = _load(bundle, form.encoder, plug, threads)
    prototypes = len(form.prototype_labels)
    return StagedPipeline(preprocessor, encoder, similarity, prototypes, head, len(manifest.labels))


def _load(bundle: Bundle, name: str, plug: InterpreterPlug, threads: int) -> Interpreter:
    """Load a model that the interpreter is not known to refuse or get wrong."""
    content, release = bundle.read(name), plug.release()
    if release and not promised(release, bundle.manifest.requires):
        from .gate import admit  # with its tables 5 ms; what the bundle promises needs no look at the model

        admit(content, name, release)
    return plug.load(content, threads)


def _similarity(bundle: Bundle, form: StagedForm) -> CompiledSimilarity:
    arrays = bundle.read_arrays(form.prototypes)
    table = arrays.get("", np.empty(0))
    if table.ndim != 2 or len(table) != len(form.prototype_labels):
        raise BundleCorruptError(
            f"{form.prototypes} must hold one row for each of {len(form.prototype_labels)} prototype labels. "
            f"Received: {list(table.shape)}. Write the bundle again."
        )
    try:
        return CompiledSimilarity(table.astype(np.float32), form.similarity)
    except UsageError as error:
        raise BundleCorruptError(f"{form.prototypes}: {error}") from error


def _expect(what: str, received: TensorInfo, expected: TensorInfo) -> None:
    if received != expected:
        raise BundleCorruptError(
            f"{what} must be {expected.dtype} {list(expected.shape)}. "
            f"Received: {received.dtype} {list(received.shape)}. Write the bundle again with edge-sdk compress."
        )
