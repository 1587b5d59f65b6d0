import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edge_sdk.report.html import verdict, write_report
from edge_sdk.report.measure import BundleResult
from edge_sdk_converters.metadata import classifier_metadata
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
from edge_sdk_converters.quantize.plan import Quantization
from edge_sdk_converters.quantize.sensitivity import LayerSensitivity
from edge_sdk_runtime import PreprocessSpec
from tests.edge_sdk.test_tables import PASSES, make_result

VOID = {"meta"}
ATTACK = "<script>alert('&')</script>"


class Checker(HTMLParser):
    """Collects tags and text, and refuses elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def written(folder: Path, results: list[BundleResult], **options: list[str]) -> tuple[str, Checker]:
    path = folder / "report.html"
    write_report(path, results, title=f"Cups {ATTACK}", **options)
    page = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert [each.name for each in folder.iterdir()] == ["report.html"]
    return page, checker


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_page_holds_every_bundle_and_its_plots(tmp_path: Path, count: int) -> None:
    results = [make_result(f"bundle {index}", images=30, passes=PASSES if index else ()) for index in range(count)]
    page, checker = written(tmp_path, results)
    assert checker.tags.count("svg") == 2 + count + min(count, 2) + (count - 1)
    assert checker.text.count("Bundle: bundle 0") == 1
    assert page.count("What each pass did") == count - 1


def test_a_page_says_what_quantizing_costs_layer_by_layer(tmp_path: Path) -> None:
    layers = (
        LayerSensitivity("conv", QuantizeMode.STATIC_INT8, ("CONV_2D",), 41.6, 0.9),
        LayerSensitivity(ATTACK, QuantizeMode.STATIC_INT8, ("FULLY_CONNECTED", "SOFTMAX"), 7.4, 0.5),
    )
    account = Quantization(
        config=QuantizeConfig(QuantizeMode.STATIC_INT8),
        float_layers=(ATTACK,),
        accuracy_before=0.91,
        accuracy=0.9,
        tflite_bytes_before=60_000,
        tflite_bytes=20_000,
        sensitivities=layers,
        without_form=("leaky",),
        unfolded_norms=("norm",),
        ranges={},
    )
    _, checker = written(tmp_path, [dataclasses.replace(make_result(images=30), quantization=account)])
    text = " ".join(checker.text)
    assert "Quantization: float" in text and "91.00% → 90.00%" in text
    assert "42 dB" in text and "7 dB" in text and "FULLY_CONNECTED, SOFTMAX" in text
    assert "leaky has no useful static-int8 form" in text and "norm could not be folded" in text


def test_a_page_asks_no_server_for_anything(tmp_path: Path) -> None:
    page, checker = written(tmp_path, [make_result(images=30, passes=PASSES)])
    assert not re.findall(r"(?:https?:)?//\w", page.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert not {"script", "link", "img", "iframe", "object"} & set(checker.tags)
    assert all(value and value.startswith("#") for name, value in checker.attributes if name in ("href", "src"))
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (written(tmp_path, [make_result(images=60, passes=PASSES)])[0] for _ in range(2))
    assert first == second


def test_everything_that_others_wrote_is_escaped(tmp_path: Path) -> None:
    result = make_result(ATTACK, (ATTACK, "日本語", "\ud800\x00"), images=30, passes=PASSES)
    _, checker = written(tmp_path, [result], notes=[ATTACK], next_commands=[ATTACK])
    assert "script" not in checker.tags
    assert checker.text.count(ATTACK) >= 4
    assert "日本語" in checker.text
    assert "��" in checker.text


def test_a_page_says_what_was_proven_with_what_and_from_what(tmp_path: Path) -> None:
    _, checker = written(
        tmp_path, [make_result(images=30, passes=PASSES)], notes=["A note."], next_commands=["edge-run a", "edge-run b"]
    )
    text = "\n".join(checker.text)
    for expected in (
        "litert 2.3.0 reproduced the golden vectors",
        "center-crop to 16 × 8 pixels",
        "cosine similarity to 3 prototypes",
        'name = "<none>"\npass = []',
        "edge-sdk 0.1.0",
        "dense: rank 8",
        "A note.",
        "edge-run a\nedge-run b",
        "cup taken for mug (1)",
    ):
        assert expected in text


def test_a_page_says_what_the_classifier_s_file_tells_other_tools(tmp_path: Path) -> None:
    metadata = classifier_metadata(f"cups {ATTACK}", ("cup", "mug", "jar"), PreprocessSpec(16, 8))
    _, checker = written(tmp_path, [dataclasses.replace(make_result(images=30), metadata=metadata), make_result()])
    assert checker.text.count("TFLite Metadata") == 1
    assert f"cups {ATTACK}, version 1: 16 × 8 pixels, rgb, 3 labels" in checker.text


def test_a_stage_that_a_bundle_lacks_is_a_dash(tmp_path: Path) -> None:
    _, checker = written(tmp_path, [make_result(images=30), make_result("fused", staged=False)])
    assert "–" in checker.text
    assert "no interpreter is recorded as having reproduced the golden vectors" in checker.text


@pytest.mark.parametrize("classes", [2, 40])
def test_few_and_many_classes(tmp_path: Path, classes: int) -> None:
    labels = tuple(f"class {index}" for index in range(classes))
    _, checker = written(tmp_path, [make_result(labels=labels, images=80)])
    assert (("class", "wide") in checker.attributes) == (classes > 20)
    assert f"{classes} labels" in checker.text


def test_a_page_replaces_the_previous_one_whole(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    page, _ = written(tmp_path, [make_result(images=30)])
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([90_800], "90.0% accuracy with 90.8 kB of .tflite."),
        ([90_800, 17_500], "90.0% → 90.0% accuracy at 1/5.2 of the .tflite size."),
        ([1_000, 2_500], "90.0% → 90.0% accuracy at 2.5 times the .tflite size."),
        ([1_000, 1_001], "90.0% → 90.0% accuracy at about the .tflite size."),
        (
            [1_000, 500, 250],
            "b1: 90.0% → 90.0% accuracy at 1/2.0 of the .tflite size; b2: 90.0% → 90.0% accuracy at 1/4.0 of the .tflite size.",
        ),
    ],
)
def test_verdict(sizes: list[int], sentence: str) -> None:
    assert verdict([make_result(f"b{index}", tflite_bytes=size) for index, size in enumerate(sizes)]) == sentence
