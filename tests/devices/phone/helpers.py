"""A page in a browser, and an app that is not built, for the tests of what is done with its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.phones import chromium
from edge_sdk_devices.phone import site as site_module

COLORS = ((20, 20, 230), (20, 210, 20), (230, 40, 20))
"""Frames of the clip in BGR: what the colour bundle calls red, green and blue."""

BUILT = Path(site_module.__file__).with_name("app") / "index.html"

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="needs Chromium: sudo apt-get install --yes chromium"),
    pytest.mark.skipif(not BUILT.exists(), reason="needs the built page: make phone"),
]

APP = {
    "index.html": b"<!doctype html><title>Edge SDK</title><p>page</p>" + b"x" * 200,
    "assets/app-aBc_-123.js": b"start();" * 30,
    "litert/model.wasm": bytes(range(256)),
    "manifest.webmanifest": b'{"name": "Edge SDK", "short_name": "Edge SDK", "start_url": "./"}',
    "icon-192.png": b"a picture",
    "service-worker.js": b"keep(self.site);",
}


def colour_clip() -> list[np.ndarray]:
    return [np.full((96, 128, 3), color, np.uint8) for color in COLORS]


@contextlib.contextmanager
def small_app(folder: Path) -> Iterator[None]:
    """Sites are made of `APP` instead of the built app."""
    for name, content in APP.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_module, "_APP", folder)
        yield


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shown(page: Any, identifier: str) -> str:
    """The text of an element once it is visible."""
    element = page.locator(f"#{identifier}")
    element.wait_for(state="visible", timeout=60_000)
    return str(element.inner_text())
