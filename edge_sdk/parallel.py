"""Work on many images at once: OpenCV lets go of the interpreter while it decodes and resizes, so threads are enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Progress", "in_chunks"]

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are in all."""

CHUNK = 16
"""Images per task: enough that 8×8 pictures do not drown in scheduling, few enough that photographs show progress."""


def in_chunks(work: Callable[[range], None], count: int, progress: Progress | None = None) -> None:
    """Call `work` with consecutive ranges that together cover `range(count)`, on every core.

    The first error ends the rest and is raised; so does Ctrl-C.

    Args:
        work: Handles the positions in a range; several calls run at the same time.
        count: How many positions there are.
        progress: Told after each chunk, from the calling thread and in order.
    """
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for chunk, _ in zip(chunks, pool.map(work, chunks), strict=True):
                if progress is not None:
                    progress(chunk.stop, count)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
