"""`edge-run teach`: new classes for a bundle, from pictures or a camera, on the device itself."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["add_parser"]

_COUNT = 20
_EVERY_S = 0.5


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    from .camera_options import ADDRESSES, add_camera_settings

    parser = verbs.add_parser(
        "teach",
        parents=[common],
        help="teach a bundle new classes from pictures or a camera, or undo the latest change",
    )
    parser.add_argument("bundle", help="an .edge file; the version before it stays beside it")
    parser.add_argument(
        "--label",
        metavar="NAME",
        help="the class; one that is known gets more examples (default: names of class folders)",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", metavar="FOLDER", help="pictures of the class; without --label, a folder per class")
    what.add_argument(
        "--camera",
        dest="source",
        nargs="?",
        const="usb:0",
        metavar="ADDRESS",
        help=f"show the object to a camera: usb:0 (default), {ADDRESSES}",
    )
    what.add_argument("--undo", action="store_true", help="go back to the version before")
    parser.add_argument(
        "--prototypes", type=int, default=1, metavar="K", help="reference vectors per class (default 1)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")
    camera = parser.add_argument_group("with --camera")
    camera.add_argument("--count", type=int, default=_COUNT, metavar="N", help=f"pictures to take (default {_COUNT})")
    camera.add_argument(
        "--every", type=float, default=_EVERY_S, metavar="S", help=f"seconds between pictures (default {_EVERY_S:g})"
    )
    add_camera_settings(camera)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return _undo(options) if options.undo else _teach(options)


def _undo(options: argparse.Namespace) -> int:
    from ..teach import undo_file

    manifest = undo_file(options.bundle).manifest
    document = {"bundle": options.bundle, "version": manifest.version, "labels": list(manifest.labels)}
    text = f"{options.bundle} is version {manifest.version} again: {', '.join(manifest.labels)}."
    print(json.dumps(document, ensure_ascii=False) if options.json else text)
    return 0


def _teach(options: argparse.Namespace) -> int:
    from ..teach import teach_file
    from .status_line import StatusLine
    from .teach_pictures import camera_pictures, folder_pictures
    from .teach_text import as_json, as_text

    line = StatusLine(sys.stderr)
    pictures: Mapping[str, Iterable[NDArray[np.uint8]]]
    if options.source is not None:
        pictures = {_label(options): camera_pictures(options, line)}
    else:
        pictures = folder_pictures(options.images, options.label)

    def told(what: str, done: int, planned: int) -> None:
        line.show(lambda: f"{what}: {done} of {planned}" if planned else f"{what}: {done}")

    try:
        taught = teach_file(
            options.bundle,
            pictures,
            prototypes=options.prototypes,
            seed=options.seed,
            interpreter=options.interpreter,
            told=told,
        )
    finally:
        line.end()
    print(as_json(options.bundle, taught) if options.json else as_text(options.bundle, taught))
    return 0


def _label(options: argparse.Namespace) -> str:
    if options.label is None:
        raise UsageError("A camera shows one class. Received: --camera without --label. Name it: --label NAME.")
    label: str = options.label
    return label
