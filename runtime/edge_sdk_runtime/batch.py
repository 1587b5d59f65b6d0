"""Many image files, decoded while others are classified."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from .classifier import Classification, Classifier
from .errors import ImageReadError, UsageError
from .images import read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["classify_files"]

_AHEAD = 2
"""Files that are decoded ahead for every reader; memory holds no more, however many files there are."""


def classify_files(
    classifier: Classifier, paths: Iterable[str | os.PathLike[str]], readers: int = 2
) -> Iterator[tuple[str, Classification | ImageReadError]]:
    """Classify image files in their order while the next ones are being read; decoding leaves Python's lock alone.

    Args:
        classifier: Takes BGR frames.
        paths: The files, read as they are needed.
        readers: Threads that decode, at least 1.

    Yields:
        Each path with what was found, or with why it could not be read.

    Raises:
        UsageError: There is no reader, or the classifier takes other frames.
    """
    if readers < 1:
        raise UsageError(f"readers must be at least 1. Received: {readers}. Two keep a small model busy.")
    if classifier.pixels.value != "bgr":
        raise UsageError(
            f"Files are decoded to BGR. Received: a classifier of {classifier.pixels.value} frames. Load it without pixels."
        )
    return _classified(classifier, iter(paths), readers)


def _classified(
    classifier: Classifier, paths: Iterator[str | os.PathLike[str]], readers: int
) -> Iterator[tuple[str, Classification | ImageReadError]]:
    spec = classifier.bundle.manifest.preprocess
    pool = ThreadPoolExecutor(readers, thread_name_prefix="decode")

    def begin(path: str | os.PathLike[str]) -> tuple[str, Future[NDArray[np.uint8]]]:
        return str(path), pool.submit(read_image, path, (spec.width, spec.height))

    try:
        waiting = deque(begin(path) for path in islice(paths, readers * _AHEAD))
        while waiting:
            name, future = waiting.popleft()
            waiting.extend(begin(path) for path in islice(paths, 1))
            try:
                frame = future.result()
            except ImageReadError as error:
                yield name, error
            else:
                yield name, classifier.classify(frame)
    finally:  # a reader of the results may stop early
        pool.shutdown(wait=False, cancel_futures=True)
