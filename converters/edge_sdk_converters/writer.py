"""From a classifier to a proven bundle: export, feature memory, golden vectors, measured accuracy, and the proof by the runtime."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from edge_sdk_runtime import Bundle, Manifest, Preprocessor, PreprocessSpec, verify
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters import interpreter_for
from edge_sdk_runtime.manifest import FusedForm, Measured, StagedForm, Tolerances
from edge_sdk_runtime.memory import MEMORY
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors

from .compat import require_runtimes
from .cost import count_macs, count_parameters
from .errors import ModelError, ProofError
from .evaluate import Frames, evaluate
from .metadata import add_metadata, classifier_metadata
from .pack import pack
from .pack.config import Storage
from .quantize import QuantizeConfig, QuantizeMode, quantize
from .quantize.calibrate import Range
from .quantize.places import layer_names, read_places
from .remember import RememberConfig, remember
from .source import is_opaque
from .stages import Stages, has_stages, layers_after_encoder, split_stages
from .tflite import export_tflite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk_runtime.gate import Runtime

__all__ = ["BundleRequest", "HeadFormat", "HeldOut", "build_bundle"]

_GOLDEN_FRAMES = 4
_GOLDEN_SIDE = 96
"""Longest side of a golden frame in pixels; photographs would outweigh the model."""
_PIXEL_TOLERANCE = 4 / 255
"""How far an embedding that is the image itself may be: as far as releases of OpenCV round pixels differently, and some."""


class HeadFormat(str, Enum):
    """How a staged bundle holds its head."""

    NUMPY = "npz"
    """Numbers for NumPy: no model to load, and what teaching on the device trains."""
    TFLITE = "tflite"
    """A model for the interpreter."""


@dataclass(frozen=True)
class HeldOut:
    """Labelled frames that no training saw.

    Attributes:
        frames: `uint8 [height, width, 3]`, BGR.
        targets: Class indices, `int64 [N]`.
        name: What the set is called.
    """

    frames: Frames
    targets: NDArray[np.int64]
    name: str


@dataclass(frozen=True)
class BundleRequest:
    """All that goes into a bundle.

    Attributes:
        name: What the bundle is called.
        labels: Class names.
        preprocess: What is done to a frame.
        model: A classifier under the SDK's contract.
        quantize: How the exported files are quantized.
        calibration: Model inputs that fix the scales, `uint8 [N, H, W, C]`, from the training images.
        held_out: What accuracy is measured on; at least one frame.
        forms: Inference forms, the default first; where empty, staged if the model has stages, else fused.
        provenance: Recipe, versions and source, as text.
        ranges: Learnt ranges of activations by layer, where the model was fine-tuned for its quantization.
        runtimes: Releases of interpreters that must run the bundle, besides the one that proves it here.
        storage: How the bundle stores the models.
        head: How the staged form holds its head; NumPy where its layers allow, where None.
        remember: The images that a staged bundle remembers, so that it can be taught and tells what is unknown; where None,
            neither.
    """

    name: str
    labels: tuple[str, ...]
    preprocess: PreprocessSpec
    model: keras.Model
    quantize: QuantizeConfig
    calibration: NDArray[np.uint8]
    held_out: HeldOut
    forms: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    runtimes: tuple[Runtime, ...] = ()
    storage: Storage = Storage.PLAIN
    head: HeadFormat | None = None
    remember: RememberConfig | None = None


def build_bundle(request: BundleRequest, progress: Callable[[int, int], None] | None = None) -> Bundle:
    """Export, measure, prove.

    Args:
        request: What goes in.
        progress: Told how many held-out frames are classified, of how many.

    Returns:
        A bundle that the runtime has opened from its own bytes and whose golden vectors it has reproduced; write it with
        `Bundle.write`.

    Raises:
        ModelError: The form asked for is not to be had from this model.
        ExportError: The TFLite converter refuses the model.
        QuantizationError: The quantizer does.
        CompatibilityError: One of the runtimes asked for does not run what would be written.
        ProofError: The runtime computes something else than the model, or does not reproduce the golden vectors.
    """
    draft, members = _draft(request)
    models = {name: content for name, content in members.items() if name.endswith(".tflite")}
    if models:
        draft = dataclasses.replace(draft, requires=require_runtimes(models, request.runtimes))
    members = _stored(members, request.storage)
    if request.remember and draft.staged:
        draft, members = _remembering(draft, members, request.remember)
    bundle = Bundle.build(draft, members)
    plug = interpreter_for(draft.models)
    golden = _golden(bundle, request)
    if not request.quantize.quantizes:
        _compare_with_keras(request, golden)
    evaluation = evaluate(bundle, request.held_out.frames, request.held_out.targets, progress=progress)
    manifest = dataclasses.replace(
        draft,
        measured=dataclasses.replace(draft.measured, accuracy=evaluation.accuracy),
        tolerances=_tolerances(golden, request.quantize, draft),
        interpreters=(f"{plug.name} {plug.version()}",),
    )
    return _proven(Bundle.build(manifest, {**members, GOLDEN: _npz(golden.arrays())}))


def _stored(members: Mapping[str, bytes], storage: Storage) -> dict[str, bytes]:
    """The members as the bundle stores them: where that is coded, every .tflite file packed."""
    if storage is Storage.PLAIN:
        return dict(members)
    return {name: pack(content).content if name.endswith(".tflite") else content for name, content in members.items()}


def _remembering(
    draft: Manifest, members: dict[str, bytes], config: RememberConfig
) -> tuple[Manifest, dict[str, bytes]]:
    """With a feature memory, and the rule for unknown images where there is one."""
    assert draft.staged is not None
    remembered = remember(Bundle.build(draft, members), config)
    staged = dataclasses.replace(draft.staged, memory=MEMORY)
    return (
        dataclasses.replace(draft, staged=staged, unknown=remembered.unknown),
        {**members, MEMORY: remembered.memory.to_bytes()},
    )


def _proven(bundle: Bundle) -> Bundle:
    """The bundle as read back from its bytes, after the runtime has reproduced its golden vectors."""
    opened = Bundle.from_bytes(bundle.to_bytes(), bundle.manifest.name)
    verification = verify(opened)
    failure = verification.first_failure
    if failure:
        raise ProofError(
            f"A bundle must reproduce its golden vectors. Received: {failure.form} {failure.stage} differs by "
            f"{failure.difference:.3g} with {verification.interpreter}, {failure.tolerance:.3g} allowed. Use another quantization mode."
        )
    return opened


def _draft(request: BundleRequest) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and members before anything is measured."""
    forms = request.forms or (("staged",) if has_stages(request.model) else ("fused",))
    members: dict[str, bytes] = {}
    staged = _staged(request, members) if "staged" in forms else None
    fused = _fused(request, members) if "fused" in forms else None
    default = forms[0]
    prefix = "classifier" if default == "fused" else ("encoder", "head")
    size = sum(
        len(content) for name, content in members.items() if name.startswith(prefix) and name.endswith(".tflite")
    )
    opaque = is_opaque(request.model)
    measured = Measured(
        accuracy=None,
        images=len(request.held_out.targets),
        data=request.held_out.name,
        parameters=None if opaque else count_parameters(request.model),
        macs=None if opaque else count_macs(request.model),
        tflite_bytes=size,
    )
    manifest = Manifest(
        name=request.name,
        labels=request.labels,
        preprocess=request.preprocess,
        default_form=default,
        measured=measured,
        tolerances=Tolerances(0, 0, 0, 0),
        staged=staged,
        fused=fused,
        provenance=request.provenance,
    )
    return manifest, members


