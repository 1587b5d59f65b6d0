"""Lists of chosen images: one name a line, as other programs read them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk_runtime.files import write_atomically

from ...errors import DataError
from ...splits import check_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...image_sets import ImageSet, Splits

__all__ = ["keep_only", "positions", "read_list", "write_list"]


def write_list(path: str | Path, names: Sequence[str]) -> None:
    """Write names, UTF-8, one a line, atomically.

    Args:
        path: The file.
        names: Of images, as `ImageSet.names` has them: paths relative to the folder, or such as "train/00012" for the image
            at 12 of an array.

    Raises:
        DataError: A name cannot stand on a line of its own.
    """
    for name in names:
        if not name.strip() or name.splitlines() != [name]:
            raise DataError(f"Names in a list must fit on one line. Received: {name!r}. Rename the file.")
    write_atomically(path, "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"))


def read_list(path: str | Path) -> tuple[str, ...]:
    """Read the names of a list; empty lines are passed over.

    Raises:
        DataError: It is no text, names nothing, or names an image twice.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise DataError(
            f"A list of images must be a text file, one name a line. Received: {path} ({error.strerror}). Write it with edge-sdk select."
        ) from error
    names = tuple(line for line in text.splitlines() if line.strip())
    if not names or "\0" in text:
        raise DataError(
            f"A list of images must name images, one a line. Received: {path}, which names none. Write it with edge-sdk select."
        )
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise DataError(f"A list must name every image once. Received: {twice} twice in {path}. Remove one of them.")
    return names


def positions(images: ImageSet, names: Sequence[str]) -> NDArray[np.int64]:
    """Where the named images are in a set.

    Args:
        images: The set.
        names: Of some of its images.

    Returns:
        `int64 [M]`, in the order of the names.

    Raises:
        DataError: A name is not in the set.
    """
    places = {name: place for place, name in enumerate(images.names)}
    unknown = [name for name in names if name not in places]
    if unknown:
        raise DataError(
            f"Listed images must be among the {len(images)} training images. Received: {len(unknown)} others, the first "
            f"{unknown[0]}. Use the data, --seed and --limit that the list was made with."
        )
    return np.array([places[name] for name in names], np.int64)


def keep_only(splits: Splits, names: Sequence[str]) -> Splits:
    """The same data with none but the named training images; validation and test images stay.

    Args:
        splits: The data.
        names: Of training images.

    Raises:
        DataError: A name is not among them, or a class is left without images.
    """
    train = splits.train.take(positions(splits.train, names))
    check_counts(train, 1, "training", f"the list for {splits.name}")
    return replace(splits, train=train)
