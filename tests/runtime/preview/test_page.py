"""The preview as a phone shows it: a headless Chromium runs the page against a live server."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk_runtime.preview import Preview, PreviewAddress, PreviewState
from edge_sdk_runtime.timing import StageClock
from tests.runtime.preview.test_preview import STAGES, seen

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: sudo apt-get install --yes chromium"),
]


def browse(url: str, folder: Path, *flags: str) -> str:
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=390,844",
        "--virtual-time-budget=3000",
        *flags,
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_a_phone_shows_the_picture_the_label_and_the_latencies(tmp_path: Path) -> None:
    throttled = tmp_path / "board/sys/devices/platform/soc/soc:firmware"
    throttled.mkdir(parents=True)
    (throttled / "get_throttled").write_text("50005\n")
    clock = StageClock(STAGES)
    state = PreviewState("colours", "usb:0", clock, root=tmp_path / "board")
    stopped = threading.Event()

    def play() -> None:
        sequence = 0
        while not stopped.wait(0.03):
            clock.record((2_000_000, 3_000_000))
            state.publish(seen(sequence, size=(240, 320)))
            sequence += 1

    player = threading.Thread(target=play)
    player.start()
    shot = tmp_path / "phone.png"
    try:
        with Preview(state, PreviewAddress.parse(":0")) as preview:
            document = browse(preview.url, tmp_path, "--dump-dom", f"--screenshot={shot}")
    finally:
        stopped.set()
        player.join()
    shown = dict(re.findall(r'<(?:span|h1|b|div)[^>]* id="([\w-]+)"[^>]*>([^<]*)', document))
    assert (shown["bundle"], shown["label"], shown["score"]) == ("colours", "red &lt;b&gt;", "75.0 %")
    assert shown["fps"] == "29.5"
    assert "under-voltage" in shown["throttled"]
    assert re.search(r'class="status live"[^>]*>live<', document)
    assert re.search(r'class="banner" id="throttled" role="alert">', document), "the warning is not hidden"
    for stage in (*STAGES, "total"):
        assert re.search(rf'aria-label="{stage}: median \d', document)
    picture = cv2.imread(str(shot))
    assert picture.shape[1] == 390
    green = np.abs(picture.astype(int) - (10, 200, 30)).max(axis=2) < 8
    assert green.mean() > 0.1, "the camera's picture fills a good part of the screen"
