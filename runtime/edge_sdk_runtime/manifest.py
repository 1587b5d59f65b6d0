"""The bundle's schema: what `manifest.json` says, as frozen dataclasses.

The runtime owns this schema; the workstation writes bundles through the same classes. A newer minor version may add keys,
which are ignored here; a newer major version is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import BundleCorruptError, BundleVersionError, UsageError
from .manifest_parts import (
    PACKED_TFLITE,
    FileEntry,
    FusedForm,
    Measured,
    RebuiltFile,
    StagedForm,
    TaughtClass,
    Tolerances,
    UnknownRule,
)
from .manifest_reading import (
    file_document,
    file_from,
    measured_from,
    parsed,
    preprocess_from,
    staged_from,
    taught_from,
    unknown_from,
)
from .preprocess import PreprocessSpec
from .records import dataclass, field

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
            "files": {name: file_document(entry) for name, entry in self.files.items()},
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
            document = parsed(text)
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
        preprocess=preprocess_from(document["preprocess"]),
        default_form=str(document["default_form"]),
        staged=staged_from(staged) if staged is not None else None,
        fused=FusedForm(str(fused["classifier"])) if fused is not None else None,
        measured=measured_from(document["measured"]),
        tolerances=Tolerances(**{key: float(document["tolerances"][key]) for key in Tolerances.__annotations__}),
        interpreters=tuple(map(str, document["interpreters"])),
        requires={str(key): str(value) for key, value in document.get("requires", {}).items()},  # since schema 1.1
        provenance={str(key): str(value) for key, value in document["provenance"].items()},
        files={str(name): file_from(entry) for name, entry in document["files"].items()},
        unknown=unknown_from(document.get("unknown")),  # this and the following since schema 1.2
        version=int(document.get("version", 1)),
        taught=tuple(taught_from(each) for each in document.get("taught", ())),
    )
