"""`edge-run capture`: labelled pictures from the device's own camera, ready for `edge-sdk train`."""

from __future__ import annotations

import argparse
import json
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import EdgeRuntimeError, UsageError

if TYPE_CHECKING:
    from ..cameras import Camera
    from ..collect import Collector
    from ..live import Limits
    from .signals import StopSignals

__all__ = ["add_parser"]

_EVERY_S = 0.5


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    from .camera_options import add_camera_options

    parser = verbs.add_parser(
        "capture", parents=[common], help="collect labelled pictures with a camera, into a folder per class"
    )
    parser.add_argument("--label", required=True, metavar="NAME", help="the class of what is seen")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="the folder of class folders")
    add_camera_options(parser)
    parser.add_argument("--count", type=int, metavar="N", help="end after N pictures were kept")
    parser.add_argument(
        "--every",
        type=float,
        metavar="S",
        help=f"seconds between pictures that are looked at (default {_EVERY_S:g}; files 0)",
    )
    parser.add_argument(
        "--sharpness",
        type=float,
        default=40.0,
        metavar="V",
        help="least variance of the Laplacian (default 40; 0 keeps all)",
    )
    parser.add_argument(
        "--distance",
        type=int,
        default=5,
        metavar="BITS",
        help="how many of 64 bits must differ from pictures kept lately (default 5; 0 keeps all)",
    )
    parser.add_argument("--quality", type=int, default=92, metavar="Q", help="quality of the JPEG files (default 92)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..collect import CollectConfig, Collector
    from .camera_options import camera_limits, opened_camera
    from .signals import StopSignals

    limits = camera_limits(options)
    _check(options)
    config = CollectConfig(options.sharpness, options.distance, quality=options.quality)
    collector = Collector(options.output, options.label, config)
    failure: Exception | None = None
    with StopSignals() as stop, opened_camera(options) as camera:
        try:
            _collect(options, collector, camera, limits, stop)
        except (EdgeRuntimeError, OSError) as error:  # what was kept is told first
            failure = error
    print(_as_json(options, collector) if options.json else _as_text(options, collector))
    if failure is not None:
        raise failure
    return stop.status


def _check(options: argparse.Namespace) -> None:
    for name, value in (("--count", options.count), ("--every", options.every)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0. Received: {value:g}. Leave it out, or choose a larger one.")


def _collect(
    options: argparse.Namespace, collector: Collector, camera: Camera, limits: Limits, stop: StopSignals
) -> None:
    from ..live import frames_until
    from .status_line import StatusLine

    every = options.every if options.every is not None else _pause(options)
    line = StatusLine(sys.stderr if options.json else sys.stdout)
    due = monotonic()
    for frame in frames_until(camera, limits, stop.stopped):
        if monotonic() >= due:
            due = monotonic() + every
            collector.offer(frame.image)
            if options.count is not None and collector.counts.kept >= options.count:
                break
        line.show(lambda: f"{options.label}: {_progress(options, collector)}")
    line.end()


def _pause(options: argparse.Namespace) -> float:
    """Seconds between pictures: a file is looked at frame by frame, unless it plays live."""
    from ..cameras.sources import FileSource, FolderSource, parse_source

    whole = isinstance(parse_source(options.source), (FileSource, FolderSource)) and not options.live
    return 0.0 if whole else _EVERY_S


def _progress(options: argparse.Namespace, collector: Collector) -> str:
    aim = f" of {options.count}" if options.count is not None else ""
    counts = collector.counts
    return f"{counts.kept}{aim} kept, {counts.similar} too similar, {counts.blurred} blurred"


def _as_text(options: argparse.Namespace, collector: Collector) -> str:
    lines = [f"{options.label}: {collector.counts}, in {collector.folder}"]
    if not collector.counts.kept and collector.counts.blurred:
        lines.append("Everything was blurred: hold still, add light, or lower --sharpness.")
    return "\n".join(lines)


def _as_json(options: argparse.Namespace, collector: Collector) -> str:
    document = {"label": options.label, "folder": str(collector.folder), **vars(collector.counts)}
    return json.dumps(document, ensure_ascii=False)
