"""Where the pictures come from that a bundle is taught with: folders, or a camera that an object is held in front of."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import ImageReadError, UsageError
from ..images import IMAGE_SUFFIXES, read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .status_line import StatusLine

__all__ = ["FolderPictures", "camera_pictures", "folder_pictures"]


class FolderPictures:
    """The pictures of one folder, read one at a time; unreadable files are named on standard error and left out.

    Args:
        folder: Their folder; what is in folders inside it does not count.

    Raises:
        UsageError: There is no such folder, or no picture in it.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"--images must be a folder. Received: {folder}. Check the path.")
        self.paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not self.paths:
            raise UsageError(
                f"A folder must hold image files. Received: {folder} without any. Name the folder of one class, with --label, "
                "or one of class folders, without."
            )

    def __length_hint__(self) -> int:
        """How many there are, if all can be read."""
        return len(self.paths)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for path in self.paths:
            try:
                yield read_image(path)
            except ImageReadError as error:
                print(f"edge-run: {error}", file=sys.stderr)


def folder_pictures(folder: str, label: str | None) -> dict[str, FolderPictures]:
    """Pictures by class: those of the folder itself under a label, else those of every folder in it under its name.

    Args:
        folder: The folder.
        label: The class; None where folders are named after theirs.

    Raises:
        UsageError: There is no such folder, or nothing to learn from in it or in a class's.
    """
    if label is not None:
        return {label: FolderPictures(Path(folder))}
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir()) if Path(folder).is_dir() else []
    named = {path.name: path for path in classes if not path.name.startswith(".")}
    if not named:
        raise UsageError(
            f"Without --label, --images must be a folder of class folders. Received: {folder} without any. Add --label NAME."
        )
    return {name: FolderPictures(path) for name, path in named.items()}


def camera_pictures(options: argparse.Namespace, line: StatusLine) -> Iterator[NDArray[np.uint8]]:
    """Pictures that a camera takes until there are enough: sharp ones, each unlike those before.

    Args:
        options: Of the command: the camera, how many pictures, how far apart.
        line: Shows how far it is.

    Raises:
        UsageError: A number that makes no sense.
        CameraError: There is no such camera, it failed, or no frame came in time.
    """
    from ..collect import Chooser, Counts, Verdict
    from ..live import frames_until
    from .camera_options import camera_limits, opened_camera

    for name, value, least in (("--count", options.count, 1), ("--every", options.every, 0)):
        if not value >= least:
            raise UsageError(
                f"{name} must be at least {least}. Received: {value:g}. Leave it out, or choose a larger one."
            )
    limits, chooser, counts = camera_limits(options), Chooser(), Counts()
    with opened_camera(options) as camera:
        due = monotonic()
        for frame in frames_until(camera, limits):
            if monotonic() >= due:
                due = monotonic() + options.every
                verdict = chooser.judge(frame.image)
                counts.add(verdict)
                if verdict is Verdict.KEPT:
                    yield frame.image
            line.show(lambda: f"{options.label}: {counts} of {options.count}")
            if counts.kept >= options.count:
                break
    print(f"{options.label}: {counts}", file=sys.stderr)
