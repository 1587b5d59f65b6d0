"""What a manifest is made of: members, forms, figures, rules. See `edge_sdk_runtime.manifest`."""

from __future__ import annotations

from .errors import BundleVersionError
from .records import dataclass
from .similarity import Similarity

__all__ = [
    "PACKED_TFLITE",
    "FileEntry",
    "FusedForm",
    "Measured",
    "RebuiltFile",
    "StagedForm",
    "TaughtClass",
    "Tolerances",
    "UnknownRule",
]

PACKED_TFLITE = "packed-tflite-1"
"""The coding of a .tflite file whose weights are stored as entropy-coded streams; see the runtime's docs/codec.md."""


@dataclass(frozen=True)
class RebuiltFile:
    """What a coded member is rebuilt to.

    Attributes:
        size_bytes: Length of the rebuilt file.
        sha256: Its hash, 64 hexadecimal digits.
        coding: How the member is coded.
    """

    size_bytes: int
    sha256: str
    coding: str = PACKED_TFLITE

    def __post_init__(self) -> None:
        if self.coding != PACKED_TFLITE:
            raise BundleVersionError(
                f"This runtime rebuilds files coded as {PACKED_TFLITE}. Received: {self.coding!r}. "
                "Run: pip install --upgrade edge-sdk-runtime"
            )


@dataclass(frozen=True)
class FileEntry:
    """One member of the bundle.

    Attributes:
        size_bytes: Its length as it is stored.
        sha256: Hash of what is stored, 64 hexadecimal digits.
        rebuilt: What it is rebuilt to, where it is coded.
    """

    size_bytes: int
    sha256: str
    rebuilt: RebuiltFile | None = None


@dataclass(frozen=True)
class StagedForm:
    """Encoder, similarity and head as stages of their own.

    Attributes:
        encoder: Member name of the encoder's .tflite file, image → `float32 [1, D]`. None where the embedding is the preprocessed
            image itself, flattened row by row (H, W, C), each value divided by 255.
        prototypes: Member name of the `float32 [P, D]` table.
        prototype_labels: Class index of each of the P prototypes.
        similarity: How embeddings and prototypes are compared.
        head: Member name of the head: .tflite, or .npz for the NumPy head.
        memory: Member name of the feature memory, which teaching needs; None where the bundle has none.
    """

    encoder: str | None
    prototypes: str
    prototype_labels: tuple[int, ...]
    similarity: Similarity
    head: str
    memory: str | None = None


@dataclass(frozen=True)
class FusedForm:
    """Everything in one graph.

    Attributes:
        classifier: Member name of the .tflite file, image → `float32 [1, classes]` of probabilities.
    """

    classifier: str


@dataclass(frozen=True)
class UnknownRule:
    """How images that show nothing of what the labels name are told; see `edge_sdk_runtime.unknown`.

    Attributes:
        thresholds: Per class, the largest distance from it at which an image may be of it; above 0.
    """

    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class TaughtClass:
    """A class that was taught on a device, or that examples were added to there.

    Attributes:
        label: The class.
        images: Number of images that it was shown, over all times.
        prototypes: Number of prototypes that were added.
        accuracy: The latest estimate of the share of its images that are classified rightly, 0 to 1; None where there were too
            few to hold one out.
    """

    label: str
    images: int
    prototypes: int
    accuracy: float | None


@dataclass(frozen=True)
class Measured:
    """What was measured when the bundle was written, by the runtime, on the workstation.

    Attributes:
        accuracy: Share of the held-out images classified rightly, 0 to 1, or None where there were none.
        images: Number of held-out images.
        data: The set they are from.
        parameters: Weights of the network, or None where its source does not say.
        macs: Multiply-accumulates per image, likewise.
        tflite_bytes: Size of the .tflite files of the default form, together.
    """

    accuracy: float | None
    images: int
    data: str
    parameters: int | None
    macs: int | None
    tflite_bytes: int


@dataclass(frozen=True)
class Tolerances:
    """How far a stage may be from its golden vectors on another machine or runtime, as largest absolute difference.

    Attributes:
        preprocess: Grey levels, averaged over an image.
        embed: In the embedding's own scale.
        similarity: In the features' own scale.
        scores: Probability.
    """

    preprocess: float
    embed: float
    similarity: float
    scores: float
