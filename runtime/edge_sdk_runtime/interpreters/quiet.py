"""Native code prints a notice for every model it loads; a tool that classifies should print what it was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["without_notices"]

_NOTICES = (b"INFO: ", b"W0000 00:00:", b"I0000 00:00:", b"WARNING: All log messages before absl::InitializeLog")


@contextmanager
def without_notices() -> Iterator[None]:
    """Hold back what native code writes to standard error, then pass on all but its notices.

    LiteRT has no setting for this: its logger is reachable from C++ alone.
    """
    try:
        saved = os.dup(2)
    except OSError:  # no standard error to hold back, as in a service that closed it
        yield
        return
    with _scratch_file() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not line.startswith(_NOTICES):
                    os.write(2, line)


def _scratch_file() -> IO[bytes]:
    """A file without a name; in memory where the system has that, since every load of a model opens one."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("notices"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()