def _fused(request: BundleRequest, members: dict[str, bytes]) -> FusedForm:
    exported = export_tflite(request.model)
    after = layers_after_encoder(request.model) if request.quantize.quantizes else ()
    known = layer_names(read_places(exported)) if after else ()
    quantized = quantize(
        exported,
        request.quantize,
        request.calibration,
        [name for name in after if name in known],
        ranges=request.ranges,
    )
    metadata = classifier_metadata(request.name, request.labels, request.preprocess)
    members["classifier.tflite"] = add_metadata(quantized, metadata)
    return FusedForm("classifier.tflite")


def _of_encoder(config: QuantizeConfig, model: keras.Model) -> QuantizeConfig:
    """The configuration without layers that the encoder's file does not hold."""
    after = layers_after_encoder(model)
    return dataclasses.replace(config, layers={name: mode for name, mode in config.layers.items() if name not in after})


def _staged(request: BundleRequest, members: dict[str, bytes]) -> StagedForm:
    if not has_stages(request.model):
        raise ModelError(
            "The staged form needs a classifier with a PrototypeSimilarity layer. "
            f"Received: '{request.model.name}' without one. Use --form fused, or train with edge-sdk train."
        )
    stages = split_stages(request.model)
    encoder = None if stages.flattened else "encoder.tflite"
    if encoder:
        config = _of_encoder(request.quantize, request.model)
        members[encoder] = quantize(export_tflite(stages.encoder), config, request.calibration, ranges=request.ranges)
    members["prototypes.npy"] = _npy(stages.prototypes)
    head, members[head] = _head(stages, request.head)
    return StagedForm(encoder, "prototypes.npy", stages.prototype_labels, stages.similarity, head)


