"""Public image sets that are asked for by name, out of the folder that EDGE_SDK_DATA names or through keras.datasets."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edge_sdk_runtime.preprocess import Color, PreprocessSpec

from .array_files import array_set, read_arrays
from .errors import DataError
from .image_sets import EncodedFrames, ImageSet, Splits
from .splits import at_most, divide

__all__ = ["DATA_VARIABLE", "NAMED_SETS", "NamedSet", "read_named_set"]

DATA_VARIABLE = "EDGE_SDK_DATA"
"""The environment variable that names a folder with mnist.npz, fashion_mnist.npz and cifar10.zip."""

_REENCODED = "CIFAR-10 was read from a copy that its source re-encoded as JPEG: figures differ slightly from those on the original."


@dataclass(frozen=True)
class _Parts:
    """A set as its authors divided it; `test` is None where they did not."""

    train: ImageSet
    test: ImageSet | None
    note: str = ""


@dataclass(frozen=True)
class NamedSet:
    """A public image set.

    Attributes:
        name: What it is asked for by.
        labels: Class names.
        spec: The preprocessing that leaves its images as they are.
        flips: Whether a mirrored image keeps its label.
        read: Reads the set: (set, most images of each class or None, seed) → its parts.
    """

    name: str
    labels: tuple[str, ...]
    spec: PreprocessSpec
    flips: bool
    read: Callable[[NamedSet, int | None, int], _Parts] = field(repr=False)


def read_named_set(name: str, *, seed: int = 0, limit: int | None = None) -> Splits:
    """Read a public image set; what is not in the folder EDGE_SDK_DATA names is downloaded once through keras.datasets.

    Args:
        name: A key of `NAMED_SETS`.
        seed: Decides the split: for "digits" all of it, for the others which training images become validation images.
        limit: The most images to take of each class from the training and from the test images; None for all.

    Returns:
        The images in three parts, with the native preprocessing and what must be said beside figures.

    Raises:
        DataError: EDGE_SDK_DATA names no folder, a file in it is damaged, or the download failed.
        KeyError: There is no such set.
    """
    chosen = NAMED_SETS[name]
    parts = chosen.read(chosen, limit, seed)
    divided = divide(name, parts.train, None, parts.test, seed)
    return Splits(name, *divided, note=parts.note, spec=chosen.spec, flips=chosen.flips)


def _read_digits(chosen: NamedSet, limit: int | None, seed: int) -> _Parts:
    """Handwritten digits of the UCI repository, in scikit-learn's own files: 1,797 pictures of 8×8 with 17 grey levels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    targets = digits.target.astype(np.int64)
    return _Parts(array_set(pixels, targets, chosen.labels, chosen.name, limit=limit, seed=seed), None)


def _read_npz(chosen: NamedSet, limit: int | None, seed: int) -> _Parts:
    path = _stored(f"{chosen.name}.npz")
    if path is None:
        return _read_keras(chosen, limit, seed)
    arrays = read_arrays(path)
    train, test = (
        array_set(arrays[f"x_{part}"], arrays[f"y_{part}"], chosen.labels, part, limit=limit, seed=seed)
        for part in ("train", "test")
    )
    return _Parts(train, test)


def _read_zip(chosen: NamedSet, limit: int | None, seed: int) -> _Parts:
    path = _stored(f"{chosen.name}.zip")
    if path is None:
        return _read_keras(chosen, limit, seed)
    try:
        with zipfile.ZipFile(path) as archive:
            train, test = (_zip_part(archive, chosen, part, limit, seed) for part in ("train", "test"))
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name} must be a whole ZIP file. Received: {path} ({error}). Copy it again.") from error
    return _Parts(train, test, _REENCODED)


def _zip_part(archive: zipfile.ZipFile, chosen: NamedSet, part: str, limit: int | None, seed: int) -> ImageSet:
    """The images `NAME/PART/CLASS/*.jpg` of an archive, still encoded."""
    targets_by_class = {label: target for target, label in enumerate(chosen.labels)}
    members = sorted(
        name for name in archive.namelist() if name.startswith(f"{chosen.name}/{part}/") and name.endswith(".jpg")
    )
    unknown = [name for name in members if name.split("/")[2] not in targets_by_class]
    if unknown:
        raise DataError(
            f"{chosen.name}.zip must hold the classes {', '.join(chosen.labels)}. Received: {unknown[0]}. Copy it again."
        )
    targets = np.array([targets_by_class[name.split("/")[2]] for name in members], np.int64)
    picked = at_most(targets, limit, seed)
    names = tuple(members[i].removeprefix(f"{chosen.name}/") for i in picked)
    contents = tuple(archive.read(members[i]) for i in picked)
    return ImageSet(chosen.labels, targets[picked], names, EncodedFrames(contents, names), np.arange(len(picked)))


def _read_keras(chosen: NamedSet, limit: int | None, seed: int) -> _Parts:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results; Keras reports its download there
            parts = importlib.import_module(f"keras.datasets.{chosen.name}").load_data()
    except Exception as error:
        if not isinstance(error, (OSError, ValueError)) and type(error) is not Exception:
            raise  # Keras reports a failed download as a bare Exception, a damaged one as ValueError
        raise DataError(
            f"'{chosen.name}' must be downloaded or at hand. Received: {error}. "
            f"Set {DATA_VARIABLE} to a folder that holds it."
        ) from error
    train, test = (
        array_set(pixels, targets.reshape(-1).astype(np.int64), chosen.labels, part, limit=limit, seed=seed)
        for (pixels, targets), part in zip(parts, ("train", "test"), strict=True)
    )
    return _Parts(train, test)


def _stored(filename: str) -> Path | None:
    """The file in the folder that EDGE_SDK_DATA names, or None where the variable or the file is missing."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise DataError(f"{DATA_VARIABLE} must name a folder. Received: {folder}. Correct it, or unset it to download.")
    path = Path(folder) / filename
    return path if path.is_file() else None


_DIGITS = tuple("0123456789")
_FASHION = ("t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_GRAY_28 = PreprocessSpec(28, 28, color=Color.GRAY)

NAMED_SETS: Mapping[str, NamedSet] = MappingProxyType(
    {
        "digits": NamedSet("digits", _DIGITS, PreprocessSpec(8, 8, color=Color.GRAY), flips=False, read=_read_digits),
        "mnist": NamedSet("mnist", _DIGITS, _GRAY_28, flips=False, read=_read_npz),
        "fashion_mnist": NamedSet("fashion_mnist", _FASHION, _GRAY_28, flips=True, read=_read_npz),
        "cifar10": NamedSet("cifar10", _CIFAR10, PreprocessSpec(32, 32), flips=True, read=_read_zip),
    }
)
"""Every named set, by name."""
