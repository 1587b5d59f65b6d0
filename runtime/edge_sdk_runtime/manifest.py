"""The bundle's schema: what `manifest.json` says, as frozen dataclasses.

The runtime owns this schema; the workstation writes bundles through the same classes. A newer minor version may add keys,
which are ignored here; a newer major version is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .errors import BundleCorruptError, BundleVersionError, UsageError
from .preprocess import Color, Interpolation, PreprocessSpec, ResizeMode
from .records import dataclass, field
from .similarity import Similarity

__all__ = [
    "PACKED_TFLITE",
    "SCHEMA_VERSION",
    "FileEntry",
    "FusedForm",
    "Manifest",
    "Measured",
    "RebuiltFile",
    "StagedForm",
    "TaughtClass",
    "Tolerances",
    "UnknownRule",
]

SCHEMA_VERSION = (1, 2)
"""Major and minor version of the schema this runtime writes and reads."""

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


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says of itself.

    Attributes:
        name: What the bundle is called.
        labels: Class names; a class's index is its place here.
        preprocess: What is done to a frame.
        default_form: `"staged"` or `"fused"`, the one that runs unless the other is asked for.
        measured: Figures from the workstation.
        tolerances: How far golden vectors may be missed.
        staged: The staged form, where the bundle holds it.
        fused: The fused form, where the bundle holds it.
        interpreters: Interpreter releases that reproduced the golden vectors when the bundle was written.
        requires: The oldest release of each interpreter's package from which on all known ones run every model; a package
            that does not run them all is left out, and all are where nobody looked.
        provenance: Recipe, versions and source model, as text.
        files: The members, by name.
        unknown: How images of nothing that is known are told; None where they are not.
        version: 1 as the workstation wrote it, one more every time a device taught it or let it forget.
        taught: What devices taught it, in the order of the first time.
    """

    name: str
    labels: tuple[str, ...]
    preprocess: PreprocessSpec
    default_form: str
    measured: Measured
    tolerances: Tolerances
    staged: StagedForm | None = None
    fused: FusedForm | None = None
    interpreters: tuple[str, ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    task: str = "image-classification"
    unknown: UnknownRule | None = None
    version: int = 1
    taught: tuple[TaughtClass, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise UsageError(f"A classifier needs at least 2 labels. Received: {len(self.labels)}. Add classes.")
        if self.staged and not all(0 <= label < len(self.labels) for label in self.staged.prototype_labels):
            raise UsageError(
                f"Every prototype's label must be a class index below {len(self.labels)}. "
                f"Received: {list(self.staged.prototype_labels)}. Give each prototype the index of its class."
            )
        _check_unknown(self)
        if self.default_form not in self.forms:
            raise UsageError(
                f"The default form must be one the bundle holds: {', '.join(self.forms) or 'none'}. "
                f"Received: {self.default_form!r}. Choose one of them."
            )

    @property
    def forms(self) -> tuple[str, ...]:
        """The inference forms the bundle holds."""
        return tuple(name for name, form in (("staged", self.staged), ("fused", self.fused)) if form is not None)

    @property
    def models(self) -> tuple[str, ...]:
        """Member names of the .tflite files."""
        return self._models(self.fused, self.staged)

    @property
    def default_models(self) -> tuple[str, ...]:
        """Those of the default form."""
        return self.models_of(self.default_form)

    def models_of(self, form: str) -> tuple[str, ...]:
        """Those of `"staged"` or `"fused"`; a staged form without an encoder and with a NumPy head has none."""
        return self._models(self.fused if form == "fused" else None, self.staged if form == "staged" else None)

    @staticmethod
    def _models(fused: FusedForm | None, staged: StagedForm | None) -> tuple[str, ...]:
        names = [fused.classifier] if fused else []
        names += [staged.encoder or "", staged.head] if staged else []
        return tuple(name for name in names if name.endswith(".tflite"))

    def to_json(self) -> str:
        """The manifest as it stands in the bundle: sorted keys, so that equal manifests are equal bytes."""
        document: dict[str, Any] = {
            "schema_version": ".".join(map(str, SCHEMA_VERSION)),
            "task": self.task,
            "name": self.name,
            "labels": list(self.labels),
            "preprocess": vars(self.preprocess),
            "default_form": self.default_form,
            "staged": vars(self.staged) if self.staged else None,
            "fused": vars(self.fused) if self.fused else None,
            "measured": vars(self.measured),
            "tolerances": vars(self.tolerances),
            "interpreters": list(self.interpreters),
            "requires": dict(self.requires),
            "provenance": dict(self.provenance),
            "unknown": vars(self.unknown) if self.unknown else None,
            "version": self.version,
            "taught": [vars(each) for each in self.taught],
            "files": {name: _file_document(entry) for name, entry in self.files.items()},
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest.

        Raises:
            BundleVersionError: Its schema's major version is newer than this runtime's.
            BundleCorruptError: It is no manifest: no JSON, a key missing, a value of the wrong kind.
        """
        try:
            document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
            _check_version(str(document["schema_version"]))
            return _manifest(document)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, BundleVersionError):
                raise
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BundleCorruptError(
                f"manifest.json must follow the bundle schema. Received: {what}. Copy the bundle again."
            ) from error


def _check_unknown(manifest: Manifest) -> None:
    rule = manifest.unknown
    if rule is None:
        return
    if not (manifest.staged and manifest.staged.memory):
        raise UsageError("Telling unknown images needs a feature memory. Received: none. Write the bundle again.")
    if len(rule.thresholds) != len(manifest.labels) or not all(threshold > 0 for threshold in rule.thresholds):
        raise UsageError(
            f"Telling unknown images needs a threshold above 0 for each of {len(manifest.labels)} labels. "
            f"Received: {list(rule.thresholds)}. Write the bundle again."
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text}, which is too large")
    return number


def _check_version(version: str) -> None:
    major = int(version.split(".", maxsplit=1)[0])
    if major > SCHEMA_VERSION[0]:
        raise BundleVersionError(
            f"This runtime reads bundle schema {SCHEMA_VERSION[0]}. Received: schema {version}. Run: pip install --upgrade edge-sdk-runtime"
        )


def _manifest(document: dict[str, Any]) -> Manifest:
    staged, fused = document["staged"], document["fused"]
    return Manifest(
        task=str(document["task"]),
        name=str(document["name"]),
        labels=tuple(map(str, document["labels"])),
        preprocess=_preprocess(document["preprocess"]),
        default_form=str(document["default_form"]),
        staged=_staged(staged) if staged is not None else None,
        fused=FusedForm(str(fused["classifier"])) if fused is not None else None,
        measured=_measured(document["measured"]),
        tolerances=Tolerances(**{key: float(document["tolerances"][key]) for key in Tolerances.__annotations__}),
        interpreters=tuple(map(str, document["interpreters"])),
        requires={str(key): str(value) for key, value in document.get("requires", {}).items()},  # since schema 1.1
        provenance={str(key): str(value) for key, value in document["provenance"].items()},
        files={str(name): _file(entry) for name, entry in document["files"].items()},
        unknown=_unknown(document.get("unknown")),  # this and the following since schema 1.2
        version=int(document.get("version", 1)),
        taught=tuple(_taught(each) for each in document.get("taught", ())),
    )


def _file_document(entry: FileEntry) -> dict[str, Any]:
    stored = {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
    return {**stored, "rebuilt": vars(entry.rebuilt)} if entry.rebuilt else stored


def _file(document: dict[str, Any]) -> FileEntry:
    rebuilt = document.get("rebuilt")  # since schema 1.1
    return FileEntry(
        int(document["size_bytes"]), str(document["sha256"]), None if rebuilt is None else _rebuilt(rebuilt)
    )


def _rebuilt(document: dict[str, Any]) -> RebuiltFile:
    return RebuiltFile(int(document["size_bytes"]), str(document["sha256"]), str(document["coding"]))


def _preprocess(document: dict[str, Any]) -> PreprocessSpec:
    return PreprocessSpec(
        width=int(document["width"]),
        height=int(document["height"]),
        resize=ResizeMode(document["resize"]),
        interpolation=Interpolation(document["interpolation"]),
        color=Color(document["color"]),
    )


def _staged(document: dict[str, Any]) -> StagedForm:
    return StagedForm(
        encoder=None if document["encoder"] is None else str(document["encoder"]),  # null since schema 1.2
        prototypes=str(document["prototypes"]),
        prototype_labels=tuple(map(int, document["prototype_labels"])),
        similarity=Similarity(document["similarity"]),
        head=str(document["head"]),
        memory=None if document.get("memory") is None else str(document["memory"]),  # since schema 1.2
    )


def _unknown(document: dict[str, Any] | None) -> UnknownRule | None:
    if document is None:
        return None
    return UnknownRule(tuple(map(float, document["thresholds"])))


def _taught(document: dict[str, Any]) -> TaughtClass:
    accuracy = document["accuracy"]
    return TaughtClass(
        label=str(document["label"]),
        images=int(document["images"]),
        prototypes=int(document["prototypes"]),
        accuracy=None if accuracy is None else float(accuracy),
    )


def _measured(document: dict[str, Any]) -> Measured:
    accuracy = document["accuracy"]
    return Measured(
        accuracy=None if accuracy is None else float(accuracy),
        images=int(document["images"]),
        data=str(document["data"]),
        parameters=_optional_int(document["parameters"]),
        macs=_optional_int(document["macs"]),
        tflite_bytes=int(document["tflite_bytes"]),
    )


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)
