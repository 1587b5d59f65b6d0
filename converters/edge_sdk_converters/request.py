"""What goes into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from .pack.config import Storage

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from edge_sdk_runtime import PreprocessSpec
    from edge_sdk_runtime.gate import Runtime

    from .evaluate import Frames
    from .quantize import QuantizeConfig
    from .quantize.calibrate import Range
    from .remember import RememberConfig

__all__ = ["BundleRequest", "HeadFormat", "HeldOut"]


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
