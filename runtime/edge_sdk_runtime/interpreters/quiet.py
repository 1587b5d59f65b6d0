"""Native code prints a notice for every model it loads; a tool that classifies should print what it was asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

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
    with tempfile.TemporaryFile() as held:
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
