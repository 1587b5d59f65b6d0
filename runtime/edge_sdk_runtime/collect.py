"""Labelled pictures from a camera: into a folder per class, without blurred ones and without near-duplicates.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000) of
the grey picture at a fixed size, so that a threshold means the same for every camera. Likeness is the Hamming distance of
64-bit difference hashes: whether each of 8 × 8 places is brighter than its right neighbour.
"""

from __future__ import annotations

import datetime
import os
import secrets
from collections import deque
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import UsageError
from .files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Chooser",
    "CollectConfig",
    "Collector",
    "Counts",
    "Verdict",
    "check_label",
    "difference_hash",
    "hash_distance",
    "sharpness",
]

_SHARPNESS_SIDE = 320
_HASH_SIDE = 8
_NOISE = 2
"""Grey levels by which a place must be brighter than its neighbour; less is the sensor's noise on an even wall."""
_RESERVED = frozenset({"train", "test", "validation", "val"})
"""Folders of these names hold class folders, and are none."""


class Verdict(str, Enum):
    """What became of a picture."""

    KEPT = "kept"
    BLURRED = "blurred"
    SIMILAR = "similar"


@dataclass(frozen=True)
class CollectConfig:
    """Which pictures are worth keeping.

    Attributes:
        sharpness: The least variance of the Laplacian; 0 keeps blurred ones. A hand-held picture in focus has hundreds, one in
            motion tens.
        distance: How many of 64 bits must differ from each of the pictures kept lately; 0 keeps all, 1 refuses equal ones.
        remembered: With how many of the pictures kept lately each is compared.
        quality: Of the JPEG files, 1 to 100.

    Raises:
        UsageError: A value outside these.
    """

    sharpness: float = 40.0
    distance: int = 5
    remembered: int = 64
    quality: int = 92

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("sharpness", self.sharpness, 0, 1e6),
            ("distance", self.distance, 0, _HASH_SIDE**2),
            ("remembered", self.remembered, 1, 100_000),
            ("quality", self.quality, 1, 100),
        ):
            if not least <= value <= most:
                raise UsageError(
                    f"{name} must be between {least:g} and {most:g}. Received: {value:g}. Choose one of those."
                )


@dataclass
class Counts:
    """How many pictures came to what, so far."""

    kept: int = 0
    blurred: int = 0
    similar: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count one picture."""
        setattr(self, verdict.value, getattr(self, verdict.value) + 1)

    def __str__(self) -> str:
        return f"{self.kept} kept, {self.similar} too similar, {self.blurred} blurred"


class Chooser:
    """Tells which pictures are worth keeping, by those that it said it of before.

    Args:
        config: What makes a picture worth it.
    """

    def __init__(self, config: CollectConfig | None = None) -> None:
        self._config = config or CollectConfig()
        self._kept: deque[int] = deque(maxlen=self._config.remembered)

    def judge(self, frame: NDArray[np.uint8]) -> Verdict:
        """Judge a picture; one that is kept is compared with from now on.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.
        """
        if sharpness(frame) < self._config.sharpness:
            return Verdict.BLURRED
        fingerprint = difference_hash(frame)
        if any(hash_distance(fingerprint, other) < self._config.distance for other in self._kept):
            return Verdict.SIMILAR
        self._kept.append(fingerprint)
        return Verdict.KEPT


class Collector:
    """Keeps pictures of one class.

    What was collected before is neither compared with nor overwritten: every file gets a new name, with the time in it.

    Args:
        folder: The folder of class folders; created where it is missing, with the first picture.
        label: The class; its folder has this name.
        config: Which pictures are worth keeping.

    Raises:
        UsageError: A label that cannot be the name of a class folder.
    """

    def __init__(self, folder: str | os.PathLike[str], label: str, config: CollectConfig | None = None) -> None:
        self.folder = Path(folder) / check_label(label)
        self.counts = Counts()
        self._config = config or CollectConfig()
        self._chooser = Chooser(self._config)
        self._run = secrets.token_hex(3)  # two devices that collect into one shared folder at once never meet

    def offer(self, frame: NDArray[np.uint8]) -> Verdict:
        """Keep a picture where it is worth it.

        Args:
            frame: `uint8 [height, width, 3]`, BGR.

        Raises:
            OSError: The folder cannot be written to, or the disk is full; no half-written file is left.
        """
        verdict = self._chooser.judge(frame)
        if verdict is Verdict.KEPT:
            write_atomically(self._new_path(), self._jpeg(frame))
        self.counts.add(verdict)
        return verdict

    def _jpeg(self, frame: NDArray[np.uint8]) -> bytes:
        return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, self._config.quality])[1].tobytes()

    def _new_path(self) -> Path:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S")
        number = self.counts.kept + 1
        while (path := self.folder / f"{now}-{self._run}-{number:05d}.jpg").exists():
            number += 1
        return path


def sharpness(frame: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey picture, 320 pixels long.

    Args:
        frame: `uint8 [height, width, 3]`, BGR.
    """
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    scale = _SHARPNESS_SIDE / max(gray.shape)
    if scale < 1:
        size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(gray, cv2.CV_64F).var())


def difference_hash(frame: NDArray[np.uint8]) -> int:
    """64 bits that say where a picture gets darker from left to right.

    Args:
        frame: `uint8 [height, width, 3]`, BGR.
    """
    small = cv2.resize(frame, (_HASH_SIDE + 1, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.int16)
    bits = gray[:, :-1] - gray[:, 1:] >= _NOISE
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_distance(first: int, second: int) -> int:
    """In how many bits two hashes differ."""
    return (first ^ second).bit_count()


def check_label(label: str) -> str:
    """The label, unless no class folder can have its name.

    Raises:
        UsageError: It is empty, hidden, a path, not printable, or one of the names that data sets divide by.
    """
    bad = not label.strip() or label.startswith(".") or "/" in label or "\\" in label or not label.isprintable()
    if bad or label != label.strip() or len(label.encode()) > 200:
        raise UsageError(
            f"A label must be the name of a folder: printable, without slashes, dots or spaces in front. "
            f"Received: {label!r}. Choose another."
        )
    if label.lower() in _RESERVED:
        raise UsageError(
            f"A label must not be one of {', '.join(sorted(_RESERVED))}, which name parts of a data set. "
            f"Received: {label!r}. Choose another."
        )
    return label
