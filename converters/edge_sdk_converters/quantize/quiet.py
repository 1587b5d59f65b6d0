"""Keeping the quantizer's words from whoever asked for a file."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

__all__ = ["quietly"]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back the quantizer's progress bars, summaries and debugging warnings; an error still raises."""
    from edge_sdk_runtime.interpreters.quiet import without_notices

    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        without_notices(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        yield
