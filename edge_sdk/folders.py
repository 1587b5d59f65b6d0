"""Folders of image files: one folder per class, with or without `train/` and `test/` above them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.errors import ImageReadError
from edge_sdk_runtime.images import IMAGE_SUFFIXES, read_image

from .errors import DataError
from .image_sets import FileFrames, ImageSet, SkippedImage, Splits
from .parallel import Progress, in_chunks
from .splits import at_most, check_labels, divide

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KEPT_BYTES", "read_folder"]

KEPT_BYTES = 512 * 2**20
"""Decoded frames are kept in memory when all of them together fit in this; otherwise files are decoded again when needed."""

_VALIDATION_NAMES = ("validation", "val")
_PART_NAMES = frozenset({"train", "test", *_VALIDATION_NAMES})


@dataclass(frozen=True)
class _File:
    """An image file of a class (index into the labels) in a part (index into the part folders)."""

    path: Path
    target: int
    part: int


def read_folder(
    folder: Path,
    *,
    seed: int = 0,
    strict: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    kept_bytes: int = KEPT_BYTES,
) -> Splits:
    """Read a folder of class folders, or one that holds `train/` and `test/`, and `validation/` or `val/`, of class folders.

    Class folders are searched to any depth. Hidden files, and files whose suffix is not that of an image, are ignored. Beside
    `train/` and `test/` every other folder is ignored. Every image is decoded once, so that a damaged one is found now.

    Args:
        folder: The folder.
        seed: Decides the split, together with the names of the files; 0 or greater.
        strict: Refuse unreadable images instead of leaving them out.
        limit: The most images to take of each class, before they are split; None for all.
        progress: Told how many of the images are decoded.
        kept_bytes: Decoded frames are kept in memory when all of them together fit in this.

    Returns:
        The images in three parts, with the unreadable ones named.

    Raises:
        DataError: There are no class folders, only one, an empty one, one with too few readable images, or parts whose
            classes differ; or `strict` is set and an image is unreadable.
    """
    parts = _part_folders(folder)
    labels = _labels(folder, parts)
    files = _limited(_files(parts, labels), len(labels), limit, seed)
    decoded = _Decoded([file.path for file in files], kept_bytes)
    in_chunks(decoded, len(files), progress)
    skipped = tuple(SkippedImage(_name(files[i].path, folder), decoded.failures[i]) for i in sorted(decoded.failures))
    if strict and skipped:
        raise DataError(
            f"With strict, every image must be readable. Received: {len(skipped)} unreadable of {len(files)}, "
            f"the first {skipped[0].name}: {skipped[0].reason}"
        )
    _refuse_unreadable_classes(files, decoded.failures)
    sets = [_part_set(folder, files, part, labels, decoded) for part in range(len(parts))]
    found = dict(zip(("train", "test", "validation"), sets, strict=False))
    name = folder.resolve().name
    divided = divide(name, found["train"], found.get("validation"), found.get("test"), seed)
    return Splits(name, *divided, skipped=skipped)


class _Decoded:
    """Decodes files once each, remembering what failed and, while all of it fits, what came out."""

    def __init__(self, paths: list[Path], kept_bytes: int) -> None:
        self.frames: dict[int, NDArray[np.uint8]] = {}
        self.failures: dict[int, str] = {}
        self._paths = paths
        self._kept_bytes = kept_bytes
        self._size_bytes = 0
        self._lock = threading.Lock()

    def __call__(self, positions: range) -> None:
        for position in positions:
            try:
                frame = read_image(self._paths[position])
            except ImageReadError as error:
                self.failures[position] = str(error)
            else:
                self._keep(position, frame)

    def _keep(self, position: int, frame: NDArray[np.uint8]) -> None:
        with self._lock:
            self._size_bytes += frame.nbytes
            if self._size_bytes <= self._kept_bytes:
                self.frames[position] = frame
            else:  # a small part of a large set is not worth the memory
                self.frames.clear()


def _part_folders(folder: Path) -> tuple[Path, ...]:
    """The folder itself, or those of the training, test and, where there is one, validation images.

    `train` may be a class beside `bus` and `plane`; it is a part where `test` stands beside it or nothing but parts do.
    """
    names = {path.name for path in _subfolders(folder)}
    if "train" not in names or not ("test" in names or names <= _PART_NAMES):
        return (folder,)
    if "test" not in names:
        raise DataError(
            f"A folder with train/ needs test/ beside it. Received: {', '.join(sorted(names))} in {folder}. "
            "Add test/, or pass train/ itself to have test images taken from it."
        )
    validation = [name for name in _VALIDATION_NAMES if name in names]
    if len(validation) > 1:
        raise DataError(
            f"Validation images must be in one folder. Received: validation and val in {folder}. Remove or rename one of them."
        )
    return tuple(folder / name for name in ("train", "test", *validation))


def _labels(folder: Path, parts: tuple[Path, ...]) -> tuple[str, ...]:
    """The class names, sorted and the same in every part."""
    classes = {part: {path.name for path in _subfolders(part)} for part in parts}
    first = classes[parts[0]]
    if not first:
        raise DataError(
            f"A folder of images needs one folder per class. Received: {parts[0]} without folders. "
            "Move the images of each class into a folder named after it."
        )
    for part in parts[1:]:
        if classes[part] != first:
            raise DataError(
                f"{parts[0].name}/ and {part.name}/ must have the same classes. "
                f"Received: {', '.join(map(repr, sorted(first ^ classes[part])))} in only one of them, in {folder}. "
                "Add or remove class folders."
            )
    labels = tuple(sorted(first))
    check_labels(labels, str(parts[0]))
    return labels


def _files(parts: tuple[Path, ...], labels: tuple[str, ...]) -> list[_File]:
    files: list[_File] = []
    for part, folder in enumerate(parts):
        for target, label in enumerate(labels):
            found = _image_files(folder / label)
            if not found:
                raise DataError(
                    f"A class folder must hold images. Received: none in {folder / label}. Add images "
                    f"({', '.join(sorted(IMAGE_SUFFIXES))}) or remove the folder."
                )
            files += [_File(path, target, part) for path in found]
    return files


def _limited(files: list[_File], classes: int, limit: int | None, seed: int) -> list[_File]:
    groups = np.array([file.part * classes + file.target for file in files], np.int64)
    return [files[i] for i in at_most(groups, limit, seed)]


def _refuse_unreadable_classes(files: list[_File], failures: dict[int, str]) -> None:
    readable = {(file.part, file.target) for i, file in enumerate(files) if i not in failures}
    for i, file in enumerate(files):
        if (file.part, file.target) not in readable:
            raise DataError(
                f"A class must have readable images. Received: only unreadable ones, the first: {failures[i]}"
            )


def _part_set(folder: Path, files: list[_File], part: int, labels: tuple[str, ...], decoded: _Decoded) -> ImageSet:
    positions = [i for i, file in enumerate(files) if file.part == part and i not in decoded.failures]
    return ImageSet(
        labels=labels,
        targets=np.array([files[i].target for i in positions], np.int64),
        names=tuple(_name(files[i].path, folder) for i in positions),
        source=FileFrames(tuple(file.path for file in files), decoded.frames),
        positions=np.array(positions, np.int64),
    )


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not _is_hidden((path.name,))]


def _image_files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    visible = (path for path in found if not _is_hidden(path.relative_to(folder).parts))
    return sorted(visible, key=lambda path: path.as_posix())


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
