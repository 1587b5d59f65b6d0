"""What the verbs that use a camera have in common: which one, how it is set, and when to end."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..cameras import Camera
    from ..live import Limits

__all__ = ["ADDRESSES", "FLIPS", "add_camera_options", "add_camera_settings", "camera_limits", "opened_camera"]

ADDRESSES = "/dev/video2, picamera2:0, jetson-csi:0, rtsp://…, file:clip.mp4, images:folder, watch:folder"
"""Other addresses than the default, as help shows them."""
FLIPS = ("none", "rotate-180", "horizontal", "vertical")
"""As `Flip` has them; written here, since no other verb is to wait until cameras are imported."""
_TIMEOUT_S = 10.0


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a verb."""
    parser.add_argument("--source", default="usb:0", metavar="ADDRESS", help=f"usb:0 (default), {ADDRESSES}")
    add_camera_settings(parser)


def add_camera_settings(parser: argparse._ActionsContainer) -> None:
    """Add them to a verb that asks for the address in its own way, as `options.source`."""
    parser.add_argument("--size", metavar="WxH", help="picture size to ask of a camera (default 640x480)")
    parser.add_argument("--fps", type=float, metavar="F", help="frames a second to ask of a camera (default 30)")
    parser.add_argument(
        "--flip",
        choices=FLIPS,
        default=FLIPS[0],
        help="turn the pictures (default none)",
    )
    parser.add_argument(
        "--live", action="store_true", help="play a file or folder at its rate, and drop what comes too soon"
    )
    parser.add_argument("--seconds", type=float, metavar="T", help="end after T seconds")
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT_S,
        metavar="S",
        help=f"give up after S seconds without a frame (default {_TIMEOUT_S:g}; watch: waits for ever)",
    )


def camera_limits(options: argparse.Namespace, frames: int | None = None) -> Limits:
    """When to end, checked.

    Raises:
        UsageError: A limit is not above 0, or the address is none.
    """
    from ..cameras.sources import WatchSource, parse_source
    from ..live import Limits

    waits = isinstance(parse_source(options.source), WatchSource)  # nothing to see is what it is there for
    return Limits(frames, options.seconds, None if waits else options.timeout).check()


def opened_camera(options: argparse.Namespace) -> Camera:
    """The camera, opened; what it grants is told on standard error.

    Raises:
        UsageError: An address or setting that makes no sense.
        CameraUnavailableError: There is no such camera, or something it needs is missing.
    """
    from ..cameras import open_camera, parse_size

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our own line says what a broken file or address is
    size = parse_size(options.size) if options.size else None
    camera = open_camera(options.source, size=size, fps=options.fps, flip=options.flip, live=options.live)
    grant = camera.grant
    asked = f" (asked for {size[0]} × {size[1]})" if size and size != (grant.width, grant.height) else ""
    print(f"{camera.address}: {grant}{asked}", file=sys.stderr)
    return camera
