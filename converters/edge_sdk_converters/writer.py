"""From a classifier to a proven bundle: feature memory, golden vectors, measured accuracy, and the proof by the runtime."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from edge_sdk_runtime import Bundle, Manifest, Preprocessor, verify
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters import interpreter_for
from edge_sdk_runtime.manifest import Tolerances
from edge_sdk_runtime.memory import MEMORY
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors

from .compat import require_runtimes
from .draft import draft_of
from .errors import ProofError
from .evaluate import evaluate
from .pack import pack
from .pack.config import Storage
from .quantize import QuantizeConfig, QuantizeMode
from .remember import RememberConfig, remember

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .request import BundleRequest

__all__ = ["build_bundle"]

_GOLDEN_FRAMES = 4
_GOLDEN_SIDE = 96
"""Longest side of a golden frame in pixels; photographs would outweigh the model."""
_PIXEL_TOLERANCE = 4 / 255
"""How far an embedding that is the image itself may be: as far as releases of OpenCV round pixels differently, and some."""


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
    draft, members = draft_of(request)
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
            f"Received: a difference of {difference:.3g}. Train it longer, for one whose features hardly differ between images turns "
            "rounding into scores; or export it with another version of TensorFlow."
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


def _npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
