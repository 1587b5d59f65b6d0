import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import Bundle, Classifier, cameras
from edge_sdk_runtime.cameras import Camera, open_camera
from edge_sdk_runtime.cli import main
from tests.runtime.teach.helpers import COLOURS, CYAN, YELLOW, flat, frames, without_memory
from tests.runtime.test_collect import scene

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def content() -> bytes:
    return flat().to_bytes()


@pytest.fixture
def bundle(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "colours.edge"
    path.write_bytes(content)
    return str(path)


def pictures(folder: Path, images: list[np.ndarray]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        (folder / f"{number:02}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return str(folder)


def edge_run(*arguments: str) -> int:
    return main.main(arguments)


def error_line(output: Output) -> str:
    captured = output.readouterr()
    *progress, line = captured.err.splitlines()  # on a slow machine some of it
    assert captured.out == "" and line.startswith("edge-run: ") and not any("edge-run" in each for each in progress)
    return line


def test_a_class_is_taught_from_a_folder_and_undone(bundle: str, tmp_path: Path, capsys: Output) -> None:
    folder = pictures(tmp_path / "photos", frames(YELLOW, 12))
    before = Path(bundle).read_bytes()
    assert edge_run("teach", bundle, "--label", "gelbe Tasse", "--images", folder) == 0
    out = capsys.readouterr().out
    assert "gelbe Tasse" in out and "+1" in out and "Estimated on 12 images" in out
    assert "other classes:" in out and "of their held-out remembered examples" in out
    assert "time: read " in out and "write " in out
    assert f"{bundle} is version 2: red, green, blue, gelbe Tasse." in out
    assert f"To go back: edge-run teach {bundle} --undo" in out
    assert edge_run("classify", bundle, f"{folder}/00.png") == 0
    assert "gelbe Tasse" in capsys.readouterr().out
    assert edge_run("teach", bundle, "--undo") == 0
    assert capsys.readouterr().out == f"{bundle} is version 1 again: red, green, blue.\n"
    assert Path(bundle).read_bytes() == before


def test_class_folders_are_taught_together_and_told_as_json(bundle: str, tmp_path: Path, capsys: Output) -> None:
    for name, colour in (("yellow", YELLOW), ("cyan", CYAN), ("red", (180, 60, 60))):
        pictures(tmp_path / "photos" / name, frames(colour, 6))
    assert edge_run("teach", bundle, "--images", str(tmp_path / "photos"), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["labels"] == ["red", "green", "blue", "cyan", "yellow"]
    assert [(each["label"], each["new"], each["images"]) for each in document["lessons"]] == [
        ("cyan", True, 6),
        ("red", False, 6),
        ("yellow", True, 6),
    ]
    assert all(0 <= each["accuracy"] <= 1 for each in document["lessons"])
    assert document["version"] == 2 and set(document["durations_ns"]) >= {"read", "embed", "learn", "prove", "write"}


def test_unreadable_pictures_are_named_and_skipped(bundle: str, tmp_path: Path, capsys: Output) -> None:
    folder = pictures(tmp_path / "photos", frames(YELLOW, 3))
    (Path(folder) / "broken.jpg").write_bytes(b"no picture")
    (Path(folder) / "notes.txt").write_text("not looked at")
    assert edge_run("teach", bundle, "--label", "yellow", "--images", folder, "--json") == 0
    captured = capsys.readouterr()
    assert "broken.jpg" in captured.err and captured.err.count("edge-run: ") == 1
    assert json.loads(captured.out)["lessons"][0]["images"] == 3


def test_one_picture_says_that_there_is_no_estimate(bundle: str, tmp_path: Path, capsys: Output) -> None:
    folder = pictures(tmp_path / "photos", frames(YELLOW, 1))
    assert edge_run("teach", bundle, "--label", "yellow", "--images", folder) == 0
    out = capsys.readouterr().out
    assert "not to be had" in out and "an estimate needs two or more" in out


def test_a_camera_shows_a_class(bundle: str, tmp_path: Path, capsys: Output) -> None:
    source = pictures(tmp_path / "seen", [scene(0), scene(0), *[scene(seed) for seed in range(1, 8)]])
    arguments = ("teach", bundle, "--label", "blocks", "--camera", f"images:{source}", "--count", "5", "--every", "0")
    assert edge_run(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["lessons"][0]["images"] == 5
    assert "blocks: 5 kept, 1 too similar, 0 blurred" in captured.err
    assert Bundle.open(bundle).manifest.labels[-1] == "blocks"


def test_a_class_is_forgotten(bundle: str, capsys: Output) -> None:
    assert edge_run("forget", bundle, "green") == 0
    out = capsys.readouterr().out
    assert f"{bundle} is version 2: red, blue." in out and "of their remembered examples" in out
    assert edge_run("forget", bundle, "blue") == 2
    assert "A classifier needs at least 2 classes" in error_line(capsys)
    assert edge_run("forget", bundle, "green", "--json") == 2
    assert "must be one of red, blue. Received: 'green'" in error_line(capsys)


def test_unknown_pictures_are_told_by_classify(bundle: str, tmp_path: Path, capsys: Output) -> None:
    folder = pictures(tmp_path / "photos", [*frames(CYAN, 1), *frames(COLOURS["red"], 1)])
    assert edge_run("classify", bundle, folder) == 0
    header, strange, known = capsys.readouterr().out.splitlines()
    assert header.split()[-2:] == ["unknown", "total"]
    assert "unknown (closest: " in strange and "unknown (closest" not in known
    assert edge_run("classify", bundle, folder, "--json") == 0
    assert [each["unknown"] for each in json.loads(capsys.readouterr().out)] == [True, False]
    assert edge_run("camera", bundle, "--source", f"images:{folder}") == 0
    assert "labels: unknown 1, red 1" in capsys.readouterr().out


def test_info_says_what_was_taught(bundle: str, tmp_path: Path, capsys: Output) -> None:
    assert edge_run("info", bundle) == 0
    assert "unknown images" in (out := capsys.readouterr().out) and "\ntaught" not in out
    folder = pictures(tmp_path / "photos", frames(YELLOW, 4))
    assert edge_run("teach", bundle, "--label", "yellow", "--images", folder) == 0
    capsys.readouterr()
    assert edge_run("info", bundle) == 0
    out = capsys.readouterr().out
    assert "version" in out and "yellow: 4 images, 1 prototype, about " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "yellow", "--images", "nowhere"), "--images must be a folder. Received: nowhere"),
        (("--images", "EMPTY"), "must be a folder of class folders. Received: EMPTY without any. Add --label NAME."),
        (("--label", "yellow", "--images", "EMPTY"), "A folder must hold image files. Received: EMPTY without any."),
        (("--camera", "images:EMPTY"), "A camera shows one class. Received: --camera without --label."),
        (("--label", "x", "--camera", "images:EMPTY", "--count", "0"), "--count must be at least 1. Received: 0."),
        (("--label", "x", "--camera", "images:EMPTY", "--every", "-1"), "--every must be at least 0. Received: -1."),
        (("--label", "a/b", "--images", "PHOTOS"), "A label must be the name of a folder"),
        (("--label", "x", "--images", "PHOTOS", "--prototypes", "9"), "Received: 2 different images of 'x' for 9."),
        (("--undo",), "Undo needs the version before, colours.edge.v0"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(
    bundle: str, tmp_path: Path, capsys: Output, arguments: tuple[str, ...], message: str
) -> None:
    places = {"EMPTY": str(tmp_path / "empty"), "PHOTOS": pictures(tmp_path / "photos", frames(YELLOW, 2))}
    (tmp_path / "empty").mkdir()
    before = Path(bundle).read_bytes()
    for name, place in places.items():
        arguments = tuple(each.replace(name, place) for each in arguments)
        message = message.replace(name, place)
    assert edge_run("teach", bundle, *arguments) == 2
    assert message in error_line(capsys)
    assert Path(bundle).read_bytes() == before
    assert not list(tmp_path.glob("*.v*"))


def test_a_bundle_that_cannot_be_taught_says_the_command_that_makes_one(
    tmp_path: Path, content: bytes, capsys: Output
) -> None:
    path = tmp_path / "plain.edge"
    without_memory(Bundle.from_bytes(content)).write(path)
    folder = pictures(tmp_path / "photos", frames(YELLOW, 2))
    assert edge_run("teach", str(path), "--label", "yellow", "--images", folder) == 2
    assert "Write it again without --no-memory: edge-sdk compress MODEL --data DATA" in error_line(capsys)
    with Classifier.load(path) as classifier:
        assert classifier.classify(frames(CYAN, 1)[0]).unknown is None


def test_the_example_teaches_what_a_camera_shows(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    folder = pictures(tmp_path / "seen", frames(YELLOW, 6))

    def shown(address: str, **settings: object) -> Camera:
        assert address == "usb:0" and settings == {"fps": 2}
        return open_camera(f"images:{folder}")

    monkeypatch.setattr(cameras, "open_camera", shown)
    monkeypatch.setattr(sys, "argv", ["teach_a_class.py", bundle, "yellow", "usb:0"])
    example = Path(__file__).parents[2] / "examples" / "teach_a_class.py"
    runpy.run_path(str(example), run_name="__main__")
    assert "yellow: 6 images, estimated accuracy " in capsys.readouterr().out
    assert Bundle.open(bundle).manifest.labels[-1] == "yellow"
