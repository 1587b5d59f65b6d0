"""The preview as a phone shows it: a headless Chromium runs the page against a live server."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk_runtime.preview import Preview, PreviewAddress, PreviewState, server
from edge_sdk_runtime.timing import StageClock
from tests.runtime.preview.test_preview import COLORS, LABELS, STAGES, playing

PAGE = server._PAGE
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: sudo apt-get install --yes chromium"),
]


WATCHED = """
{
  const pairs = {};
  new MutationObserver(() => {
    const canvas = $("picture"), first = $("classes").firstChild;
    if (!first) return;
    const pixel = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    const strongest = [0, 1, 2].sort((i, j) => pixel[j] - pixel[i])[0], number = $("sequence").textContent.split(" ")[1];
    const pair = [strongest, $("label").textContent, first.children[0].textContent, number % 3].join("/");
    pairs[pair] = (pairs[pair] || 0) + 1;
    document.documentElement.dataset.pairs = JSON.stringify(pairs);
  }).observe(document.querySelector("main"), { childList: true, characterData: true, subtree: true });
  const enough = () => Object.keys(pairs).length === 3 && $("status").textContent === "live";
  (async () => { for (let i = 0; i < 3000 && !enough(); i++) await (await fetch("state.json")).text(); })();
}
"""
"""Looks whenever the page has changed: the strongest of the picture's red, green and blue, both labels, the frame's number.

The browser's virtual time, at whose end it leaves, stands still while a request is under way; so that there is one until every
class was seen."""


@dataclass(frozen=True)
class Visit:
    """What a browser came to: the page's elements at last, its pixels in BGR, and how often it showed what together."""

    document: str
    picture: np.ndarray
    pairs: dict[str, int]


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    folder = tmp_path_factory.mktemp("page")
    throttled = folder / "board/sys/devices/platform/soc/soc:firmware"
    throttled.mkdir(parents=True)
    (throttled / "get_throttled").write_text("50005\n")
    watched = PAGE.read_text(encoding="utf-8").replace("watch();\n</script>", f"watch();\n{WATCHED}</script>")
    (folder / "page.html").write_text(watched, encoding="utf-8")
    state = PreviewState("colours", "usb:0", StageClock(STAGES), root=folder / "board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_PAGE", folder / "page.html")
        with playing(state, 0.03, (240, 320)), Preview(state, PreviewAddress.parse(":0")) as preview:
            document = browse(preview.url, folder)
    found = re.search(r'data-pairs="([^"]*)"', document)
    pairs = json.loads(html.unescape(found[1])) if found else {}
    return Visit(document, cv2.imread(str(folder / "phone.png")), pairs)


def browse(url: str, folder: Path) -> str:
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=390,844",
        "--virtual-time-budget=1000",
        "--dump-dom",
        f"--screenshot={folder / 'phone.png'}",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_what_a_phone_shows_at_any_moment_is_of_one_frame(visit: Visit) -> None:
    assert set(visit.pairs) <= {f"{i}/{LABELS[i]}/{LABELS[i]}/{(i + 1) % 3}" for i in range(3)}
    assert len(visit.pairs) == 3, "every class was on the screen"


def test_a_phone_shows_the_picture_the_label_and_the_latencies(visit: Visit) -> None:
    shown = dict(re.findall(r'<(?:span|h1|b|div)[^>]* id="([\w-]+)"[^>]*>([^<]*)', visit.document))
    assert (shown["bundle"], html.unescape(shown["label"]) in LABELS, shown["score"]) == ("colours", True, "75.0 %")
    assert shown["fps"] == "29.5"
    assert "under-voltage" in shown["throttled"]
    assert re.search(r'class="status live"[^>]*>live<', visit.document)
    assert re.search(r'class="banner" id="throttled" role="alert">', visit.document), "the warning is not hidden"
    for stage in (*STAGES, "total"):
        assert re.search(rf'aria-label="{stage}: median \d', visit.document)
    assert visit.picture.shape[1] == 390
    filled = [(np.abs(visit.picture.astype(int) - color).max(axis=2) < 8).mean() for color in COLORS]
    assert max(filled) > 0.1, "the camera's picture fills a good part of the screen"
