"""The models of a bundle and its manifest, before anything is measured."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime import Manifest
from edge_sdk_runtime.manifest import FusedForm, Measured, StagedForm, Tolerances

from .cost import count_macs, count_parameters
from .errors import ModelError
from .metadata import add_metadata, classifier_metadata
from .quantize import quantize
from .quantize.places import layer_names, read_places
from .request import HeadFormat
from .source import is_opaque
from .stages import has_stages, layers_after_encoder, split_stages
from .tflite import export_tflite

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from .quantize import QuantizeConfig
    from .request import BundleRequest
    from .stages import Stages

__all__ = ["draft_of"]


def draft_of(request: BundleRequest) -> tuple[Manifest, dict[str, bytes]]:
    """Export and quantize the models of the forms that are asked for.

    Args:
        request: What goes in.

    Returns:
        The manifest without measured accuracy, tolerances and what models require; and the content of the files, by name.

    Raises:
        ModelError: The form asked for is not to be had from this model.
        ExportError: The TFLite converter refuses the model.
        QuantizationError: The quantizer does.
    """
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


def _npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
