"""`edge-run`: what a person types on the device.

Exit status: 0 done, 1 the answer is no (a bundle that does not verify), 2 wrong use or wrong input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import EdgeRuntimeError
from ..images import quiet_decoders
from ..version import __version__
from . import classify, info, verify

__all__ = ["main"]

_VERBS = (classify, info, verify)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: What follows `edge-run`; the process's own where None.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    quiet_decoders()
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe left, as head does; what it wanted it has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (EdgeRuntimeError, OSError) as error:
        if options.debug:
            raise
        print(f"edge-run: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON instead of text")
    common.add_argument("--interpreter", metavar="NAME", help="litert or tflite-runtime (default: the first installed)")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(prog="edge-run", description="Run an .edge bundle on this device.")
    parser.add_argument("--version", action="version", version=f"edge-run {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in _VERBS:
        verb.add_parser(verbs, common)
    return parser
