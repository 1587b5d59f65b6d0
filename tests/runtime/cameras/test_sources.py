from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime import UsageError, cameras
from edge_sdk_runtime.cameras import CameraSettings, Flip, parse_size, parse_source
from edge_sdk_runtime.cameras.sources import (
    FileSource,
    FolderSource,
    JetsonCsiSource,
    PiCameraSource,
    StreamSource,
    UsbSource,
    WatchSource,
    parse_flip,
)
from edge_sdk_runtime.cli.camera_options import FLIPS


def test_the_public_names() -> None:
    assert cameras.__all__ == [
        "Camera",
        "CameraCounts",
        "CameraSettings",
        "Flip",
        "Frame",
        "Grant",
        "Reader",
        "Shot",
        "Source",
        "open_camera",
        "open_reader",
        "parse_size",
        "parse_source",
    ]
    assert all((getattr(cameras, name).__doc__ or "").strip() for name in cameras.__all__)


@pytest.mark.parametrize(
    ("address", "source", "shown"),
    [
        ("usb:0", UsbSource("/dev/video0"), "/dev/video0"),
        ("usb:12", UsbSource("/dev/video12"), "/dev/video12"),
        ("/dev/v4l/by-id/cam-index0", UsbSource("/dev/v4l/by-id/cam-index0"), "/dev/v4l/by-id/cam-index0"),
        ("picamera2:1", PiCameraSource(1), "picamera2:1"),
        ("jetson-csi:0", JetsonCsiSource(0), "jetson-csi:0"),
        ("file:a clip.mp4", FileSource(Path("a clip.mp4")), "file:a clip.mp4"),
        ("file:C:strange.avi", FileSource(Path("C:strange.avi")), "file:C:strange.avi"),
        ("images:photos", FolderSource(Path("photos")), "images:photos"),
        ("watch:in", WatchSource(Path("in")), "watch:in"),
        ("rtsp://host:554/main", StreamSource("rtsp://host:554/main"), "rtsp://host:554/main"),
        ("rtsp://me:secret@host/x", StreamSource("rtsp://me:secret@host/x"), "rtsp://host/x"),
        ("https://host/cam.mjpg", StreamSource("https://host/cam.mjpg"), "https://host/cam.mjpg"),
    ],
)
def test_addresses(address: str, source: object, shown: str) -> None:
    assert parse_source(address) == source
    assert str(source) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "usb:",
        "usb:x",
        "usb:-1",
        "usb:1234",
        "usb:٣",
        "file:",
        "images:",
        "/dev/",
        "rtsp://",
        "rtsp://a b",
        "webcam",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(UsageError, match=r"A camera address must be one of usb:0, .*Received: ") as info:
        parse_source(address)
    assert "\n" not in str(info.value)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert str(parse_source(text))


def test_the_address_that_was_meant_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    for address, suggestion in (
        ("0", "Write usb:0."),
        (str(tmp_path), f"Write images:{tmp_path}."),
        (str(tmp_path / "clip.mp4"), f"Write file:{tmp_path / 'clip.mp4'}."),
    ):
        with pytest.raises(UsageError) as info:
            parse_source(address)
        assert str(info.value).endswith(suggestion)


@pytest.mark.parametrize("text", ["640", "640x", "x480", "640 x 480", "-1x4", "640x480x3", "640×480"])
def test_sizes_are_two_numbers(text: str) -> None:
    assert parse_size("1920x1080") == (1920, 1080)
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize("size", [(0, 480), (640, 20000)])
def test_sizes_that_no_camera_has_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="1 to 16384 pixels"):
        CameraSettings(size)


@pytest.mark.parametrize("fps", [0, -1, 1e9, float("nan")])
def test_rates_that_no_camera_has_are_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1000"):
        CameraSettings(fps=fps)


@pytest.mark.parametrize(
    ("address", "settings", "rule"),
    [
        ("file:a.mp4", CameraSettings((640, 480)), "has its own. Leave it out"),
        ("rtsp://host/x", CameraSettings((640, 480)), "has its own"),
        ("images:a", CameraSettings(fps=5), "Set live, or leave it out"),
        ("watch:a", CameraSettings(fps=5), "Leave it out"),
        ("usb:0", CameraSettings(live=True), "Only files and folders can play live"),
    ],
)
def test_settings_without_a_meaning_are_refused_and_not_ignored(
    address: str, settings: CameraSettings, rule: str
) -> None:
    with pytest.raises(UsageError, match=rule):
        settings.check(parse_source(address))
    CameraSettings((640, 480), 30).check(parse_source("usb:0"))
    CameraSettings(fps=5, live=True).check(parse_source("file:a.mp4"))


def test_flips_are_those_of_the_command() -> None:
    assert tuple(flip.value for flip in Flip) == FLIPS
    assert parse_flip("rotate-180") is Flip.ROTATE_180
    with pytest.raises(UsageError, match=r"flip must be one of 'none', .*Received: 'left'"):
        parse_flip("left")
