"""Which processors this process runs on.

A model keeps its place in the caches of a core that it has to itself, and leaves the other cores to whatever else the board does.
Where cores differ, as on many phones and boards, it says which kind.

```python
from edge_sdk_runtime.affinity import use_processors

use_processors((2, 3))  # before Classifier.load, whose threads then begin there
```
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import UsageError

__all__ = ["check_processors", "parse_processors", "use_processors"]

_PART = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


def parse_processors(text: str) -> tuple[int, ...]:
    """Read processors from `0,2-3`, in ascending order and each once.

    Raises:
        UsageError: It is something else.
    """
    parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
    numbers: set[int] = set()
    for part in parts:
        span = range(int(part[1]), int(part[2] or part[1]) + 1) if part else range(0)
        if not span:
            raise UsageError(
                f"Processors must be numbers or ranges with commas between. Received: {text!r}. Write 0,1 or 0-3."
            )
        numbers.update(span)
    return tuple(sorted(numbers))


def check_processors(processors: Iterable[int]) -> tuple[int, ...]:
    """The same processors, if this process may run on all of them.

    Raises:
        UsageError: There is none, it may not use one, or the system does not let processes choose.
    """
    chosen = tuple(processors)
    if not hasattr(os, "sched_getaffinity"):
        raise UsageError(
            f"Processors can be chosen on Linux. Received: {_listed(chosen)} on {sys.platform}. Leave the choice out."
        )
    allowed = os.sched_getaffinity(0)
    if not chosen or not set(chosen) <= allowed:
        raise UsageError(
            f"Processors must be among those that this process may use: {_listed(sorted(allowed))}. "
            f"Received: {_listed(chosen) or 'none'}. Choose among them."
        )
    return chosen


def use_processors(processors: Iterable[int]) -> None:
    """Run all threads of this process on some processors from now on, and those that they start.

    Libraries start threads when they are imported, so that it does not do to move the calling one. OpenCV is told as well, or it
    would go on to share its work among as many threads as the board has processors.

    Args:
        processors: Their numbers, as `lscpu --extended` counts them.

    Raises:
        UsageError: There is none, this process may not use one, or the system does not let processes choose.
    """
    chosen = check_processors(processors)
    os.sched_setaffinity(0, chosen)
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
            os.sched_setaffinity(int(task.name), chosen)
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(min(cv2.getNumThreads(), len(set(chosen))))


def _listed(processors: Iterable[int]) -> str:
    return ", ".join(map(str, processors))
