"""Every camera example runs as it stands, with a fake camera or a file in the place of its own."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import edge_sdk_runtime
from edge_sdk_runtime import Classifier, cameras
from edge_sdk_runtime.cameras import Frame, open_camera
from edge_sdk_runtime.cameras.threaded import ThreadedCamera
from edge_sdk_runtime.errors import CameraEndedError
from tests.runtime.cameras.players import Opener, clip, image_file
from tests.runtime.helpers import fake_plug, make_bundle, plain

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = ("usb_camera", "pi_csi_camera", "jetson_csi_camera", "video_file", "watch_folder", "two_bundles")


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    def load(path: str) -> Classifier:
        assert path == "colours.edge"
        return Classifier(make_bundle(), interpreter=fake_plug())

    monkeypatch.setattr(edge_sdk_runtime.Classifier, "load", load)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("usb_camera", ("colours.edge", "usb:0")),
        ("pi_csi_camera", ("colours.edge", "picamera2:0")),
        ("jetson_csi_camera", ("colours.edge", "jetson-csi:0", ":0")),
        ("two_bundles", ("colours.edge", "colours.edge", "usb:0")),
    ],
)
def test_camera_scripts_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, arguments: tuple[str, ...]
) -> None:
    opener = Opener([plain(250, 0, 0)])

    def open_then_interrupt(address: str, **settings: Any) -> ThreadedCamera:
        """A camera whose frames end with the user's Ctrl-C."""
        camera = open_camera(address, opener=opener, **settings)
        read = camera.read

        def read_or_interrupt(timeout_s: float | None = None) -> Frame:
            try:
                return read(timeout_s)
            except CameraEndedError as end:
                raise KeyboardInterrupt from end

        monkeypatch.setattr(camera, "read", read_or_interrupt)
        return camera

    monkeypatch.setattr(cameras, "open_camera", open_then_interrupt)
    run(monkeypatch, name, *arguments)
    printed = capsys.readouterr().out
    assert ("red" if name != "jetson_csi_camera" else "Preview: http://127.0.0.1:") in printed
    assert opener.opened == 1


def test_the_video_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi", range(4))
    run(monkeypatch, "video_file", "colours.edge", f"file:{path}", str(tmp_path / "clip.csv"))
    assert len((tmp_path / "clip.csv").read_text().splitlines()) == 5


def test_the_folder_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_file(tmp_path / "one.png", plain(0, 250, 0))
    run(monkeypatch, "watch_folder", "colours.edge", f"images:{tmp_path}")
    assert f"{tmp_path / 'one.png'}: green (" in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_begins_with_a_command_to_paste_and_is_listed(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith(f'"""python examples/{name}.py ')
    assert f"| `{name}.py` |" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
