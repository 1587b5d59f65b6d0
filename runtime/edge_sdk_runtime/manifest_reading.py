"""Reading the parts of a manifest from JSON: every value brought to its kind, and nothing taken that JSON does not have.

Where a value is missing or of another kind, KeyError, TypeError, AttributeError or ValueError say so; `Manifest.from_json` makes one
error of them.
"""

from __future__ import annotations

import json
import math
from typing import Any

from .manifest_parts import FileEntry, Measured, RebuiltFile, StagedForm, TaughtClass, UnknownRule
from .preprocess import Color, Interpolation, PreprocessSpec, ResizeMode
from .similarity import Similarity

__all__ = [
    "file_document",
    "file_from",
    "measured_from",
    "parsed",
    "preprocess_from",
    "staged_from",
    "taught_from",
    "unknown_from",
]


def parsed(text: str) -> dict[str, Any]:
    """A document of plain JSON: no NaN, no infinity, no number too large for a double."""
    document: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text}, which is too large")
    return number


def file_document(entry: FileEntry) -> dict[str, Any]:
    """A member as it stands in the document."""
    stored = {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
    return {**stored, "rebuilt": vars(entry.rebuilt)} if entry.rebuilt else stored


def file_from(document: dict[str, Any]) -> FileEntry:
    """The member that `file_document` wrote."""
    rebuilt = document.get("rebuilt")  # since schema 1.1
    return FileEntry(
        int(document["size_bytes"]), str(document["sha256"]), None if rebuilt is None else _rebuilt(rebuilt)
    )


def _rebuilt(document: dict[str, Any]) -> RebuiltFile:
    return RebuiltFile(int(document["size_bytes"]), str(document["sha256"]), str(document["coding"]))


def preprocess_from(document: dict[str, Any]) -> PreprocessSpec:
    """What is done to a frame."""
    return PreprocessSpec(
        width=int(document["width"]),
        height=int(document["height"]),
        resize=ResizeMode(document["resize"]),
        interpolation=Interpolation(document["interpolation"]),
        color=Color(document["color"]),
    )


def staged_from(document: dict[str, Any]) -> StagedForm:
    """The staged form."""
    return StagedForm(
        encoder=None if document["encoder"] is None else str(document["encoder"]),  # null since schema 1.2
        prototypes=str(document["prototypes"]),
        prototype_labels=tuple(map(int, document["prototype_labels"])),
        similarity=Similarity(document["similarity"]),
        head=str(document["head"]),
        memory=None if document.get("memory") is None else str(document["memory"]),  # since schema 1.2
    )


def unknown_from(document: dict[str, Any] | None) -> UnknownRule | None:
    """The rule for unknown images, where there is one."""
    if document is None:
        return None
    return UnknownRule(tuple(map(float, document["thresholds"])))


def taught_from(document: dict[str, Any]) -> TaughtClass:
    """A taught class."""
    accuracy = document["accuracy"]
    return TaughtClass(
        label=str(document["label"]),
        images=int(document["images"]),
        prototypes=int(document["prototypes"]),
        accuracy=None if accuracy is None else float(accuracy),
    )


def measured_from(document: dict[str, Any]) -> Measured:
    """Figures from the workstation."""
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
