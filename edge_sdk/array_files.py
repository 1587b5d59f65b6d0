"""Arrays of images in `.npz` files, with the keys that keras.datasets made customary."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_runtime.preprocess import Color, PreprocessSpec

from .errors import DataError
from .image_sets import ArrayFrames, ImageSet, Splits
from .splits import at_most, check_labels, divide

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_set", "read_arrays", "read_npz"]

_KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path, *, seed: int = 0, limit: int | None = None) -> Splits:
    """Read a `.npz` file with the keys x_train, y_train, x_test, y_test and, if it likes, labels.

    Args:
        path: The file.
        seed: Decides which training images become validation images; 0 or greater.
        limit: The most images to take of each class from the training and from the test images; None for all.

    Returns:
        The images in three parts.

    Raises:
        DataError: The file is no such file; images that are not `uint8 [N, height, width]` or `[N, height, width, 1 or 3]`
            (RGB); targets that are not integers `[N]`; labels that are not one name per class.
    """
    arrays = read_arrays(path)
    labels = _labels(arrays, path)
    check_labels(labels, str(path))
    train, test = (
        array_set(arrays[f"x_{part}"], arrays[f"y_{part}"], labels, part, limit=limit, seed=seed)
        for part in ("train", "test")
    )
    return Splits(path.stem, *divide(str(path), train, None, test, seed), spec=_native_spec(arrays["x_train"]))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a `.npz` file and check their types and shapes.

    Args:
        path: The file.

    Returns:
        `x_train`, `x_test` (uint8, as `read_npz` says), `y_train`, `y_test` (int64 [N]) and, where the file has it, `labels`.

    Raises:
        DataError: As `read_npz` says.
    """
    arrays = _load(path)
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise DataError(
            f"A data file must hold {', '.join(_KEYS)}. Received: {', '.join(sorted(arrays)) or 'no arrays'} in {path}. "
            f"Add {', '.join(missing)} with numpy.savez()."
        )
    for part in ("train", "test"):
        pixels, targets = arrays[f"x_{part}"], arrays[f"y_{part}"]
        _check_pixels(pixels, f"x_{part}", path)
        arrays[f"y_{part}"] = _checked_targets(targets, len(pixels), f"y_{part}", path)
    return arrays


def array_set(
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int64],
    labels: tuple[str, ...],
    part: str,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Make a set of the images in an array.

    Args:
        pixels: `uint8 [N, height, width]` grey, or `[N, height, width, 1 or 3]` grey or RGB.
        targets: `int64 [N]`, class index of each image.
        labels: Class names.
        part: What names begin with: the image at 12 is called "part/00012".
        limit: The most images to take of each class; None for all.
        seed: Decides which ones; 0 or greater.

    Returns:
        The set; it refers to `pixels`.
    """
    names = tuple(f"{part}/{i:05d}" for i in range(len(targets)))
    images = ImageSet(labels, targets, names, ArrayFrames(pixels), np.arange(len(targets), dtype=np.int64))
    return images if limit is None else images.take(at_most(targets, limit, seed))


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            return {key: arrays[key] for key in arrays.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"A data file must be a readable .npz file without Python objects. Received: {path} ({error}). "
            "Write it with numpy.savez()."
        ) from error


def _check_pixels(pixels: NDArray[Any], key: str, path: Path) -> None:
    whole = pixels.dtype == np.uint8 and pixels.size > 0
    if not whole or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] not in (1, 3)):
        raise DataError(
            f"{key} must be uint8 [N, height, width] or [N, height, width, 1 or 3] with at least one image. "
            f"Received: {pixels.dtype} {list(pixels.shape)} in {path}. Convert it to 0–255 and move the channels last."
        )


def _checked_targets(targets: NDArray[Any], count: int, key: str, path: Path) -> NDArray[np.int64]:
    """The class indices as int64 [N]; a column [N, 1], as CIFAR-10 is customarily stored, is flattened."""
    integers = np.issubdtype(targets.dtype, np.integer) and targets.shape in ((count,), (count, 1))
    if not integers or targets.min() < 0:
        raise DataError(
            f"{key} must be {count} class indices from 0, one integer for each image. "
            f"Received: {targets.dtype} {list(targets.shape)} in {path}. Number the classes from 0."
        )
    return targets.reshape(count).astype(np.int64)


def _labels(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    """The names in the file, or "0", "1", … up to the largest class index."""
    classes = int(max(arrays["y_train"].max(), arrays["y_test"].max())) + 1
    if "labels" not in arrays:
        return tuple(str(index) for index in range(classes))
    labels = arrays["labels"]
    if labels.dtype.kind != "U" or labels.ndim != 1 or len(labels) < classes or len(np.unique(labels)) < len(labels):
        raise DataError(
            f"labels must be {classes} different strings, one for each class index in y_train and y_test. "
            f"Received: {labels.dtype} {list(labels.shape)} in {path}. Store numpy.array(['cat', 'dog', ...])."
        )
    return tuple(str(label) for label in labels)


def _native_spec(pixels: NDArray[np.uint8]) -> PreprocessSpec:
    """The preprocessing that leaves these images as they are."""
    gray = pixels.ndim == 3 or pixels.shape[3] == 1
    return PreprocessSpec(pixels.shape[2], pixels.shape[1], color=Color.GRAY if gray else Color.RGB)
