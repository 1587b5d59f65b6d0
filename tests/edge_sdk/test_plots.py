import dataclasses
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from edge_sdk.report.measure import BundleResult
from edge_sdk.report.plots import (
    accuracy_by_pass,
    confusion_matrix,
    embedding_map,
    latency_bars,
    size_bars,
)
from edge_sdk.report.svg import legible
from tests.edge_sdk.test_tables import PASSES, make_result

AWKWARD = ("$x_1$", "_hidden", "<script>", "日本語のラベル", "مرحبا", "a" * 80, "two\nlines", "\x00\ud800&'\"")
EVERY: tuple[Callable[[BundleResult], str | None], ...] = (
    confusion_matrix,
    embedding_map,
    accuracy_by_pass,
    lambda result: size_bars([result]),
    lambda result: latency_bars([result]),
)


def texts(svg: str | None) -> list[str]:
    """What the plot writes, and that it is an SVG at all."""
    root = ElementTree.fromstring(svg or "")
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("plot", EVERY)
def test_the_same_result_gives_the_same_bytes(plot: Callable[[BundleResult], str | None]) -> None:
    first, second = (plot(make_result(passes=PASSES)) for _ in range(2))
    assert first == second
    assert texts(first)


@pytest.mark.parametrize("plot", EVERY)
def test_plots_leave_the_settings_of_the_plotting_library_alone(plot: Callable[[BundleResult], str | None]) -> None:
    before = dict(mpl.rcParams)
    plot(make_result(passes=PASSES))
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("plot", EVERY)
def test_plots_hold_nothing_but_shapes_and_text(plot: Callable[[BundleResult], str | None]) -> None:
    svg = plot(make_result(passes=PASSES)) or ""
    assert svg.count("http") == 1  # the name of the SVG vocabulary
    assert "currentColor" in svg
    for unwanted in ("<style", "metadata", "DOCTYPE", "#010203", "date"):
        assert unwanted not in svg


def test_references_of_two_plots_on_a_page_do_not_meet() -> None:
    found = []
    for title in ("float", "int8"):
        root = ElementTree.fromstring(embedding_map(make_result(title)) or "")
        found.append({element.get("id") for element in root.iter()} - {None})
    assert found[0]
    assert not found[0] & found[1]


@pytest.mark.parametrize("plot", EVERY)
def test_any_label_and_title_can_be_drawn(plot: Callable[[BundleResult], str | None]) -> None:
    for title in AWKWARD:
        texts(plot(make_result(title, AWKWARD, passes=PASSES)))


def test_labels_are_drawn_as_they_are_and_shortened_where_they_are_long() -> None:
    drawn = texts(confusion_matrix(make_result(labels=AWKWARD)))
    assert (
        drawn.count("$x_1$") == drawn.count("_hidden") == drawn.count("<script>") == drawn.count("日本語のラベル") == 2
    )
    assert drawn.count("a" * 17 + "…") == 2
    assert drawn.count("two lines") == 2


@pytest.mark.parametrize(("classes", "written"), [(2, True), (20, True), (21, False), (100, False)])
def test_counts_are_written_up_to_twenty_classes(classes: int, written: bool) -> None:
    labels = tuple(f"class {index}" for index in range(classes))
    drawn = texts(confusion_matrix(make_result(labels=labels, images=classes * 7)))
    assert ("7" in drawn or "6" in drawn) == written
    assert drawn.count(labels[-1]) == 2


def test_a_class_without_images_leaves_its_row_empty() -> None:
    result = make_result(labels=("a", "b", "never"), images=2)
    assert texts(confusion_matrix(result)).count("1") == 2


@pytest.mark.parametrize(("images", "method"), [(1, "PCA"), (2, "PCA"), (49, "PCA"), (50, "t-SNE"), (1001, "PCA")])
def test_maps_are_tsne_where_there_are_enough_points_and_not_too_many(images: int, method: str) -> None:
    drawn = texts(embedding_map(make_result(images=images)))
    assert f"{method} of {images} held-out images, × {images // 10} wrongly classified" in drawn


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf])
def test_a_collapsed_encoder_still_gives_a_map(value: float) -> None:
    result = dataclasses.replace(make_result(), embeddings=np.full((60, 8), value, np.float32))
    assert any(text.startswith("PCA of 60") for text in texts(embedding_map(result)))


def test_one_dimensional_embeddings_give_a_map() -> None:
    texts(
        embedding_map(dataclasses.replace(make_result(), embeddings=np.linspace(0, 1, 60, dtype=np.float32)[:, None]))
    )


def test_a_map_of_fewer_images_than_were_evaluated() -> None:
    result = make_result()
    assert result.embeddings is not None
    drawn = texts(embedding_map(dataclasses.replace(result, embeddings=result.embeddings[:20])))
    assert "PCA of 20 held-out images, × 2 wrongly classified" in drawn


def test_classes_are_named_on_the_map_unless_they_are_too_many() -> None:
    few, many = (tuple(f"class {index}" for index in range(count)) for count in (30, 40))
    assert "class 29" in texts(embedding_map(make_result(labels=few)))
    assert "class 29" not in texts(embedding_map(make_result(labels=many)))


def test_without_embeddings_or_passes_there_is_no_plot() -> None:
    result = make_result(staged=False)
    assert embedding_map(result) is None
    assert accuracy_by_pass(result) is None


def test_bars_name_bundles_values_and_every_stage_of_any_bundle() -> None:
    results = [make_result(), make_result("int8", tflite_bytes=33_200), make_result("fused", staged=False)]
    sizes, latency = texts(size_bars(results)), texts(latency_bars(results))
    assert {"float", "int8", "fused", "90.8 kB", "33.2 kB", "201.6 kB", ".tflite", "bundle"} <= set(sizes)
    assert {"embed", "classify", "p95", "28 µs / 29.5 µs", "17 µs / 18.5 µs"} <= set(latency)


def test_steps_name_passes_accuracy_before_and_after_recovery_and_parameters() -> None:
    drawn = texts(accuracy_by_pass(make_result(passes=PASSES)))
    assert {"original", "factorize", "prune", "98.0%", "90.0%", "50.0%", "96.0%", "23,002", "9,000"} <= set(drawn)


def test_legible_replaces_what_no_xml_may_contain() -> None:
    assert legible("a\x00b\ud800c\ufffed\té日🙂") == "a�b�c�d\té日🙂"
