"""The page for phones in headless Chromium: agreement with Python, what it loads and from where, and time per stage.

The camera plays held-out digits; every frame that the page classifies is told apart by its pixels, so that its label can be
judged. A phone's own times are on the page; those here are of this machine, one thread.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .harness import Figure, Outcome, at_least, at_most, command
from .phones import Sight, chromium, nearest, phone_browser, phone_context, requests_of, watch, write_clip

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Browser

    from edge_sdk_devices.phone import Site
    from edge_sdk_runtime import Bundle

SEED = 0
_VERIFY = """async () => {
  const { Bundle, verify } = await import("./engine.js");
  return verify(await Bundle.open(new Uint8Array(await (await fetch("model.edge")).arrayBuffer())));
}"""


@dataclass(frozen=True)
class Clip:
    """What the camera plays: frames in BGR, and the label of each."""

    frames: Sequence[NDArray[np.uint8]]
    labels: Sequence[str]


@dataclass(frozen=True)
class Visit:
    """One bundle on the page: what was classified, the stages' checks, and the addresses asked for."""

    sights: list[Sight]
    checks: list[dict[str, Any]]
    asked: list[str]
    url: str


def measure(quick: bool) -> Outcome:
    """Show a float and an int8 bundle on the page."""
    if chromium() is None:
        raise SystemExit("This benchmark needs Chromium. Run: sudo apt-get install chromium")
    bundles, clip = _bundles(quick)
    with tempfile.TemporaryDirectory() as folder, _browser(Path(folder), clip) as browser:
        shown = {name: _visit(browser, bundle, 12 if quick else 200) for name, bundle in bundles.items()}
    site = _site(next(iter(bundles.values())))
    visits = list(shown.values())
    foreign = [address for visit in visits for address in visit.asked if not address.startswith(visit.url)]
    figures = [
        *(
            at_most(f"largest difference of a golden vector, {name}", _largest(visit), 1e-4)
            for name, visit in shown.items()
        ),
        at_most("preprocessing, largest difference", _largest_preprocessed(visits), 1, "grey levels"),
        at_least("frames labelled rightly", float(np.mean([_right(visit, clip) for visit in visits])), 0.95),
        at_most("download without the bundle, gzip", site.page_bytes / 1e6, 3.5, "MB"),
        at_most("requests to other hosts", len(foreign), 0),
        Figure("requests in all", sum(len(visit.asked) for visit in visits)),
    ]
    rows = [row for name, visit in shown.items() for row in _rows(name, visit)]
    notes = ("Times are of this machine and its processor, in a browser without a graphics processor.",)
    return Outcome("scikit-learn's handwritten digits, 640×480 frames", figures, rows, SEED, notes)


def _bundles(quick: bool) -> tuple[dict[str, Bundle], Clip]:
    """A classifier in float32 and int8 (quickly: int8 alone), both forms in each; and digits that it gets right, to play."""
    from edge_sdk.compress import compress
    from edge_sdk.data import load_images
    from edge_sdk.learn.train import TrainConfig, default_spec, train_classifier
    from edge_sdk_converters.recipe import BUILT_IN

    recipes = {"int8": "int8"} if quick else {"float32": "none", "int8": "int8"}
    splits = load_images("digits", limit=20 if quick else None)
    config = TrainConfig(epochs=4, width=4, embedding=8) if quick else TrainConfig(epochs=30)
    trained = train_classifier(splits, default_spec(splits, None), config)
    bundles = {
        name: compress(
            trained.model,
            trained.card,
            splits,
            BUILT_IN[recipe],
            name="digits",
            forms=("staged", "fused"),
            prepared=(trained.train, trained.validation),
        ).bundle
        for name, recipe in recipes.items()
    }
    return bundles, _clip(list(bundles.values()), splits.test, 6 if quick else 40)


def _clip(bundles: Sequence[Bundle], test: Any, most: int) -> Clip:
    """The first held-out digits, enlarged to frames, that all bundles classify rightly in Python."""
    from edge_sdk_runtime import Classifier

    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(Classifier(bundle)) for bundle in bundles]
        frames, labels = [], []
        for i in range(len(test)):
            frame = cv2.resize(test[i], (320, 240), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
            label = test.labels[int(test.targets[i])]
            if all(classifier.classify(frame).label == label for classifier in classifiers):
                frames.append(frame)
                labels.append(label)
            if len(frames) == most:
                break
    return Clip(frames, labels)


@contextlib.contextmanager
def _browser(folder: Path, clip: Clip) -> Iterator[Browser]:
    write_clip(folder / "digits.y4m", clip.frames, fps=30)
    with phone_browser(folder / "digits.y4m") as browser:
        yield browser


def _site(bundle: Bundle) -> Site:
    from edge_sdk_devices.phone import build_site

    return build_site(bundle)


def _visit(browser: Browser, bundle: Bundle, count: int) -> Visit:
    from edge_sdk_devices.phone import PhoneServer

    with PhoneServer(_site(bundle)) as server, phone_context(browser) as context:
        asked = requests_of(context)
        page = context.new_page()
        page.goto(server.url)
        sights = watch(page, count)
        checks = page.evaluate(_VERIFY)["checks"]
        page.locator("#offline:not(:empty)").wait_for(state="visible")  # by then all files were asked for
        return Visit(sights, checks, asked, server.url)


def _largest(visit: Visit) -> float:
    return max(float(check["largest"]) for check in visit.checks if check["stage"] != "preprocess")


def _largest_preprocessed(visits: Sequence[Visit]) -> float:
    checks = [check for visit in visits for check in visit.checks if check["stage"] == "preprocess"]
    return max(float(check["largest"]) for check in checks)


def _right(visit: Visit, clip: Clip) -> float:
    return float(np.mean([sight.label == clip.labels[nearest(sight, clip.frames)] for sight in visit.sights]))


def _rows(name: str, visit: Visit) -> list[dict[str, Any]]:
    times = {stage: [sight.milliseconds[stage] for sight in visit.sights] for stage in visit.sights[0].milliseconds}
    times["total"] = [sum(sight.milliseconds.values()) for sight in visit.sights]
    return [
        {
            "bundle": name,
            "stage": stage,
            "median ms": float(np.median(values)),
            "p95 ms": float(np.percentile(values, 95)),
        }
        for stage, values in times.items()
    ]


if __name__ == "__main__":
    sys.exit(command("phone_page", measure))
