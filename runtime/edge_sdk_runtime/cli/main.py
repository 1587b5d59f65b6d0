"""`edge-run`: what a person types on the device.

Exit status: 0 done, 1 the answer is no (a bundle that does not verify), 2 wrong use or wrong input, 130 interrupted by Ctrl-C,
143 ended by SIGTERM before it was done. A verb that runs until it is ended, as `camera` and `capture` do, is done when SIGTERM
ends it: 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from ..errors import EdgeRuntimeError
from ..version import __version__
from . import doctor
from .signals import TERMINATED, Terminated, terminable
from .text import error_text

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: What follows `edge-run`; the process's own where None.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        verbs = [doctor] if given[:1] == ["doctor"] else _verbs()
    except ImportError as error:
        print(
            f"edge-run: NumPy and OpenCV must be importable. Received: {error}. Run: edge-run doctor", file=sys.stderr
        )
        return 2
    options = _parser(verbs).parse_args(given)
    try:
        with terminable():
            status: int = options.run(options)
            sys.stdout.flush()
            return status
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe left, as head does; what it wanted it has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (EdgeRuntimeError, OSError) as error:
        if options.debug:
            raise
        print(f"edge-run: {error_text(error)}", file=sys.stderr)
        return 2


def _verbs() -> list[ModuleType]:
    """Every verb; all but the doctor need NumPy and OpenCV, and it has to speak where those cannot be imported."""
    from . import bench, camera, capture, classify, forget, info, teach, unpack, verify

    _quiet_decoders()
    return [classify, camera, capture, teach, forget, info, verify, unpack, bench, doctor]


def _quiet_decoders() -> None:
    from ..images import quiet_decoders  # OpenCV; after NumPy, or it prints advice of its own where that is missing

    quiet_decoders()


def _parser(shown: Sequence[ModuleType]) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON instead of text")
    common.add_argument("--interpreter", metavar="NAME", help="litert or tflite-runtime (default: the first installed)")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(prog="edge-run", description="Run an .edge bundle on this device.")
    parser.add_argument("--version", action="version", version=f"edge-run {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in shown:
        verb.add_parser(verbs, common)
    return parser
