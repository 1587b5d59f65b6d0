"""Teaching and forgetting in a bundle file: the next version takes its place only after it was proven."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import perf_counter_ns
from typing import TYPE_CHECKING

from .examples import Told
from .teaching import Taught, forget, teach_classes
from .versions import KEPT_VERSIONS, BundleFile

if TYPE_CHECKING:
    from ..interpreters import InterpreterPlug
    from .teaching import Frames

__all__ = ["forget_file", "teach_file"]


def teach_file(
    path: str | os.PathLike[str],
    frames: Mapping[str, Frames],
    *,
    prototypes: int = 1,
    seed: int = 0,
    interpreter: str | InterpreterPlug | None = None,
    told: Told | None = None,
    keep: int = KEPT_VERSIONS,
) -> Taught:
    """Teach a bundle file classes; the version before stays beside it, see `version_path`.

    Whatever interrupts it, the file is either the version before or the next one, whole.

    Args:
        path: The bundle.
        frames: By label, the images of each class; as `teach_classes` takes them, and the following too.
        prototypes: As there.
        seed: As there.
        interpreter: As there.
        told: As there.
        keep: How many versions before the latest are kept, at least 1.

    Raises:
        UsageError: As there, or `keep` is below 1.
        BundleError: There is no such bundle, or it was changed while it was taught.
        OSError: It cannot be written; it is as it was.
    """
    file = BundleFile.open(path)
    taught = teach_classes(file.bundle, frames, prototypes=prototypes, seed=seed, interpreter=interpreter, told=told)
    return _written(file, taught, keep)


def forget_file(
    path: str | os.PathLike[str],
    label: str,
    *,
    interpreter: str | InterpreterPlug | None = None,
    keep: int = KEPT_VERSIONS,
) -> Taught:
    """Take a class out of a bundle file; the version before stays beside it.

    Args:
        path: The bundle.
        label: The class, as `forget` takes it, and the following too.
        interpreter: As there.
        keep: As for `teach_file`.

    Raises:
        UsageError: As there, or `keep` is below 1.
        BundleError: There is no such bundle, or it was changed meanwhile.
        OSError: It cannot be written; it is as it was.
    """
    file = BundleFile.open(path)
    return _written(file, forget(file.bundle, label, interpreter=interpreter), keep)


def _written(file: BundleFile, taught: Taught, keep: int) -> Taught:
    begun = perf_counter_ns()
    file.replace(taught.bundle, keep)
    durations = {**taught.report.durations_ns, "write": perf_counter_ns() - begun}
    return taught._replace(report=taught.report._replace(durations_ns=durations))
