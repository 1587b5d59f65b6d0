"""A phone for tests and benchmarks: headless Chromium whose camera plays a clip, and what it did and saw."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = [
    "LANDSCAPE",
    "PORTRAIT",
    "Sight",
    "chromium",
    "grid",
    "nearest",
    "phone_browser",
    "phone_context",
    "requests_of",
    "watch",
    "write_clip",
]

PORTRAIT = {"width": 390, "height": 844}
LANDSCAPE = {"width": 844, "height": 390}

_GRID = 12
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    # Nothing leaves this machine, whatever is asked for; phone.test stands for an address in a network.
    "--host-resolver-rules=MAP phone.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

# Every classification's label, and points of the frame that it is of: which picture that was is worked out from them.
_WATCH = """([count, side]) => new Promise((resolve) => {
  const seen = [];
  document.addEventListener("classified", function note({ detail: { result, frame } }) {
    const points = [];
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      const at = Math.floor((y + 0.5) * frame.height / side) * frame.width + Math.floor((x + 0.5) * frame.width / side);
      points.push(frame.data[4 * at], frame.data[4 * at + 1], frame.data[4 * at + 2]);
    }
    seen.push([result.label, result.score, [...result.stages], [...result.milliseconds], points]);
    if (seen.length < count) return;
    document.removeEventListener("classified", note);
    resolve(seen);
  });
})"""


@dataclass(frozen=True)
class Sight:
    """One classification that the page made.

    Attributes:
        label: Its label.
        score: The label's probability.
        milliseconds: Of every stage, by name.
        points: `uint8 [12, 12, 3]`, RGB: evenly spaced pixels of the frame.
    """

    label: str
    score: float
    milliseconds: dict[str, float]
    points: NDArray[np.uint8]


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def write_clip(path: Path, frames: Sequence[NDArray[np.uint8]], repeat: int = 1, fps: int = 10) -> None:
    """Write frames, `uint8 [height, width, 3]` in BGR with even sides, as a YUV4MPEG2 clip that Chromium's camera plays."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write((b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes()) * repeat)


@contextmanager
def phone_browser(clip: Path) -> Iterator[Browser]:
    """A browser whose camera plays a clip."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [*_FLAGS, f"--use-file-for-fake-video-capture={clip}"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def phone_context(browser: Browser, *, camera: bool = True, **options: Any) -> Iterator[BrowserContext]:
    """A fresh profile on a screen of a phone's size, which allows the camera or refuses it."""
    settings = {"viewport": PORTRAIT, "is_mobile": True, "has_touch": True, **options}
    context = browser.new_context(permissions=["camera"] if camera else [], **settings)
    try:
        yield context
    finally:
        context.close()


def requests_of(context: BrowserContext) -> list[str]:
    """The addresses of all requests from now on, those of service workers too; the list grows by itself."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    return asked


def watch(page: Page, count: int) -> list[Sight]:
    """The page's next classifications."""
    return [
        Sight(label, score, dict(zip(stages, times, strict=True)), np.array(points, np.uint8).reshape(_GRID, _GRID, 3))
        for label, score, stages, times, points in page.evaluate(_WATCH, [count, _GRID])
    ]


def grid(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The points of a frame in BGR that `Sight.points` has of it."""
    rows, columns = (((np.arange(_GRID) + 0.5) * side / _GRID).astype(int) for side in frame.shape[:2])
    points: NDArray[np.uint8] = frame[rows][:, columns, ::-1]
    return points


def nearest(sight: Sight, frames: Sequence[NDArray[np.uint8]]) -> int:
    """Which of a clip's frames a classification is of."""
    differences = [np.abs(sight.points.astype(int) - grid(frame)).mean() for frame in frames]
    return int(np.argmin(differences))
