"""Does anything grow? 200,000 classifications and 10,000 frames of a video file that is opened again and again.

Everything runs in a process that has imported the runtime alone. Memory is what Linux accounts to it as resident; it is first
read when the classifier's ring of measurements is full, and when the video has been opened a few times.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2

from edge_sdk_runtime import Interpolation

from .harness import Outcome, at_most, command
from .models import photograph, random_bundle

_SIDE = 32
_CLIP_FRAMES = 100
_GROWTH_MB = 2.0

_SOAK = """
import json, os, sys, time
from edge_sdk_runtime import Classifier, read_image
from edge_sdk_runtime.cameras import open_camera

bundle, picture, clip, runs, clips, steady = *sys.argv[1:4], *map(int, sys.argv[4:])

def held():
    time.sleep(0.2)  # a thread that was joined leaves the system's list a moment later
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

def soak(part, settle, times, step):
    for _ in range(settle):
        step()
    readings = [held()]
    for tenth in range(10):
        for _ in range(times // 10):
            step()
        readings.append(held())
    print(json.dumps([part, times // 10 * 10, readings]))

frame = read_image(picture)
for form in ("staged", "fused"):
    with Classifier.load(bundle, form=form) as classifier:
        soak(f"{form} classifications", steady, runs // 2, lambda: classifier.classify(frame))

with Classifier.load(bundle) as classifier:
    def play():
        with open_camera(f"file:{clip}") as camera:
            for seen in camera:
                classifier.classify(seen.image, seen.captured_ns)
    soak("openings of a video file", min(10, clips), clips, play)
"""


def measure(quick: bool) -> Outcome:
    """How much memory and how many descriptors and threads each part gained."""
    runs, clips, steady = (2_000, 10, 100) if quick else (200_000, 100, 10_000)
    clip_frames = 5 if quick else _CLIP_FRAMES
    with tempfile.TemporaryDirectory() as name:
        files = _files(Path(name), clip_frames)
        numbers = [str(number) for number in (runs, clips, steady)]
        finished = subprocess.run(
            [sys.executable, "-c", _SOAK, *files, *numbers], stdout=subprocess.PIPE, text=True, check=True
        )
    parts = [json.loads(line) for line in finished.stdout.splitlines()]
    rows = [_row(*part) for part in parts]
    figures = [
        at_most("largest growth of resident memory", max(row["growth MB"] for row in rows), _GROWTH_MB, "MB"),
        at_most("descriptors gained", max(row["descriptors gained"] for row in rows), 0),
        at_most("threads gained", max(row["threads gained"] for row in rows), 0),
    ]
    data = f"{runs:,} classifications of a 640×480 photograph, {clips * clip_frames:,} frames of a 640×480 video"
    return Outcome(f"{data}, {_SIDE}×{_SIDE} int8 model", figures, rows)


def _row(part: str, times: int, readings: list[tuple[float, int, int]]) -> dict[str, Any]:
    (first, descriptors, threads), (last, descriptors_after, threads_after) = readings[0], readings[-1]
    return {
        "part": f"{times:,} {part}",
        "RSS MB before": first,
        "after": last,
        "highest": max(reading[0] for reading in readings),
        "growth MB": last - first,
        "descriptors gained": descriptors_after - descriptors,
        "threads gained": threads_after - threads,
    }


def _files(folder: Path, clip_frames: int) -> list[str]:
    """A bundle, a photograph, and a video that pans over it."""
    random_bundle(_SIDE, Interpolation.FAST_AREA).write(folder / "model.edge")
    frame = photograph()
    cv2.imwrite(str(folder / "photo.png"), frame)
    wide = photograph(640 + clip_frames, 480)
    video = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for i in range(clip_frames):
        video.write(wide[:, i : i + 640])
    video.release()
    return [str(folder / name) for name in ("model.edge", "photo.png", "clip.avi")]


if __name__ == "__main__":
    sys.exit(command("soak", measure))
