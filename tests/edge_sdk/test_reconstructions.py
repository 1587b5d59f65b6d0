"""Pictures of what autoencoders give back."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_sdk.report import reconstructions as module
from edge_sdk.report.reconstructions import (
    Reconstructions,
    error_curves,
    reconstruction_picture,
    write_reconstructions,
)
from tests.edge_sdk.test_report_html import Checker


def made(label: str = "cat", channels: int = 3, count: int = 3) -> Reconstructions:
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 4, channels), dtype=np.uint8)
    return Reconstructions(label, images, images // 2, (0.04, 0.01, 0.02))


def test_public_names() -> None:
    names = ["Reconstructions", "error_curves", "reconstruct_each", "reconstruction_picture", "write_reconstructions"]
    assert sorted(module.__all__) == names


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 10])
def test_every_image_is_there_twice(channels: int, count: int) -> None:
    svg = reconstruction_picture(made("$x_1$ <b>", channels, count))
    root = ElementTree.fromstring(svg)
    images = list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) == 2 * count
    assert all((image.get("href") or "").startswith("data:image/png;base64") for image in images)
    assert svg == reconstruction_picture(made("$x_1$ <b>", channels, count))


def test_captions_say_how_close_it_is() -> None:
    assert made().caption == (
        "cat: images above, out of their codes below. Mean squared error 0.01 after 3 epochs, about 26 of 255 grey levels."
    )


def test_curves_name_their_classes() -> None:
    root = ElementTree.fromstring(error_curves([made("cat"), made("日本語")]))
    assert {"cat", "日本語"} <= {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_the_page_is_whole_and_shows_nothing_for_a_class_without_images(tmp_path: Path) -> None:
    write_reconstructions(
        tmp_path / "page.html", [made("<cat>"), made("dog", count=0)], title="A & B", notes=["a note"]
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == [] and "A & B" in checker.text and "a note" in checker.text
    assert page.count("<figure>") == 2 and "<cat>" not in page
