"""An emulated Raspberry Pi from the command line.

```sh
python -m edge_sdk_devices.emulation build .emulated/pi
python -m edge_sdk_devices.emulation serve .emulated/pi    # until Ctrl-C; prints what to deploy to
```
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from ..errors import EdgeSdkError
from .board import Interpreter, build
from .serve import serving

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a board or serve one; exit status 2 where that cannot be, with one line why."""
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return int(options.run(options))
    except (EdgeSdkError, OSError) as error:
        sys.stderr.write(f"emulation: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edge_sdk_devices.emulation", description="An emulated 64-bit Raspberry Pi behind SSH."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    make = verbs.add_parser("build", help="fetch Debian's arm64 packages and unpack them; a minute, once")
    make.add_argument("folder", type=Path, metavar="DIR", help="where; the board works at this path alone")
    make.add_argument(
        "--interpreter",
        action="append",
        default=[],
        choices=[each.value for each in Interpreter],
        metavar="NAME",
        help="make an environment with it as well: litert or tflite-runtime; may be given twice",
    )
    make.set_defaults(run=_build)
    serve = verbs.add_parser(
        "serve", help="let it be reached by SSH on 127.0.0.1 until Ctrl-C; builds it where it is not"
    )
    serve.add_argument("folder", type=Path, metavar="DIR", help="where it was built")
    serve.add_argument(
        "--board",
        type=Path,
        metavar="FOLDER",
        help="what is this board's own: a new folder is a clean board (DIR/board)",
    )
    serve.set_defaults(run=_serve)
    return parser


def _build(options: argparse.Namespace) -> int:
    interpreters = [Interpreter(name) for name in options.interpreter]
    board = build(options.folder, interpreters, _tell)
    for interpreter in interpreters:
        _say(f"environment: {board.environment(interpreter)}")
    _say(f"Next: {Path(sys.executable).name} -m edge_sdk_devices.emulation serve {options.folder}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    board = build(options.folder, told=_tell)
    with serving(board, options.board) as target:
        _say(
            f"Emulated: results are those of the board's processor, times mean nothing. Home folder: {target.parent / 'home'}"
        )
        _say(f"Next, elsewhere: edge-sdk deploy BUNDLE emulated:{target} --offline")
        threading.Event().wait()
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    """A wish to end closes what is open, as Ctrl-C does."""
    del frame
    sys.exit(128 + number)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
