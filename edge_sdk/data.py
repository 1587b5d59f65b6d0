"""Labelled images, from wherever they are: `load_images` finds and splits them, `prepare` makes model input of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.preprocess import Preprocessor, PreprocessSpec

from .array_files import read_npz
from .errors import DataError
from .folders import read_folder
from .image_sets import ImageSet, SkippedImage, Splits
from .named_sets import NAMED_SETS, NamedSet, read_named_set
from .parallel import Progress, in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "NAMED_SETS",
    "ImageSet",
    "NamedSet",
    "Prepared",
    "Progress",
    "SkippedImage",
    "Splits",
    "load_images",
    "prepare",
]

MIN_LIMIT = 3
"""One image each for training, validation and testing."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images as a model takes them.

    Attributes:
        x: `uint8 [N, height, width, channels]`, RGB or grey.
        y: `int64 [N]`, class index of each image.
        labels: Class names.
    """

    x: NDArray[np.uint8] = field(repr=False)
    y: NDArray[np.int64] = field(repr=False)
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)


def load_images(
    source: str | Path,
    *,
    seed: int = 0,
    strict: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Splits:
    """Find labelled images and split them into training, validation and test images.

    Test images are those the data comes with, otherwise 20 % of each class; validation images likewise, otherwise 10 %. The
    split depends on the images' names and the seed, never on the order in which a file system lists them.

    Args:
        source: The name of a public set ("digits", "mnist", "fashion_mnist", "cifar10"), a folder with one folder per class, a
            folder with `train/` and `test/` of class folders, or a `.npz` file with x_train, y_train, x_test, y_test. A string
            that is the name of a public set always means that set: write "./digits", or pass a `Path`, for a folder of yours.
        seed: Decides the split and the order; 0 or greater.
        strict: Refuse a folder with unreadable images instead of leaving them out and listing them in `Splits.skipped`.
        limit: The most images to take of each class, at least 3; from training and test images each, where the data comes
            split. None for all.
        progress: Told how many files of a folder are decoded.

    Returns:
        The images in three parts.

    Raises:
        DataError: The source does not exist or is none of these, a class has too few readable images, or a download failed.
    """
    _check_arguments(seed, limit)
    splits = _read(source, seed=seed, strict=strict, limit=limit, progress=progress)
    return replace(splits, seed=seed, limit=limit)


def _read(source: str | Path, *, seed: int, strict: bool, limit: int | None, progress: Progress | None) -> Splits:
    if isinstance(source, str) and source in NAMED_SETS:
        return read_named_set(source, seed=seed, limit=limit)
    path = Path(source)
    if path.is_dir():
        return read_folder(path, seed=seed, strict=strict, limit=limit, progress=progress)
    if path.suffix.lower() == ".npz" and path.is_file():
        return read_npz(path, seed=seed, limit=limit)
    found = "which is neither" if path.exists() else "which does not exist"
    raise DataError(
        f"Images must be in a folder, a .npz file or a named set. Received: {source}, {found}. "
        f"Check the path, or choose {', '.join(NAMED_SETS)}."
    )


def prepare(images: ImageSet, spec: PreprocessSpec, progress: Progress | None = None) -> Prepared:
    """Preprocess every image exactly as a device does.

    Args:
        images: The images.
        spec: What is to be done.
        progress: Told how many images are preprocessed.

    Returns:
        The images in the same order, as model input.

    Raises:
        ImageReadError: A file was removed or damaged since it was loaded.
    """
    x = np.empty((len(images), *spec.shape), np.uint8)

    def fill(positions: range) -> None:
        preprocess = Preprocessor(spec)  # its scratch memory is for one thread
        for i in positions:
            preprocess.into(images.read(i, (spec.width, spec.height)), x[i])

    in_chunks(fill, len(images), progress)
    return Prepared(x, images.targets, images.labels)


def _check_arguments(seed: int, limit: int | None) -> None:
    if seed < 0:
        raise DataError(f"seed must be 0 or greater. Received: seed={seed}. Choose such a number.")
    if limit is not None and limit < MIN_LIMIT:
        raise DataError(
            f"limit must leave an image of each class for training, validation and testing, so at least {MIN_LIMIT}. "
            f"Received: limit={limit}. Choose a greater one, or None for all images."
        )
