"""The page as a phone shows it: headless Chromium runs it, its camera plays a clip of three colours."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edge_sdk_runtime
from benchmarks.phones import (
    LANDSCAPE,
    PORTRAIT,
    nearest,
    phone_browser,
    phone_context,
    requests_of,
    watch,
    write_clip,
)
from edge_sdk_converters.pack import pack
from edge_sdk_devices.phone import PhoneServer, Site, build_site
from edge_sdk_runtime import (
    Bundle,
    Classifier,
    Color,
    Interpolation,
    Preprocessor,
    PreprocessSpec,
    ResizeMode,
    Similarity,
)
from edge_sdk_runtime.manifest import StagedForm, UnknownRule
from tests.devices.phone.helpers import colour_clip, needs_browser, shown
from tests.runtime.helpers import LABELS, changed, make_bundle, npy, npz, real_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_browser

TWO_CAMERAS = """
navigator.mediaDevices.enumerateDevices = async () => [{ kind: "videoinput" }, { kind: "videoinput" }, { kind: "audioinput" }];
"""
"""A phone has a camera on each side; Chromium plays its clip as one only."""

VERIFY = """async () => {
  const { Bundle, verify } = await import("./engine.js");
  return verify(await Bundle.open(new Uint8Array(await (await fetch("model.edge")).arrayBuffer())));
}"""

PREPROCESS = """async (cases) => {
  const { Preprocessor } = await import("./engine.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return cases.flatMap(({ frame, expected, ...shape }) => {
    const data = bytes(frame);
    return expected.map(([spec, result]) => {
      const [received, wanted] = [new Preprocessor(spec).run({ data, ...shape }), bytes(result)];
      if (received.length !== wanted.length) return 256;
      return received.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i])), 0);
    });
  });
}"""

OPEN = """async (content) => {
  const { Bundle } = await import("./engine.js");
  return Bundle.open(Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))).then(() => "", (error) => error.message);
}"""

CLASSIFY = """async ([content, frames]) => {
  const { Bundle, Classifier } = await import("./engine.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const classifier = await Classifier.load(await Bundle.open(bytes(content)));
  const results = [];
  for (const frame of frames) {
    const { scores, unknown, stages } = await classifier.classify({ data: bytes(frame), width: 6, height: 4, order: "bgr" });
    results.push({ scores: [...scores], unknown, stages });
  }
  return results;
}"""


@functools.cache
def site() -> Site:
    return build_site(real_bundle())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    clip = tmp_path_factory.mktemp("clip") / "colours.y4m"
    write_clip(clip, colour_clip(), repeat=4)
    with phone_browser(clip) as running:
        yield running


@pytest.fixture(scope="module")
def engine(browser: Browser) -> Iterator[Page]:
    """A page beside the engine, without a camera."""
    with PhoneServer(site()) as server, phone_context(browser, camera=False) as context:
        page = context.new_page()
        page.goto(f"{server.url}manifest.webmanifest")
        yield page


def encoded(content: bytes | np.ndarray) -> str:
    return base64.b64encode(content if isinstance(content, bytes) else content.tobytes()).decode()


def test_a_visit(browser: Browser) -> None:
    """Labels, times, requests, the self-test, the other camera, both orientations, then all of it without a network."""
    with PhoneServer(site()) as server, phone_context(browser) as context:
        asked = requests_of(context)
        page = context.new_page()
        page.add_init_script(TWO_CAMERAS)
        page.goto(server.url)
        sights = watch(page, 40)
        right = [sight.label == LABELS[nearest(sight, colour_clip())] for sight in sights]
        assert np.mean(right) >= 0.95 and {sight.label for sight in sights} == set(LABELS)
        assert list(sights[0].milliseconds) == ["preprocess", "embed", "similarity", "head"]

        terms = shown(page, "times").split()
        assert {"capture", "preprocess", "embed", "similarity", "head", "total"} <= set(terms)
        assert shown(page, "name") == page.title() == "colours"
        facts = shown(page, "facts")
        assert "75.0 % of 8 held-out images (plain frames)" in facts and "6 × 4 RGB, stretch" in facts

        outcome = page.evaluate(VERIFY)
        forms = {(check["form"], check["stage"]) for check in outcome["checks"]}
        assert outcome["passed"] and outcome["frames"] == 4
        assert {("staged", "scores"), ("fused", "scores"), ("staged", "embed")} <= forms
        assert max(check["largest"] for check in outcome["checks"]) <= 1e-4
        page.click("#verify")
        page.locator("#checks dd").first.wait_for(state="visible")
        assert shown(page, "verify-text").startswith("This phone computes what the workstation did: 4 frames")

        for size in (PORTRAIT, LANDSCAPE):
            page.set_viewport_size(size)
            picture, panel, width = page.evaluate(
                """() => [...["picture", "panel"].map((id) => document.getElementById(id).getBoundingClientRect().toJSON()),
                    document.documentElement.scrollWidth]"""
            )
            assert width == size["width"], "nothing is wider than the screen"
            assert abs(picture["width"] / picture["height"] - 4 / 3) < 0.02, "the picture is not distorted"
            assert (panel["left"] >= picture["right"]) == (size is LANDSCAPE)

        assert shown(page, "switch-text") == "Front"
        page.click("#switch")
        page.locator("#switch-text", has_text="Back").wait_for(state="visible")
        assert len(watch(page, 3)) == 3, "the other camera is classified too"

        assert shown(page, "offline").startswith("Kept on this phone")
        server.close()
        context.set_offline(True)
        page.reload()
        assert {sight.label for sight in watch(page, 3)} <= set(LABELS)
        assert asked and all(address.startswith(server.url) for address in asked)


def test_preprocessing_equals_the_runtime(engine: Page) -> None:
    rng = np.random.default_rng(0)
    sizes = [(240, 320), (72, 128), (96, 96), (5, 7), (33, 120), (1, 1), *rng.integers(1, 150, (6, 2)).tolist()]
    kinds = itertools.cycle(itertools.product(ResizeMode, Interpolation, Color))
    cases = []
    for height, width in sizes:
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        specs = [
            PreprocessSpec(int(rng.integers(1, 64)), int(rng.integers(1, 64)), *kind)
            for kind in itertools.islice(kinds, 9)
        ]
        specs.append(PreprocessSpec(28, 22, ResizeMode.STRETCH))  # a frame of 320 × 240 is halved before it is sampled
        expected = [(vars(spec), encoded(Preprocessor(spec)(frame))) for spec in specs]
        shape = {"width": width, "height": height, "order": "bgr"}
        cases.append({"frame": encoded(frame), "expected": expected, **shape})
    differences = engine.evaluate(PREPROCESS, cases)
    assert len(differences) == 120 and max(differences) <= 1


def image_bundle(measure: Similarity) -> Bundle:
    """A bundle whose embeddings are the images themselves, and which tells images of nothing it has seen."""
    rng = np.random.default_rng(1)
    width = 4 * 6 * 3
    seen = rng.random((9, width)).astype(np.float16)
    staged = StagedForm(None, "prototypes.npy", (0, 1, 2), measure, "head.npz", "memory.npz")
    plain = make_bundle(fused=None)
    manifest = dataclasses.replace(plain.manifest, staged=staged, unknown=UnknownRule((4.4, 4.5, 4.6)))
    members = plain.members()
    del members["encoder.tflite"]
    members["memory.npz"] = npz({"embeddings": seen, "labels": np.arange(9, dtype=np.int64) % 3})
    members["prototypes.npy"] = npy(seen[:3].astype(np.float32))
    return Bundle.build(manifest, members)


def test_bundles_without_an_encoder_compare_and_tell_unknown_images_as_the_runtime_does(engine: Page) -> None:
    rng = np.random.default_rng(1)
    seen = (rng.random((9, 4, 6, 3)) * 255).astype(np.uint8)[..., ::-1]
    frames = [
        *np.ascontiguousarray(seen),
        *np.clip(seen[:4] + rng.integers(0, 12, (4, 4, 6, 3)), 0, 255).astype(np.uint8),
        *rng.integers(0, 256, (4, 4, 6, 3), np.uint8),
        np.full((4, 6, 3), 90, np.uint8),
    ]
    told: set[Any] = set()
    for measure in Similarity:
        bundle = image_bundle(measure)
        received = engine.evaluate(CLASSIFY, [encoded(bundle.to_bytes()), [encoded(frame) for frame in frames]])
        with Classifier(bundle) as classifier:
            for frame, result in zip(frames, received, strict=True):
                expected = classifier.classify(frame)
                assert np.abs(np.array(result["scores"]) - expected.scores).max() <= 1e-5
                assert result["unknown"] is expected.unknown
                assert tuple(result["stages"]) == expected.stages
                told.add(expected.unknown)
    assert told == {True, False}


def hash_of(name: str) -> bytes:
    return real_bundle().manifest.files[name].sha256.encode()


def zipped(bundle: Bundle, old: bytes, new: bytes) -> bytes:
    """A sound archive of the bundle whose manifest says something else."""
    manifest = bundle.manifest.to_json().encode()
    assert old in manifest
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {"manifest.json": manifest.replace(old, new), **bundle.members()}.items():
            archive.writestr(name, content)
    return file.getvalue()


def visit(browser: Browser, url: str, *, camera: bool = True, script: str = "", bundle: bytes | None = None) -> str:
    """What the page says is wrong."""
    with phone_context(browser, camera=camera, service_workers="block") as context:
        page = context.new_page()
        if script:
            page.add_init_script(script)
        if bundle is not None:
            page.route("**/model.edge", lambda route: route.fulfill(body=bundle))
        page.goto(url)
        if not camera:
            page.click("#start-button")
        page.locator("#trouble").wait_for(state="visible", timeout=60_000)
        return f"{shown(page, 'trouble-title')}: {shown(page, 'trouble-text')}"


def test_what_is_wrong_is_said_in_plain_words(browser: Browser) -> None:
    altered = zipped(real_bundle(), hash_of("head.npz"), b"0" * 64)
    with PhoneServer(site()) as server:
        said = {
            "no SIMD": visit(browser, server.url, script="WebAssembly.validate = () => false;"),
            "denied": visit(browser, server.url, camera=False),
            "altered": visit(browser, server.url, bundle=altered),
        }
    with PhoneServer(site(), host="0.0.0.0") as server:
        said["http"] = visit(browser, server.url.replace("0.0.0.0", "phone.test"))
    assert said["no SIMD"].startswith("This browser cannot run the classifier: This page needs WebAssembly with SIMD")
    assert said["denied"].startswith("The camera was not allowed: This page may not use the camera. Allow it")
    rule = "The bundle is damaged: Every file in a bundle must match its hash. Received: an altered "
    assert said["altered"].startswith(rule)
    assert said["http"].startswith("This page was opened over plain http: Browsers give the camera only to pages")
    assert "edge-sdk phone serve BUNDLE --tls" in said["http"]


def test_bundles_that_cannot_be_used_are_refused_with_the_reason(engine: Page) -> None:
    whole = site().files["model.edge"]
    plain = Path(edge_sdk_runtime.__file__).with_name("doctor.tflite").read_bytes()
    coded = changed(make_bundle(), {"classifier.tflite": pack(plain).content}).to_bytes()
    schema = zipped(real_bundle(), b'"schema_version": "1.', b'"schema_version": "2.')
    damaged = {
        "A bundle must be a whole ZIP archive. Received: 5 bytes": b"other",
        f"A bundle must be a whole ZIP archive. Received: {len(whole) // 2} bytes": whole[: len(whole) // 2],
        "A bundle must be a whole ZIP archive. Received: ": whole.replace(b'"colours"', b'"colors" ', 1),
        "A bundle must hold exactly the files its manifest lists. Received: a difference in ": zipped(
            real_bundle(), b'"golden.npz"', b'"silver.npz"'
        ),
        "manifest.json must follow the bundle schema.": zipped(real_bundle(), b'"labels"', b'"labelz"'),
        "This page reads bundle schema 1. Received: schema 2.": schema,
        "A page needs models that are stored plainly. Received: a coded classifier.tflite. Run: edge-sdk phone build": coded,
    }
    for expected, content in damaged.items():
        assert engine.evaluate(OPEN, encoded(content)).startswith(expected)
    assert engine.evaluate(OPEN, encoded(whole)) == ""
