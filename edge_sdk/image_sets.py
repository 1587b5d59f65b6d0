"""What labelled images are made of: where frames come from, sets of them, and the three parts learning needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_sdk_runtime.images import as_frame, decode_image, read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk_runtime.preprocess import PreprocessSpec

__all__ = ["ArrayFrames", "EncodedFrames", "FileFrames", "FrameSource", "ImageSet", "SkippedImage", "Splits"]

_JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})


class FrameSource(Protocol):
    """Where the frames of a set come from; may be read from several threads at once."""

    def read(self, position: int, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Give one frame.

        Args:
            position: Which one, 0 or greater.
            covering: Width and height of the model's input where the frame is for nothing else, as for `read_image`.

        Returns:
            `uint8 [height, width, 3]`, BGR.

        Raises:
            ImageReadError: The frame can no longer be read.
        """
        ...


@dataclass(frozen=True, eq=False)
class ArrayFrames:
    """Frames out of one array.

    Attributes:
        pixels: `uint8 [N, height, width]` grey, or `[N, height, width, 1 or 3]` grey or RGB.
    """

    pixels: NDArray[np.uint8]

    def read(self, position: int, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Give one frame as `FrameSource` says."""
        del covering
        return as_frame(self.pixels[position], order="rgb")


@dataclass(frozen=True, eq=False)
class EncodedFrames:
    """Frames out of image files held in memory, decoded when asked for.

    Attributes:
        contents: Whole image files.
        names: What to call each in an error.
    """

    contents: tuple[bytes, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    def read(self, position: int, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Give one frame as `FrameSource` says."""
        return decode_image(self.contents[position], self.names[position], covering)


@dataclass(frozen=True, eq=False)
class FileFrames:
    """Frames out of image files on disk, decoded when asked for unless they were kept.

    Attributes:
        paths: The files.
        kept: Frames already decoded, by position: `uint8 [height, width, 3]`, BGR.
    """

    paths: tuple[Path, ...] = field(repr=False)
    kept: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def read(self, position: int, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Give one frame as `FrameSource` says; what was kept is whole, so that it never stands for a reduced JPEG."""
        path = self.paths[position]
        if covering and path.suffix.lower() in _JPEG_SUFFIXES:
            return read_image(path, covering)
        kept = self.kept.get(position)
        return read_image(path, covering) if kept is None else kept


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, read one at a time.

    Attributes:
        labels: Class names; a class index is a place in this tuple.
        targets: `int64 [N]`, class index of each image.
        names: What each image is called: its path relative to the folder, or such as "train/00012".
        source: Where frames come from.
        positions: `int64 [N]`, place of each image in the source.
    """

    labels: tuple[str, ...]
    targets: NDArray[np.int64] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    source: FrameSource = field(repr=False)
    positions: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of each class, `int64 [classes]`."""
        return np.bincount(self.targets, minlength=len(self.labels)).astype(np.int64, copy=False)

    def read(self, index: int, covering: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Read one image; see `FrameSource.read`."""
        return self.source.read(int(self.positions[index]), covering)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Read one image in full size.

        Args:
            index: Which one, 0 to N - 1.

        Returns:
            `uint8 [height, width, 3]`, BGR; not to be written to.

        Raises:
            ImageReadError: The file was removed or damaged since the set was loaded.
        """
        return self.read(index)

    def take(self, indices: NDArray[np.int64]) -> ImageSet:
        """Make a set of some of these images, in the order given.

        Args:
            indices: `int64 [M]`, which ones, 0 to N - 1.

        Returns:
            A set of M images with the same labels, which reads from the same source.
        """
        names = tuple(self.names[index] for index in indices)
        return replace(self, targets=self.targets[indices], names=names, positions=self.positions[indices])


@dataclass(frozen=True)
class SkippedImage:
    """An image that was left out.

    Attributes:
        name: Its path relative to the folder.
        reason: One line: the rule, what was received, the fix.
    """

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Splits:
    """Labelled images in the three parts that learning needs; each part is in random order, so any slice is a fair sample.

    Attributes:
        name: What to call the data beside a figure.
        train: Images to learn from.
        validation: Images to choose by: when to stop, how far to compress.
        test: Images to report figures on, used for nothing else.
        skipped: Unreadable images, in the order they were met.
        note: What must be said beside every figure; empty where nothing must.
        spec: The preprocessing that leaves the images as they are, where all have one size; otherwise None.
        flips: Whether a mirrored image keeps its label. True where that is not known.
        seed: Decided the split.
        limit: Most images of each class that were split; None for all.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    skipped: tuple[SkippedImage, ...] = ()
    note: str = ""
    spec: PreprocessSpec | None = None
    flips: bool = True
    seed: int = 0
    limit: int | None = None

    def at_most(self, limit: int | None) -> Splits:
        """Fewer images of the same split: none changes its part, so that held-out images stay held out.

        Args:
            limit: The most images of each class in each part; None for all.
        """
        if limit is None:
            return self
        train, validation, test = (_first_of_each(part, limit) for part in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, the same in all three parts."""
        return self.train.labels


def _first_of_each(images: ImageSet, limit: int) -> ImageSet:
    firsts = [np.flatnonzero(images.targets == label)[:limit] for label in range(len(images.labels))]
    return images.take(np.sort(np.concatenate(firsts)))
