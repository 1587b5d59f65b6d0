"""Why a camera does not open, and the one command that mends it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "device_trouble",
    "gstreamer_trouble",
    "jetson_trouble",
    "no_picamera2",
    "stream_trouble",
    "video_trouble",
]

Access = Callable[[Path, int], bool]


def device_trouble(device: str, *, failed: bool = False, access: Access = os.access, root: Path = Path("/")) -> str:
    """What keeps a V4L2 device from being opened.

    Args:
        device: Its device file.
        failed: Whether OpenCV tried and failed, so that something must be wrong.
        access: `os.access`.
        root: Where `dev` and `proc` are.

    Returns:
        The error's one line; empty where nothing is known to be wrong.
    """
    path = root / device.lstrip("/")
    rule = "A USB camera must be a device that can be opened."
    if not path.exists():
        return f"{rule} Received: no {device}; {_found(root)}"
    if not access(path, os.R_OK | os.W_OK):
        return f"{rule} Received: no permission for {device}. Run: sudo usermod -aG {_group(path)} $USER && newgrp {_group(path)}"
    if not failed:
        return ""
    if holder := _holder(device, root):
        number, name = holder
        return f"{rule} Received: {device}, in use by {name} (process {number}). Run: kill {number}"
    return (
        f"{rule} Received: {device}, which gives no pictures: another user's process holds it, or it is the second device of a "
        f"camera, without any. Run: sudo fuser --verbose {device}"
    )


def stream_trouble(address: str) -> str:
    """The error's one line for a network camera that does not open."""
    return (
        f"A network camera must answer with a video stream. Received: none from {address}. "
        f"Check address, user and password. Run: ffprobe '{address}'"
    )


def video_trouble(path: Path, *, failed: bool = False) -> str:
    """What keeps a video file from being opened; empty where nothing is known to be wrong."""
    rule = "A video file must be readable and hold a video that OpenCV decodes."
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return f"{rule} Received: {path} ({error.strerror}). Check the path."
    return f"{rule} Received: {path}, {size} bytes. Run: ffmpeg -i {path} converted.mp4" if failed else ""


def gstreamer_trouble(build: str) -> str:
    """What an OpenCV without GStreamer lacks.

    Args:
        build: What `cv2.getBuildInformation` says.

    Returns:
        The error's one line; empty where it has GStreamer.
    """
    if any("GStreamer" in line and "YES" in line for line in build.splitlines()):
        return ""
    return (
        "A Jetson's CSI camera needs an OpenCV that was built with GStreamer. Received: one without, as pip installs it. "
        "Run: sudo apt-get install --yes python3-opencv && python3 -m pip uninstall --yes opencv-python opencv-python-headless"
    )


def jetson_trouble(address: str, root: Path = Path("/")) -> str:
    """The error's one line for a Jetson's CSI camera whose pipeline does not open."""
    rule = "A Jetson's CSI camera must be plugged in before it starts, and its camera service must run."
    if not (root / "tmp" / "argus_socket").exists():
        return f"{rule} Received: {address}, and no camera service. Run: sudo systemctl restart nvargus-daemon"
    sensor = address.rpartition(":")[2]
    return (
        f"{rule} Received: {address}, which gives no pictures. "
        f"Run: gst-launch-1.0 nvarguscamerasrc sensor-id={sensor} num-buffers=1 ! fakesink"
    )


def no_picamera2(in_environment: bool, said: str) -> str:
    """The error's one line where picamera2 cannot be imported.

    Args:
        in_environment: Whether this Python is a virtual environment, which hides what apt installs.
        said: What the import said.
    """
    install = "sudo apt-get install --yes python3-picamera2"
    if in_environment:
        install += " && python3 -m venv --system-site-packages --upgrade $VIRTUAL_ENV"
    return f"A Raspberry Pi's CSI camera needs picamera2. Received: {said}. Run: {install}"


def _found(root: Path) -> str:
    """The devices that are there, or how to look for the camera."""
    devices = sorted(f"/dev/{path.name}" for path in (root / "dev").glob("video*"))
    if devices:
        return f"there is {', '.join(devices)}. Choose one of them."
    return "there is no camera at all. Plug it in; a Raspberry Pi's CSI camera is picamera2:0. Run: lsusb"


def _group(path: Path) -> str:
    """The group that may open a device; Linux calls it video."""
    import grp

    mode = path.stat()
    try:
        return grp.getgrgid(mode.st_gid).gr_name if mode.st_gid and mode.st_mode & stat.S_IRGRP else "video"
    except KeyError:
        return "video"


def _holder(device: str, root: Path) -> tuple[int, str] | None:
    """Number and name of another process that has the device open; only the user's own are visible."""
    for link in (root / "proc").glob("[0-9]*/fd/*"):
        try:
            held = str(link.readlink()) == device
            number = int(link.parts[-3])
            if held and number != os.getpid():
                return number, (link.parents[1] / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return None