def _head(stages: Stages, wanted: HeadFormat | None) -> tuple[str, bytes]:
    """The head's member name and content: NumPy where its layers allow, since that can be taught and costs no model."""
    if wanted is HeadFormat.NUMPY and not stages.numpy_head:
        raise ModelError(
            "A NumPy head must be Dense layers with biases, ReLU between them and softmax at the end. "
            f"Received: {', '.join(type(layer).__name__ for layer in stages.head.layers)}. Ask for a head as a .tflite model."
        )
    if stages.numpy_head and wanted is not HeadFormat.TFLITE:
        return "head.npz", stages.numpy_head.to_bytes()
    return "head.tflite", export_tflite(stages.head)


def _golden(bundle: Bundle, request: BundleRequest) -> GoldenVectors:
    """Run a frame of each of the first classes through the staged form where there is one: it has all the stages."""
    targets = request.held_out.targets
    firsts = [int(np.flatnonzero(targets == label)[0]) for label in np.unique(targets)[:_GOLDEN_FRAMES]]
    frames = [_small(request.held_out.frames[i]) for i in firsts]
    pipeline = make_pipeline(bundle, bundle.manifest.forms[0], interpreter_for(bundle.manifest.models), threads=1)
    try:
        return GoldenVectors.record(pipeline, frames)
    finally:
        pipeline.close()


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _GOLDEN_SIDE / max(frame.shape[:2])
    if scale >= 1:
        return frame
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _compare_with_keras(request: BundleRequest, golden: GoldenVectors) -> None:
    """Refuse an export that computes something else than the model; int8 differs by intent and is judged by accuracy."""
    preprocess = Preprocessor(request.preprocess)
    inputs = np.stack([preprocess(frame) for frame in golden.frames])
    expected = keras.ops.convert_to_numpy(request.model(inputs, training=False))
    difference = float(np.abs(expected - golden.expected["scores"].astype(np.float32)).max())
    if not difference <= 1e-3:
        raise ProofError(
            "An exported model must give the Keras model's scores within 0.001. "
            f"Received: a difference of {difference:.3g}. Export it with another version of TensorFlow."
        )


def _tolerances(golden: GoldenVectors, config: QuantizeConfig, manifest: Manifest) -> Tolerances:
    """How far another machine or runtime may be.

    Float kernels differ in the order of their sums; int8 kernels also in how they round, which moves a whole step in a
    layer and a few steps at the end.
    """
    exact = {config.mode, *config.layers.values()} <= {QuantizeMode.FLOAT32, QuantizeMode.FLOAT16}
    share = 1e-3 if exact or not manifest.models else 0.08
    is_pixels = manifest.staged is not None and manifest.staged.encoder is None

    def scaled(stage: str) -> float:
        rows = golden.expected.get(stage)
        return 0.0 if rows is None else share * max(1e-3, float(np.abs(rows.astype(np.float64)).max()))

    embed = _PIXEL_TOLERANCE if is_pixels else scaled("embed")
    return Tolerances(preprocess=1.5, embed=embed, similarity=scaled("similarity"), scores=share)


def _npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
